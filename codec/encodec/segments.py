"""Coding of one segment of a signal, which may be the whole signal (EnCodec paper, section 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from earmark.codec.encodec.batches import runs_of_one_shape
from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.learned_quantizers import build
from earmark.codec.encodec.seanet import SEANetDecoder, SEANetEncoder, State

PART_STEPS = 1500  # steps that run at once, divided by the batch: 20 s at 24 kHz, some 300 MB of activations


class SegmentCodec(nn.Module):
    """Encoder, quantiser and decoder for single segments; `EncodecModel` codes whole signals with them.

    See `EncodecModel` for the attributes.

    Args:
        config: shape of the model and its bit rates.
    """

    segments_at_once = 1

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        self.quantizer = build(config)
        self.decoder = SEANetDecoder(config.seanet)

    def encode_segments(self, audio: Sequence[Tensor], codebooks: int) -> list[Segment]:
        """Encode segments, each [B, channels, T], in batches of `segments_at_once`."""
        segments: list[Segment] = []
        for parts in runs_of_one_shape(audio, lambda part: part.shape, self.segments_at_once):
            batch = self.encode_segment(torch.cat(parts), codebooks)
            scales = [None] * len(parts) if batch.scale is None else batch.scale.chunk(len(parts))
            segments += map(Segment, batch.codes.chunk(len(parts)), scales)
        return segments

    def decode_segments(self, segments: Sequence[Segment]) -> list[Tensor]:
        """Decode segments to audio, each [B, channels, T * hop], in batches of `segments_at_once`."""
        audio: list[Tensor] = []
        for parts in runs_of_one_shape(segments, lambda segment: segment.codes.shape, self.segments_at_once):
            scales = [part.scale for part in parts if part.scale is not None]
            batch = Segment(torch.cat([part.codes for part in parts]), torch.cat(scales) if scales else None)
            audio += self.decode_segment(batch).chunk(len(parts))
        return audio

    def encode_segment(self, audio: Tensor, codebooks: int) -> Segment:
        """Encode one segment, [B, channels, T], with the first `codebooks` codebooks."""
        latent, scale = self.latent_of(audio)
        return Segment(self.quantizer.encode(latent, codebooks), scale)

    def decode_segment(self, segment: Segment) -> Tensor:
        """Decode one segment to audio, [B, channels, T * hop]."""
        return self.decoded_of(self.quantizer.decode(segment.codes), segment.scale)

    def latent_of(self, audio: Tensor) -> tuple[Tensor, Tensor | None]:
        """Latent, [B, dimension, steps], and scale, [B], of one segment, [B, channels, T].

        A model that normalises divides by the scale sqrt(mean(mono^2)) + 1e-8, where mono is the mean of the channels.
        """
        scale = None
        if self.config.normalize:
            scale = audio.float().mean(dim=1).square().mean(dim=1).sqrt() + 1e-8  # a square may underflow in 16 bits
            audio = (audio / scale[:, None, None]).to(audio.dtype)
        return self._in_parts(self.encoder, audio, self.config.seanet.hop), scale

    def decoded_of(self, latent: Tensor, scale: Tensor | None) -> Tensor:
        """Audio, [B, channels, T * hop], of a quantised latent, [B, dimension, T], and its scale."""
        audio = self._in_parts(self.decoder, latent, 1)
        return audio if scale is None else (audio * scale[:, None, None]).to(audio.dtype)

    @staticmethod
    def part_steps(batch: int) -> int:
        """Steps of a batch that run at once."""
        return max(1, PART_STEPS // batch)

    def _in_parts(self, network: SEANetEncoder | SEANetDecoder, x: Tensor, per_step: int) -> Tensor:
        """Run a network on a signal, [B, C, T]; part by part if it is long, so that memory does not grow with it.

        Args:
            per_step: samples of x per step.
        """
        part = self.part_steps(x.shape[0]) * per_step
        if not self.config.seanet.causal or torch.is_grad_enabled() or x.shape[-1] <= part:
            return network(x)
        state: State = {}
        parts = x.split(part, dim=-1)
        return torch.cat([network.step(p, state, last=index == len(parts)) for index, p in enumerate(parts, 1)], dim=-1)
