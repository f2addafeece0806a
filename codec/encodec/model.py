"""EnCodec: encoder, quantizer, decoder (EnCodec paper, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, zip_longest
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.overlap import overlap_add
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.encodec.seanet import SEANetDecoder, SEANetEncoder
from earmark.codec.errors import UserError

_Item = TypeVar("_Item")


class EncodecModel(nn.Module):
    """EnCodec, ready to code: `model.decode(model.encode(audio, kbps=6))`."""

    segments_at_once = 1  # more pay where the convolutions keep to the cache: see codec.fast.accelerate

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        self.quantizer = ResidualVectorQuantizer(config.seanet.dimension, config.codebooks(), config.codebook_size)
        self.decoder = SEANetDecoder(config.seanet)

    @property
    def device(self) -> torch.device:
        return self.quantizer.codebooks.device

    @torch.inference_mode()
    def encode(
        self, audio: Tensor | NDArray[np.float32], kbps: float | None = None, lengths: Sequence[int] | None = None
    ) -> Codes:
        """Code a signal.

        Args:
            audio: [channels, T] or [B, channels, T] at the model's sample rate, full scale at +-1.
            kbps: one of the model's bit rates; the highest for None.
            lengths: samples of each signal of the batch where they differ; each is coded as if it were alone.

        Raises:
            UserError: the model has no such bit rate; see `signal`; lengths that are not those of parts of the batch.
        """
        signal = self.signal(audio)
        count = self.config.codebooks(kbps)
        if lengths is not None:
            lengths = self._checked(lengths, signal)
        if lengths is None or set(lengths) == {signal.shape[-1]}:
            bounds = self.config.segments(signal.shape[-1])
            segments = tuple(self.encode_segments([signal[..., start:end] for start, end in bounds], count))
        else:
            alone = [self.encode(signal[i : i + 1, :, :n], kbps).segments for i, n in enumerate(lengths)]
            segments = tuple(_stack(column) for column in zip_longest(*alone))
        return Codes(segments, signal.shape[-1], tuple(lengths) if lengths else None, isinstance(audio, np.ndarray))

    @torch.inference_mode()
    def decode(self, codes: Codes) -> Tensor | NDArray[np.float32]:
        """Decode to audio [B, channels, T], with silence after the end of the shorter signals of a batch.

        Args:
            codes: on any device; they are moved to the model's.

        Returns:
            A numpy array if the codes come from `Codes.from_array` or if a numpy array was encoded, else a tensor.

        Raises:
            UserError: codes of more codebooks, or of larger codebooks, than the model's.
        """
        codes = codes.to(self.device)
        for segment in codes.segments:
            self._require_codes(segment.codes)
        if not codes.segments:
            audio = self.quantizer.codebooks.new_zeros(1, self.config.channels, codes.samples)
        elif codes.segments[0].mask is None:
            parts = self.decode_segments(codes.segments)
            audio = overlap_add(parts, self.config.stride_samples or 0)[..., : codes.samples]
        else:
            assert codes.lengths is not None
            audio = self.quantizer.codebooks.new_zeros(len(codes.lengths), self.config.channels, codes.samples)
            for index, length in enumerate(codes.lengths):
                parts = self.decode_segments([p for s in codes.segments if (p := _unstack(s, index)) is not None])
                audio[index, :, :length] = overlap_add(parts, self.config.stride_samples or 0)[0, :, :length]
        return audio.cpu().numpy() if codes.from_numpy else audio

    def encode_segments(self, audio: Sequence[Tensor], codebooks: int) -> list[Segment]:
        """Code segments, [B, channels, T] each, as many of one length at once as `segments_at_once` says."""
        segments: list[Segment] = []
        for parts in _alike(audio, lambda part: part.shape, self.segments_at_once):
            batch = self.encode_segment(torch.cat(parts), codebooks)
            scales = [None] * len(parts) if batch.scale is None else batch.scale.chunk(len(parts))
            segments += map(Segment, batch.codes.chunk(len(parts)), scales)
        return segments

    def decode_segments(self, segments: Sequence[Segment]) -> list[Tensor]:
        """Audio of each segment, [B, channels, T * hop]; as many at once as in coding."""
        audio: list[Tensor] = []
        for parts in _alike(segments, lambda segment: segment.codes.shape, self.segments_at_once):
            scales = [part.scale for part in parts if part.scale is not None]
            batch = Segment(torch.cat([part.codes for part in parts]), torch.cat(scales) if scales else None)
            audio += self.decode_segment(batch).chunk(len(parts))
        return audio

    def encode_segment(self, audio: Tensor, codebooks: int) -> Segment:
        """Code one segment, [B, channels, T], by the first `codebooks` codebooks."""
        scale = None
        if self.config.normalize:
            scale = audio.mean(dim=1).square().mean(dim=1).sqrt() + 1e-8
            audio = audio / scale[:, None, None]
        return Segment(self.quantizer.encode(self.encoder(audio), codebooks), scale)

    def decode_segment(self, segment: Segment) -> Tensor:
        """Audio of one segment, [B, channels, T * hop]."""
        audio: Tensor = self.decoder(self.quantizer.decode(segment.codes))
        return audio if segment.scale is None else audio * segment.scale[:, None, None]

    def signal(self, audio: Tensor | NDArray[np.float32]) -> Tensor:
        """Audio as the model takes it, [B, channels, T] where it is, of [channels, T] or [B, channels, T].

        Raises:
            UserError: another number of channels, no samples, or integers, which have another full scale.
        """
        if isinstance(audio, np.ndarray):
            audio = torch.from_numpy(np.ascontiguousarray(audio))
        if not audio.is_floating_point():
            raise UserError(f"{self.config.name}: audio of {audio.dtype}; it takes floating point, full scale at +-1")
        signal = audio.to(self.device, torch.float32)
        if signal.ndim == 2:
            signal = signal[None]
        if signal.ndim != 3 or signal.shape[1] != self.config.channels or signal.shape[2] == 0:
            raise UserError(
                f"{self.config.name}: audio of shape {tuple(signal.shape)}; it takes [{self.config.channels}, time]"
            )
        return signal

    def _require_codes(self, codes: Tensor) -> None:
        codebooks, size, _ = self.quantizer.codebooks.shape
        if codes.shape[1] > codebooks:
            raise UserError(f"codes of {codes.shape[1]} codebooks; {self.config.name} has {codebooks}")
        if codes.numel() and (largest := int(codes.amax())) >= size:
            raise UserError(f"code {largest}; the codebooks of {self.config.name} have the codewords 0 to {size - 1}")

    def _checked(self, lengths: Sequence[int], signal: Tensor) -> list[int]:
        batch, _, longest = signal.shape
        lengths = [int(length) for length in lengths]
        if len(lengths) != batch or not all(1 <= length <= longest for length in lengths):
            raise UserError(
                f"{self.config.name}: lengths {lengths} of a batch of {batch}; it takes one of 1 to {longest} for each"
            )
        return lengths


def _alike(items: Sequence[_Item], shape: Callable[[_Item], torch.Size], count: int) -> Iterator[list[_Item]]:
    """Neighbours of one shape, [B, ...], up to `count` signals together, and at least one item."""
    for (batch, *_), group in groupby(items, shape):
        run, size = list(group), max(1, count // batch)
        yield from (run[start : start + size] for start in range(0, len(run), size))


def _stack(parts: tuple[Segment | None, ...]) -> Segment:
    """The same segment of several signals as one batch; None where a signal has ended before it."""
    some = next(part for part in parts if part is not None)
    steps = max(part.codes.shape[-1] for part in parts if part is not None)
    codes = some.codes.new_zeros(len(parts), some.codes.shape[1], steps)
    mask = torch.zeros(len(parts), steps, dtype=torch.bool, device=codes.device)
    scale = None if some.scale is None else some.scale.new_zeros(len(parts))
    for index, part in enumerate(parts):
        if part is not None:
            length = part.codes.shape[-1]
            codes[index, :, :length] = part.codes[0]
            mask[index, :length] = True
            if scale is not None and part.scale is not None:
                scale[index] = part.scale[0]
    return Segment(codes, scale, mask)


def _unstack(segment: Segment, index: int) -> Segment | None:
    """One signal's part of a batch of different lengths, None where it has ended."""
    assert segment.mask is not None
    length = int(segment.mask[index].sum())
    if length == 0:
        return None
    scale = None if segment.scale is None else segment.scale[index : index + 1]
    return Segment(segment.codes[index : index + 1, :, :length], scale)
