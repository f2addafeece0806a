"""The losses of the generator and of the discriminators (EnCodec paper, section 3.4).

Where the paper writes an L1 norm there is the mean over the entries, and the root mean square for an L2 norm, so that
no loss depends on the duration, the sample rate or the size of the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from earmark.codec.training.distributed import average
from earmark.codec.training.losses.spectrogram import MelSpectrogram
from earmark.codec.training.losses.windows import MEL


def time_loss(reference: Tensor, decoded: Tensor) -> Tensor:
    """Mean of |x - x^| over all samples, [B, C, T] each -> scalar."""
    return (reference - decoded).abs().mean()


class MultiScaleMel(nn.Module):
    """Distance of mel spectrograms at several time scales (equation 1), [B, C, T] twice -> scalar.

    The mean over windows of 2^5, ..., 2^11 samples of |S(x) - S(x^)|_1 + alpha |S(x) - S(x^)|_2 with alpha = 1, where S
    are magnitudes in `bins` mel bands. The L1 term is the mean of the absolute differences, the L2 term the root of
    their mean square in each example: as in the paper it is not squared, so both are amplitudes. The paper leaves open
    whether S is of magnitudes or powers; powers would hide whatever is 20 dB below the loudest. Unlike Gritsenko et al.
    it takes no logarithm in the second term.

    Args:
        sample_rate: in Hz.
        bins: mel bands; short windows have fewer filters, over which their mean is taken.
    """

    def __init__(self, sample_rate: int, bins: int = 64) -> None:
        super().__init__()
        self.scales = nn.ModuleList(MelSpectrogram(sample_rate, window, bins) for window in MEL)

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        total = decoded.new_zeros(())
        for mel in self.scales:
            difference = (mel(reference) - mel(decoded)).flatten(1)
            # Its gradient is 0, not NaN, where the norm is 0.
            norms = torch.linalg.vector_norm(difference, dim=1) / difference.shape[1] ** 0.5
            total = total + difference.abs().mean() + norms.mean()
        return total / len(self.scales)


class MultiScaleLogMel(MultiScaleMel):
    """Mean of |log10 S(x) - log10 S(x^)| over the scales, bands and frames of MultiScaleMel; not the paper's.

    It hears what is quiet as well as what is loud, which otherwise a discriminator has to teach.
    """

    FLOOR = 1e-4  # of the magnitudes, which white noise has at -74 dBFS in the shortest window, at -103 in the longest

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        total = decoded.new_zeros(())
        for mel in self.scales:
            levels = [mel(audio).clamp(min=self.FLOOR).log10() for audio in (reference, decoded)]
            total = total + (levels[0] - levels[1]).abs().mean()
        return total / len(self.scales)


def hinge_generator(logits: Sequence[Tensor]) -> Tensor:
    """1/K sum_k max(0, 1 - D_k(x^)), with the mean over the logits of each of the K discriminators.

    Unlike the -D_k(x^) of others, it ends where a discriminator is convinced.

    Args:
        logits: of the decoded audio, one tensor of any shape for each discriminator.
    """
    return torch.stack([torch.relu(1 - _wide(fake)).mean() for fake in logits]).mean()


def hinge_discriminator(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """1/K sum_k max(0, 1 - D_k(x)) + max(0, 1 + D_k(x^)), with the mean over the logits of each discriminator.

    Args:
        real: logits of the source, one tensor of any shape for each discriminator.
        fake: those of the decoded audio.
    """
    terms = [
        torch.relu(1 - _wide(of_real)).mean() + torch.relu(1 + _wide(of_fake)).mean()
        for of_real, of_fake in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def feature_matching(real: Sequence[Sequence[Tensor]], fake: Sequence[Sequence[Tensor]]) -> Tensor:
    """Relative feature matching (equation 2): 1/(KL) sum_kl |D_kl(x) - D_kl(x^)|_1 / mean(|D_kl(x)|_1).

    The mean below is over all dimensions, thus over the whole batch: where it is spread over processes, they average
    it, and all of them must call. Networks with other numbers of layers L count alike.

    Args:
        real: for each discriminator the outputs of its layers for the source; no gradient goes to them.
        fake: those for the decoded audio.
    """
    layers = [len(network) for network in real]
    of_real = [_wide(feature.detach()) for network in real for feature in network]
    of_fake = [_wide(feature) for network in fake for feature in network]
    sizes = torch.stack([feature.abs().mean() for feature in of_real])
    average([sizes])
    distances = torch.stack([(x - y).abs().mean() for x, y in zip(of_real, of_fake, strict=True)])
    ratios = distances / sizes.clamp(min=torch.finfo(sizes.dtype).eps)  # a layer that is all zero has no size
    return torch.stack([network.mean() for network in ratios.split(layers)]).mean()


def _wide(values: Tensor) -> Tensor:
    """In float32 at least: a mean of bfloat16 has three digits."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
