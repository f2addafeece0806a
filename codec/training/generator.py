"""The codec in training: differentiable from audio to audio (EnCodec paper, section 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor, nn

from earmark.codec import plugins
from earmark.codec.encodec.config import Quantizer
from earmark.codec.encodec.layers import Conv1d, fold_weight_norm, has_weight_norm
from earmark.codec.encodec.learned_quantizers import LearnedQuantizer
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.training.initialization import gain_of, initialize
from earmark.codec.training.quantizers.diffq import DiffQuantizer
from earmark.codec.training.quantizers.factorized import TrainableFactorizedQuantizer
from earmark.codec.training.quantizers.gumbel import GumbelQuantizer
from earmark.codec.training.quantizers.quantized import Quantized
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer
from earmark.codec.training.recipe import Part, Recipe


@dataclass(frozen=True)
class Output:
    """Decoded audio, float32 [B, channels, T], and the output of the quantiser."""

    decoded: Tensor
    quantized: Quantized


class Generator(nn.Module):
    """Encoder, trainable quantiser and decoder of a recipe. The parts have the same names as in EncodecModel."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.config = recipe.model
        model = EncodecModel(recipe.model)
        self.encoder, self.decoder = model.encoder, model.decoder
        for network in (self.encoder, self.decoder):
            initialize(network, gain_of(recipe.model.seanet.activation))
        self.quantizer = _quantizer(recipe)

    def freeze_except(self, parts: Sequence[Part]) -> None:
        """Let only the given parts learn; the others keep their weights, codebooks and counts of codewords.

        Their weight norm is folded, as in a checkpoint: magnitude and direction would not give its weights to the bit.
        """
        for name in get_args(Part):
            part = self.get_submodule(name)
            if name not in parts:
                fold_weight_norm(part)
            part.requires_grad_(name in parts)
        setattr(self.quantizer, "learns", "quantizer" in parts)  # noqa: B010  # a module of any class, for mypy

    def forward(self, audio: Tensor, codebooks: int, denoise: Tensor | None = None) -> Output:
        """Code and decode audio, [B, channels, T], of at most one segment if the model has segments.

        Args:
            denoise: of a model with a switch for denoising, whether it is on for each signal, [B]; default: off.
        """
        if self.encoder.film is not None:
            self.encoder.film.enabled = False if denoise is None else denoise
        scale = None
        if self.config.normalize:
            scale = audio.mean(dim=1).square().mean(dim=1).sqrt()[:, None, None] + 1e-8
        latent = self.encoder(audio if scale is None else audio / scale)
        quantized = self.quantizer(latent.float(), codebooks)
        decoded = self._decoded(quantized.latent)[..., : audio.shape[-1]]
        return Output(decoded if scale is None else decoded * scale, quantized)

    def _decoded(self, latent: Tensor) -> Tensor:
        """Output of the decoder, whose last convolution is in float32: bfloat16 has steps of 1/256 near full scale."""
        layers = self.decoder.layers
        last = max(index for index, layer in enumerate(layers) if isinstance(layer, Conv1d))
        hidden = layers[:last](latent)
        with torch.autocast(latent.device.type, enabled=False):
            decoded: Tensor = layers[last:](hidden.float())
        return decoded

    @property
    def has_bitstream(self) -> bool:
        """Whether the quantiser has a form for inference: all of ours, and those of plug-ins with `plain`."""
        return hasattr(self.quantizer, "plain")

    @torch.no_grad()
    def export(self) -> EncodecModel:
        """Copy the weights to a model for inference on the CPU, with weight norm folded.

        It encodes and decodes as this one in evaluation mode. The quantiser must have a bitstream; see `has_bitstream`.
        """
        kind: Quantizer = "rvq"
        if isinstance(self.quantizer, DiffQuantizer | GumbelQuantizer):
            kind = "diffq" if isinstance(self.quantizer, DiffQuantizer) else "gumbel"
        model = EncodecModel(replace(self.config, quantizer=kind))
        for ours, copy in ((self.encoder, model.encoder), (self.decoder, model.decoder)):
            if not has_weight_norm(ours):
                fold_weight_norm(copy)
            copy.load_state_dict(ours.state_dict())
            fold_weight_norm(copy)
        plain: ResidualVectorQuantizer | LearnedQuantizer = self.quantizer.plain().cpu()  # type: ignore[operator]
        model.quantizer = plain
        return model.eval().requires_grad_(False)


def _quantizer(recipe: Recipe) -> nn.Module:
    chosen, model = recipe.quantizer, recipe.model
    if chosen.kind == "diffq":
        return DiffQuantizer(model.seanet.dimension, bits_per_codebook=int(math.log2(model.codebook_size)))
    if chosen.kind == "gumbel":
        return GumbelQuantizer(model.seanet.dimension, model.codebooks(), model.codebook_size)
    if chosen.kind != "rvq":
        made: nn.Module = plugins.find("quantizer", chosen.kind)(
            model.seanet.dimension, model.codebooks(), model.codebook_size
        )
        return made
    if model.codebook_dim:
        return TrainableFactorizedQuantizer(
            model.seanet.dimension, model.codebooks(), model.codebook_size, model.codebook_dim,
            decay=chosen.decay, dead_below=chosen.dead_below,
        )  # fmt: skip
    return TrainableResidualVectorQuantizer(
        model.seanet.dimension, model.codebooks(), model.codebook_size,
        decay=chosen.decay, dead_below=chosen.dead_below, iterations=chosen.kmeans_iterations,
        seed=recipe.training.seed,
    )  # fmt: skip
