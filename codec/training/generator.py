"""The codec in training: differentiable from audio to audio (EnCodec paper, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from earmark.codec.encodec.config import Quantizer
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.training.initialization import initialize
from earmark.codec.training.quantizers.diffq import DiffQuantizer
from earmark.codec.training.quantizers.gumbel import GumbelQuantizer
from earmark.codec.training.quantizers.quantized import Quantized
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer
from earmark.codec.training.recipe import Recipe


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
            initialize(network)
        self.quantizer = _quantizer(recipe)

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
        decoded = self.decoder(quantized.latent)[..., : audio.shape[-1]].float()
        return Output(decoded if scale is None else decoded * scale, quantized)

    @torch.no_grad()
    def export(self) -> EncodecModel:
        """Copy the weights to a model for inference on the CPU, which encodes and decodes as in evaluation mode."""
        kind: Quantizer = "rvq"
        if not isinstance(self.quantizer, TrainableResidualVectorQuantizer):
            kind = "diffq" if isinstance(self.quantizer, DiffQuantizer) else "gumbel"
        model = EncodecModel(replace(self.config, quantizer=kind))
        model.encoder.load_state_dict(self.encoder.state_dict())
        model.decoder.load_state_dict(self.decoder.state_dict())
        model.quantizer = self.quantizer.plain().cpu()
        return model.eval().requires_grad_(False)


def _quantizer(recipe: Recipe) -> TrainableResidualVectorQuantizer | DiffQuantizer | GumbelQuantizer:
    chosen, model = recipe.quantizer, recipe.model
    if chosen.kind == "diffq":
        return DiffQuantizer(model.seanet.dimension, bits_per_codebook=int(math.log2(model.codebook_size)))
    if chosen.kind == "gumbel":
        return GumbelQuantizer(model.seanet.dimension, model.codebooks(), model.codebook_size)
    return TrainableResidualVectorQuantizer(
        model.seanet.dimension, model.codebooks(), model.codebook_size,
        decay=chosen.decay, dead_below=chosen.dead_below, iterations=chosen.kmeans_iterations,
        seed=recipe.training.seed,
    )  # fmt: skip
