"""The losses of the generator and of the discriminators (EnCodec paper, section 3.4).

The paper's L1 norms are implemented as mean absolute values, and its L2 norms as root mean squares, so that no loss
depends on duration, sample rate or batch size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    are magnitudes in mel bands. The L1 term is the mean absolute difference. The L2 term is the root mean square of the
    difference per example; as in the paper it is not squared, so both terms are amplitudes. The paper leaves open
    whether S are magnitudes or powers; with powers, whatever is 20 dB below the loudest would hardly count. Unlike
    Gritsenko et al., the second term has no logarithm.

    Args:
        sample_rate: in Hz.
        bands: number of mel bands. Short windows have fewer filters, and the means are over those.
    """

    def __init__(self, sample_rate: int, bands: int = 64) -> None:
        super().__init__()
        self.scales = nn.ModuleList(MelSpectrogram(sample_rate, window, bands) for window in MEL)

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        total = decoded.new_zeros(())
        for mel in self.scales:
            difference = (mel(reference) - mel(decoded)).flatten(1)
            # The gradient of vector_norm at 0 is 0, not NaN.
            norms = torch.linalg.vector_norm(difference, dim=1) / difference.shape[1] ** 0.5
            total = total + difference.abs().mean() + norms.mean()
        return total / len(self.scales)


class MultiScaleLogMel(MultiScaleMel):
    """Mean of |log10 S(x) - log10 S(x^)| over the scales, bands and frames of MultiScaleMel. Not in the paper.

    Quiet parts count as much as loud ones. Without this loss, only the discriminators teach them.
    """

    FLOOR = 1e-4  # that of white noise at -74 dBFS in the shortest window, at -103 dBFS in the longest

    def forward(self, reference: Tensor, decoded: Tensor) -> Tensor:
        total = decoded.new_zeros(())
        for mel in self.scales:
            levels = [mel(audio).clamp(min=self.FLOOR).log10() for audio in (reference, decoded)]
            total = total + (levels[0] - levels[1]).abs().mean()
        return total / len(self.scales)


def hinge_generator(logits: Sequence[Tensor]) -> Tensor:
    """1/K sum_k max(0, 1 - D_k(x^)), with the mean over the logits of each of the K discriminators.

    Unlike the loss -D_k(x^) of other papers, it is 0 once a discriminator is convinced.

    Args:
        logits: logits for the decoded audio, one tensor of any shape per discriminator.
    """
    return torch.stack([torch.relu(1 - _wide(fake)).mean() for fake in logits]).mean()


def hinge_discriminator(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """1/K sum_k max(0, 1 - D_k(x)) + max(0, 1 + D_k(x^)), with the mean over the logits of each discriminator.

    Args:
        real: logits for the source audio, one tensor of any shape per discriminator.
        fake: logits for the decoded audio.
    """
    terms = [
        torch.relu(1 - _wide(of_real)).mean() + torch.relu(1 + _wide(of_fake)).mean()
        for of_real, of_fake in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()


def layer_means(real: Sequence[Tensor], fake: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Means of |D_kl(x)| and of |D_kl(x) - D_kl(x^)| for each layer, [layers] each."""
    sizes = [_mean_size(x) for x in real]
    return torch.stack(sizes), torch.stack([_mean_size(x - y) for x, y in zip(real, fake, strict=True)])


def feature_matching(
    real: Sequence[Sequence[Tensor]],
    fake: Sequence[Sequence[Tensor]],
    means: Callable[[Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, Tensor]] = layer_means,
) -> Tensor:
    """Relative feature matching (equation 2): 1/(KL) sum_kl |D_kl(x) - D_kl(x^)|_1 / mean(|D_kl(x)|_1).

    The mean in the denominator is over the whole batch. If processes share it, they average the mean, so all of them
    must call this function. Each discriminator has the same weight, whatever its number of layers L.

    Args:
        real: outputs of each discriminator's layers for the source audio; they receive no gradient.
        fake: outputs for the decoded audio.
        means: `layer_means`, possibly compiled.
    """
    layers = [len(network) for network in real]
    sizes, distances = means(
        [feature.detach() for network in real for feature in network],
        [feature for network in fake for feature in network],
    )
    average([sizes])
    ratios = distances / sizes.clamp(min=torch.finfo(sizes.dtype).eps)  # the outputs may all be 0
    return torch.stack([network.mean() for network in ratios.split(layers)]).mean()


def _mean_size(values: Tensor) -> Tensor:
    """Mean of |values|, summed in float32 at least; features in bfloat16 are gigabytes, which a copy would double."""
    return values.abs().mean(dtype=torch.promote_types(values.dtype, torch.float32))


def _wide(values: Tensor) -> Tensor:
    """Convert to float32 at least, as a mean in bfloat16 has three digits only."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
