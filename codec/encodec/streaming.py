"""Coding piece by piece: the same codes and samples as the whole signal gives (EnCodec paper, sections 3.1 and 4.6)."""

from __future__ import annotations

import torch
from torch import Tensor

from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.overlap import cross_fade_weight
from earmark.codec.encodec.seanet import State
from earmark.codec.errors import UserError


class StreamingEncoder:
    """Codes a signal that comes in pieces of any length.

    A model without segments (encodec_24khz) continues one segment: what `push` returns is to be joined in time. At the
    very start its convolutions reflect what has not come yet, so that the first codes are out after 7 latent steps;
    from there on each hop of 320 samples gives its codes at once, a latency of 13.3 ms at 24 kHz. A model with segments
    (encodec_48khz) returns each segment when it is complete.

    Args:
        model: in evaluation mode.
        kbps: one of the model's bit rates; the highest for None.
    """

    def __init__(self, model: EncodecModel, kbps: float | None = None) -> None:
        self._model = model
        self._count = model.config.codebooks(kbps)
        self._state: State = {}
        self._pending: Tensor | None = None  # of a segment that is not complete
        self._batch = 1
        self._finished = False
        self.samples = 0

    @torch.inference_mode()
    def push(self, audio: Tensor) -> list[Segment]:
        """Continue the signal by [B, channels, n]; no, one, or for long pieces several segments come back.

        Raises:
            UserError: see `EncodecModel.signal`.
            ValueError: the signal was ended.
        """
        if self._finished:
            raise ValueError("push after finish: each signal needs a StreamingEncoder of its own")
        audio = self._model.signal(audio).clone()  # parts are kept, and the caller may fill the same buffer again
        self.samples += audio.shape[-1]
        self._batch = audio.shape[0]
        if self._model.config.segment_samples is None:
            return self._continue(audio, last=False)
        return self._whole_segments(audio)

    @torch.inference_mode()
    def finish(self) -> list[Segment]:
        """End the signal."""
        config, self._finished = self._model.config, True
        if self.samples == 0:
            return []
        if config.segment_samples is None:
            return self._continue(self._model.quantizer.codebooks.new_zeros(self._batch, config.channels, 0), last=True)
        assert self._pending is not None
        starts = range(0, self._pending.shape[-1], config.stride_samples or 1)
        return self._model.encode_segments([self._pending[..., start:] for start in starts], self._count)

    def _continue(self, audio: Tensor, last: bool) -> list[Segment]:
        latent = self._model.encoder.step(audio, self._state, last)
        if latent.shape[-1] == 0:
            return []
        return [Segment(self._model.quantizer.encode(latent, self._count), None)]

    def _whole_segments(self, audio: Tensor) -> list[Segment]:
        config = self._model.config
        assert config.segment_samples is not None
        assert config.stride_samples is not None
        pending = audio if self._pending is None else torch.cat([self._pending, audio], dim=-1)
        complete = []
        while pending.shape[-1] >= config.segment_samples:
            complete.append(pending[..., : config.segment_samples])
            pending = pending[..., config.stride_samples :]
        self._pending = pending
        return self._model.encode_segments(complete, self._count)


class StreamingDecoder:
    """Decodes segments, or pieces of one, as they come.

    Args:
        model: in evaluation mode.
        samples: length of the signal, beyond which nothing comes out; None where it is not known.
    """

    def __init__(self, model: EncodecModel, samples: int | None = None) -> None:
        self._model = model
        self._left = samples
        self._state: State = {}
        self._weighted: Tensor | None = None  # overlap-add of what may still be added to, and the sum of its weights
        self._weights = torch.zeros(0)
        self._window: Tensor | None = None  # weight of the first segment, as in overlap_add
        self._batch = 1

    @torch.inference_mode()
    def push(self, segment: Segment) -> Tensor:
        """Continue by a segment, or by a piece of one for a model without segments; [B, channels, n] that is final."""
        self._batch = segment.codes.shape[0]
        latent = self._model.quantizer.decode(segment.codes)
        if self._model.config.segment_samples is None:
            return self._cut(self._model.decoder.step(latent, self._state, last=False))
        return self._cut(self._add(self._model.decode_segment(segment)))

    @torch.inference_mode()
    def finish(self) -> Tensor:
        """End the signal: what is left of it, [B, channels, n]."""
        config = self._model.config
        codebooks = self._model.quantizer.codebooks
        rest = codebooks.new_zeros(self._batch, config.channels, 0)
        if self._weighted is not None:
            rest = self._weighted / self._weights
        elif self._state:
            nothing = codebooks.new_zeros(self._batch, config.seanet.dimension, 0)
            rest = self._model.decoder.step(nothing, self._state, last=True)
        rest = self._cut(rest)
        if self._left:
            raise UserError(f"{self._left} samples are missing at the end of the stream; it was cut short")
        return rest

    def _add(self, part: Tensor) -> Tensor:
        """Overlap-add one more segment; what no later segment can reach is final."""
        config = self._model.config
        assert config.stride_samples is not None
        if self._window is None:
            self._window = cross_fade_weight(part.shape[-1], part)
        weight = self._window[: part.shape[-1]]
        final = part[..., :0]
        rest, weights = part.new_zeros(*part.shape[:-1], 0), weight[:0]
        if self._weighted is not None:
            final = self._weighted[..., : config.stride_samples] / self._weights[: config.stride_samples]
            rest, weights = self._weighted[..., config.stride_samples :], self._weights[config.stride_samples :]
        length = max(rest.shape[-1], part.shape[-1])
        self._weighted, self._weights = part.new_zeros(*part.shape[:-1], length), weight.new_zeros(length)
        for signal, its_weights in ((rest, weights), (weight * part, weight)):
            self._weighted[..., : signal.shape[-1]] += signal
            self._weights[: its_weights.shape[-1]] += its_weights
        return final

    def _cut(self, audio: Tensor) -> Tensor:
        if self._left is not None:
            audio = audio[..., : self._left]
            self._left -= audio.shape[-1]
        return audio
