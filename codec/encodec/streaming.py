"""Streaming: codes and samples equal to those of the whole signal (EnCodec paper, sections 3.1 and 4.6)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.overlap import cross_fade_weight
from earmark.codec.encodec.seanet import State
from earmark.codec.errors import UserError


class StreamingEncoder:
    """Encodes a signal that arrives in parts of any length.

    A model without segments (encodec_24khz) codes the signal as one segment, whose parts `push` returns: concatenate
    their codes along time. At the start its convolutions reflect samples that have not arrived yet, so the first codes
    come after 7 steps. From then on every hop of 320 samples gives its codes at once: a latency of 13.3 ms at 24 kHz.
    A model with segments (encodec_48khz) returns each segment when it is complete. A model that looks ahead and has no
    segments (encodec_32khz) cannot stream: all its codes come from `finish`.

    Examples:
        >>> encoder = StreamingEncoder(model, kbps=6)
        >>> segments = [segment for part in audio.split(480, dim=-1) for segment in encoder.push(part)]
        >>> segments += encoder.finish()

    Attributes:
        samples: number of samples received so far.

    Args:
        model: model in evaluation mode.
        kbps: one of the model's bit rates; default: the highest.

    Raises:
        UserError: if the model was not trained for this bit rate.
    """

    def __init__(self, model: EncodecModel, kbps: float | None = None) -> None:
        self._model = model
        self._count = model.config.codebooks(kbps)
        self._state: State = {}
        self._pending: Tensor | None = None  # samples of the segment that is not complete yet
        self._waiting: list[Tensor] = []  # the signal so far, for a model that needs all of it
        self._batch = 1
        self._finished = False
        self.samples = 0

    @torch.no_grad()
    def push(self, audio: Tensor | NDArray[np.float32]) -> list[Segment]:
        """Encode the next part of the signal.

        Args:
            audio: [channels, n] or [B, channels, n] at the model's sample rate, full scale at +-1. The caller may
                reuse its memory afterwards.

        Returns:
            New segments, or the next part of the only segment; empty until enough samples have arrived.

        Raises:
            UserError: if the shape or type does not suit the model; see `EncodecModel.signal`.
            ValueError: if the signal has already been ended by `finish`.
        """
        if self._finished:
            raise ValueError("push after finish: each signal needs a StreamingEncoder of its own")
        signal = self._model.signal(audio).clone()  # the state keeps parts of it, and the caller may reuse its buffer
        self.samples += signal.shape[-1]
        self._batch = signal.shape[0]
        if self._model.config.segment_samples is None:
            if self._model.config.seanet.causal:
                return self._continue(signal, last=False)
            self._waiting.append(signal)
            return []
        return self._whole_segments(signal)

    @torch.no_grad()
    def finish(self) -> list[Segment]:
        """End the signal and return the segments, or the part of the only segment, that remain."""
        config, self._finished = self._model.config, True
        if self.samples == 0:
            return []
        if config.segment_samples is None and not config.seanet.causal:
            return self._model.encode_segments([torch.cat(self._waiting, dim=-1)], self._count)
        if config.segment_samples is None:
            return self._continue(self._model.quantizer.like.new_zeros(self._batch, config.channels, 0), last=True)
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
    """Decodes the segments of a signal, or the parts of its only segment, as they arrive.

    Args:
        model: model in evaluation mode.
        samples: length of the signal, at which the output is cut; None if it is not known.
    """

    def __init__(self, model: EncodecModel, samples: int | None = None) -> None:
        self._model = model
        self._left = samples
        self._state: State = {}
        self._waiting: list[Tensor] = []  # codes so far, for a model that needs all of them
        self._weighted: Tensor | None = None  # weighted sum of the samples that later segments may still reach
        self._weights = torch.zeros(0)  # sum of the weights in it
        self._window: Tensor | None = None  # weight of a whole segment, as in overlap_add
        self._batch = 1

    @torch.no_grad()
    def push(self, segment: Segment) -> Tensor:
        """Decode the next segment, or the next part of the only segment.

        Returns:
            The samples that no later segment changes, [B, channels, n]; n may be 0.
        """
        self._batch = segment.codes.shape[0]
        if self._model.config.segment_samples is None and not self._model.config.seanet.causal:
            self._waiting.append(segment.codes)
            return self._cut(self._model.quantizer.like.new_zeros(self._batch, self._model.config.channels, 0))
        if self._model.config.segment_samples is None:
            latent = self._model.quantizer.decode(segment.codes)
            return self._cut(self._model.decoder.step(latent, self._state, last=False))
        return self._cut(self._add(self._model.decode_segment(segment).float()).to(self._model.dtype))

    @torch.no_grad()
    def finish(self) -> Tensor:
        """End the signal and return its remaining samples, [B, channels, n].

        Raises:
            UserError: if the codes were worth fewer than `samples` samples.
        """
        config = self._model.config
        like = self._model.quantizer.like
        rest = like.new_zeros(self._batch, config.channels, 0)
        if self._waiting:
            rest = self._model.decode_segment(Segment(torch.cat(self._waiting, dim=-1), None))
        elif self._weighted is not None:
            rest = (self._weighted / self._weights).to(self._model.dtype)
        elif self._state:
            nothing = like.new_zeros(self._batch, config.seanet.dimension, 0)
            rest = self._model.decoder.step(nothing, self._state, last=True)
        rest = self._cut(rest)
        if self._left:
            raise UserError(f"{self._left} samples are missing at the end of the stream; it was cut short")
        return rest

    def _add(self, part: Tensor) -> Tensor:
        """Overlap-add one more segment and return the samples that no later segment reaches."""
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
