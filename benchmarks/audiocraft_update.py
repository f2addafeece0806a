"""One update of EnCodec's training by audiocraft's modules, for training_speed.py; interfaces of audiocraft 1.3.

The same shape, losses and discriminators as the recipe's, in float32 or under autocast likewise. What differs stays as
audiocraft has it: mel losses from 2^6 to 2^10 samples on both scales, discriminators with one layer more, and the batch
at the bit rate that its quantiser draws.

Only audiocraft's modules of SEANet, quantisation, losses and discriminators are needed, with flashy, einops, torchaudio
and transformers. A folder on PYTHONPATH serves as well as an installation.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from earmark.codec.training.losses.windows import MS_STFT
from earmark.codec.training.recipe import Recipe


def audiocraft_update(recipe: Recipe, device: torch.device, autocast: bool) -> Callable[[Tensor], None] | None:
    """A function that makes one update with a batch, [B, channels, T]; None if audiocraft is not installed."""
    if find_spec("audiocraft") is None:
        return None
    from audiocraft import losses, quantization
    from audiocraft.adversarial import losses as adversarial
    from audiocraft.adversarial.discriminators.msstftd import MultiScaleSTFTDiscriminator
    from audiocraft.models.encodec import EncodecModel
    from audiocraft.modules.seanet import SEANetDecoder, SEANetEncoder

    model, seanet = recipe.model, recipe.model.seanet
    shape: dict[str, Any] = {
        "channels": seanet.channels, "dimension": seanet.dimension, "n_filters": seanet.filters,
        "n_residual_layers": seanet.residual_layers, "ratios": list(seanet.ratios), "norm": seanet.norm,
        "kernel_size": seanet.kernel_size, "last_kernel_size": seanet.last_kernel_size,
        "residual_kernel_size": seanet.residual_kernel_size, "dilation_base": seanet.dilation_base,
        "causal": seanet.causal, "true_skip": seanet.true_skip, "compress": seanet.compress, "lstm": seanet.lstm,
    }  # fmt: skip
    quantizer = quantization.ResidualVectorQuantizer(
        dimension=seanet.dimension, n_q=model.codebooks(), q_dropout=True, bins=model.codebook_size
    )
    codec = EncodecModel(
        SEANetEncoder(**shape), SEANetDecoder(**shape), quantizer, frame_rate=int(model.step_rate),
        sample_rate=model.sample_rate, channels=model.channels, causal=seanet.causal,
    ).to(device)  # fmt: skip
    windows = list(MS_STFT)
    networks = MultiScaleSTFTDiscriminator(
        recipe.discriminators.filters, n_ffts=windows, win_lengths=windows, hop_lengths=[each // 4 for each in windows]
    ).to(device)
    rate, betas = recipe.optimizer.learning_rate, recipe.optimizer.betas
    optimizers = [torch.optim.Adam(each.parameters(), lr=rate, betas=betas) for each in (codec, networks)]
    loss = adversarial.AdversarialLoss(
        networks, optimizers[1], adversarial.get_adv_criterion("hinge2"), adversarial.get_real_criterion("hinge2"),
        adversarial.get_fake_criterion("hinge2"), adversarial.FeatureMatchingLoss(),
    )  # fmt: skip
    weights = {"time": 0.1, "mel": 1.0, "adversarial": 3.0, "features": 3.0}
    balancer = losses.Balancer(weights)
    mel = losses.MultiScaleMelSpectrogramLoss(model.sample_rate).to(device)
    state = torch.Generator().manual_seed(recipe.training.seed)

    def context() -> contextlib.AbstractContextManager[object]:
        return torch.autocast(device.type, torch.bfloat16) if autocast else contextlib.nullcontext()

    def update(audio: Tensor) -> None:
        with context():
            result = codec(audio)
        decoded = result.x.float()
        if torch.rand((), generator=state) < recipe.discriminators.update_probability:
            with context():
                loss.train_adv(decoded, audio)
        with context():
            adv, features = loss(decoded, audio)
        terms = {"time": (decoded - audio).abs().mean(), "mel": mel(decoded, audio)}
        optimizers[0].zero_grad()
        if result.penalty is not None and result.penalty.requires_grad:
            result.penalty.mean().backward(retain_graph=True)
        balancer.backward({**terms, "adversarial": adv, "features": features}, decoded)
        optimizers[0].step()

    return update
