"""EnCodec: encoder, quantiser, decoder; the presets encodec_24khz and encodec_48khz (EnCodec paper, section 3)."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Literal, TypeVar

import numpy as np
import torch
from earmark.codec.errors import UserError
from earmark.codec.overlap import overlap_add
from earmark.codec.quantization.rvq import ResidualVectorQuantizer
from earmark.codec.seanet import SEANetConfig, SEANetDecoder, SEANetEncoder
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class EncodecConfig:
    """A model's shape and the bit rates it was trained for.

    Args:
        sample_rate: of the audio in Hz.
        kbps: bit rates in kbps, ascending; the last one uses every codebook.
        segment: seconds that are coded on their own, None for the whole signal.
        overlap: share of a segment that the next one overlaps.
        normalize: divide each segment by its RMS and send that as its scale.
    """

    name: str
    sample_rate: int
    kbps: tuple[float, ...]
    seanet: SEANetConfig
    entries: int = 1024
    segment: float | None = None
    overlap: float = 0.01
    normalize: bool = False

    @property
    def channels(self) -> int:
        return self.seanet.channels

    @property
    def frame_rate(self) -> int:
        """Latent steps per second."""
        return math.ceil(self.sample_rate / self.seanet.hop)

    @property
    def kbps_per_codebook(self) -> float:
        return math.log2(self.entries) * self.frame_rate / 1000

    def codebooks(self, kbps: float | None = None) -> int:
        """Codebooks that make `kbps`, all of them for None.

        Raises:
            UserError: the model has no such bit rate.
        """
        if kbps is None:
            kbps = self.kbps[-1]
        if kbps not in self.kbps:
            raise UserError(f"{self.name}@{kbps:g}: {self.name} has {', '.join(f'{r:g}' for r in self.kbps)} kbps")
        return int(round(kbps / self.kbps_per_codebook, 6))  # 0.87 n / 0.87 may be just below n

    @property
    def segment_samples(self) -> int | None:
        return None if self.segment is None else int(self.segment * self.sample_rate)

    @property
    def stride_samples(self) -> int | None:
        """Samples from the start of one segment to that of the next."""
        samples = self.segment_samples
        return None if samples is None else max(1, int((1 - self.overlap) * samples))

    def segments(self, samples: int) -> list[tuple[int, int]]:
        """Start and end of every segment of a signal."""
        if self.segment_samples is None or self.stride_samples is None:
            return [(0, samples)]
        starts = range(0, samples, self.stride_samples)
        return [(start, min(samples, start + self.segment_samples)) for start in starts]


ENCODEC_24KHZ = EncodecConfig("encodec_24khz", 24000, (1.5, 3.0, 6.0, 12.0, 24.0), SEANetConfig())
ENCODEC_48KHZ = EncodecConfig(
    "encodec_48khz", 48000, (3.0, 6.0, 12.0, 24.0),
    SEANetConfig(channels=2, norm="time_group_norm", causal=False), segment=1.0, normalize=True,
)  # fmt: skip
PRESETS = {config.name: config for config in (ENCODEC_24KHZ, ENCODEC_48KHZ)}


@dataclass(frozen=True)
class Segment:
    """Codes of one segment.

    Args:
        codes: [B, codebooks, T], the entry of each codebook at each latent step.
        scale: [B], by which the decoded segment is multiplied; None where the model does not normalise.
        mask: [B, T], False where a shorter signal of the batch has ended; None where all are of one length.
    """

    codes: Tensor
    scale: Tensor | None
    mask: Tensor | None = None


@dataclass(frozen=True)
class Codes:
    """A coded signal, or a batch of them.

    Args:
        samples: length, of the longest in a batch.
        lengths: of each signal of a batch where they differ.
        from_numpy: the signal was a numpy array, so that its decoding will be one too.
    """

    segments: tuple[Segment, ...]
    samples: int
    lengths: tuple[int, ...] | None = None
    from_numpy: bool = False


_Item = TypeVar("_Item")


class EncodecModel(nn.Module):
    """EnCodec, ready to code: `model.decode(model.encode(audio, kbps=6))`."""

    segments_at_once = 1  # more pay where the convolutions keep to the cache: see codec.fast.accelerate

    def __init__(self, config: EncodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SEANetEncoder(config.seanet)
        self.quantizer = ResidualVectorQuantizer(config.seanet.dimension, config.codebooks(), config.entries)
        self.decoder = SEANetDecoder(config.seanet)

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
        """Audio of a coded signal, [B, channels, T], of the kind that was coded; silence where a shorter one ended."""
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

    def compress(
        self,
        audio: Tensor | NDArray[np.float32],
        kbps: float | None = None,
        format: Literal["earmark", "reference"] = "earmark",
    ) -> bytes:
        """Code one signal as the bytes of an .ecdc file, which names the weights by their hash.

        Args:
            audio, kbps: see `encode`.
            format: ours, in which damage is found, or the public reference's.

        Raises:
            UserError: see `encode`; a batch of several signals.
        """
        from earmark.codec import (
            checkpoints,
            ecdc,  # which need this module
        )

        file = io.BytesIO()
        identity = checkpoints.identity(self) if format == "earmark" else ""
        ecdc.write(file, self.encode(audio, kbps), self.config, format=format, model_identity=identity)
        return file.getvalue()

    def decompress(self, data: bytes) -> Tensor:
        """Audio of the bytes of an .ecdc file, [1, channels, T].

        Raises:
            UserError: no .ecdc file of these weights, or a damaged one; `ecdc.read` gives what is left of that.
        """
        from earmark.codec import checkpoints, ecdc

        contents = ecdc.read(io.BytesIO(data), self.config)
        if contents.header.model_identity:
            contents.header.require_model(self.config, checkpoints.identity(self))
        if contents.damage:
            raise UserError(f"damaged: {contents.damage[0].what}; codec.ecdc.read gives what is left")
        device = self.quantizer.codebooks.device
        segments = (
            Segment(part.codes.to(device), None if part.scale is None else part.scale.to(device))
            for part in contents.codes.segments
        )
        return torch.as_tensor(self.decode(Codes(tuple(segments), contents.codes.samples)))

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
        signal = audio.to(self.quantizer.codebooks.device, torch.float32)
        if signal.ndim == 2:
            signal = signal[None]
        if signal.ndim != 3 or signal.shape[1] != self.config.channels or signal.shape[2] == 0:
            raise UserError(
                f"{self.config.name}: audio of shape {tuple(signal.shape)}; it takes [{self.config.channels}, time]"
            )
        return signal

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
