"""Coding and decoding of recordings piece by piece, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

import numpy as np
import torch

from earmark.codec.audio import Audio
from earmark.codec.audio.blocks import AudioStream, regrouped
from earmark.codec.ecdc.parts import Part, PartReader, PartWriter
from earmark.codec.ecdc.source_facts import SourceFacts
from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError

PIECE_SECONDS = 2.0  # of signal per call of the encoder: long enough to be efficient
RUN_IN_SECONDS = 30.0  # of a decoder with memory, before a part: music at 1.5 kbps needed 16 s to be exact to rounding
FADE_SECONDS = 0.005  # at both ends of a muted stretch


def encode(
    audio: AudioStream, model: EncodecModel, kbps: float | None, writer: PartWriter,
    facts: Callable[[], SourceFacts | None] = lambda: None, piece_seconds: float = PIECE_SECONDS,
) -> Iterator[int]:  # fmt: skip
    """Write a recording as a file of codes, the same as those of `model.encode` for the whole recording.

    Args:
        audio: a recording with the model's sample rate and channels.
        kbps: one of the model's bit rates; the highest for None.
        writer: a file with the number of codebooks that `kbps` needs.
        facts: gives the facts about the source; called after its last sample.
        piece_seconds: length of the pieces.

    Yields:
        The number of samples of each piece, after its codes are written.

    Raises:
        UserError: the model lacks the bit rate, the recording has no samples, or it cannot be read.
    """
    encoder = StreamingEncoder(model, kbps)
    for piece in regrouped(audio.blocks, max(1, round(piece_seconds * model.config.sample_rate))):
        _write(writer, encoder.push(torch.from_numpy(np.ascontiguousarray(piece))[None]))
        yield piece.shape[1]
    if encoder.samples == 0:
        raise UserError(f"{audio.name}: no samples in it at {model.config.sample_rate} Hz")
    _write(writer, encoder.finish())
    writer.close(encoder.samples, facts())


def _write(writer: PartWriter, segments: list[Segment]) -> None:
    for segment in segments:
        writer.write(*segment.to_numpy())


def decode(
    model: EncodecModel, reader: PartReader, name: str, start: int = 0, end: int | None = None
) -> Iterator[Audio]:  # fmt: skip
    """Decode a file, or a part of it, to blocks of float32 [channels, n]; damaged parts are silent.

    A part is what decoding the whole file gives there. For a model with segments the samples are the same bits. Without
    segments the LSTM of the decoder remembers everything before, so decoding begins RUN_IN_SECONDS earlier; the
    difference that remains is that of rounding in float32.

    Args:
        name: the file's name in messages.
        start: first sample.
        end: sample after the last one; None for the end of the signal.

    Raises:
        UserError: no chunk of the file is left, the signal ends before `start`, or the reader fails.
    """
    config = model.config
    begin = max(0, start - round(RUN_IN_SECONDS * config.sample_rate)) if config.segment is None else start
    if start:
        reader.begin_at(begin)
    for position, block in _decoded(model, reader, name, begin if start else 0):
        first, last = max(0, start - position), block.shape[1] if end is None else min(block.shape[1], end - position)
        if last >= first:
            yield block[:, first:last]
        if end is not None and position + block.shape[1] >= end:
            return
    if start and start >= reader.samples:
        seconds = reader.samples / config.sample_rate
        raise UserError(f"{name}: has {seconds:.2f} s; --from lies behind its end")


def _decoded(model: EncodecModel, reader: PartReader, name: str, begin: int) -> Iterator[tuple[int, Audio]]:
    """The signal as blocks, each with its position in samples, from the first part that ends after `begin`."""
    config = model.config
    decoder = StreamingDecoder(model)
    fade = max(1, round(FADE_SECONDS * config.sample_rate))
    position: int | None = None
    held = torch.zeros(config.channels, 0, device=model.device)

    def muted(audio: torch.Tensor, position: int) -> Audio:
        # The reader reports a loss before it yields the substitute. Substitutes for whole segments are silent already.
        lost = [damage.samples for damage in reader.damage if damage.samples] if config.segment is None else []
        return mute(audio.cpu().numpy(), position, lost, fade)

    for first, segment in _segments(reader):
        if position is None:
            if first + _span(segment, model) <= begin:
                continue
            position = first
        held = torch.cat([held, decoder.push(segment.to(model.device))[0]], dim=1)
        # The last step may extend up to one hop beyond the end of the signal, which a pipe announces only at its end.
        ready = max(0, held.shape[1] - config.seanet.hop)
        yield position, muted(held[:, :ready], position)
        position += ready
        held = held[:, ready:]
    if reader.damage and not reader.payload_bytes:
        raise UserError(f"{name}: damaged: no chunk of it is left; copy it again")
    position = begin if position is None else position
    rest = torch.cat([held, decoder.finish()[0]], dim=1)
    yield position, muted(rest[:, : max(0, reader.samples - position)], position)


def _span(segment: Segment, model: EncodecModel) -> int:
    """Number of samples of a segment, or of a piece of the only segment."""
    length = segment.codes.shape[-1] * model.config.seanet.hop
    return min(length, model.config.segment_samples or length)


def _segments(reader: PartReader) -> Iterator[tuple[int, Segment]]:
    """Whole segments, or pieces of the only segment, each with the position of its first sample.

    Lost segments come with scale 0, which makes them silent.
    """
    header = reader.header
    groups: Iterator[list[Part]] = ([part] for part in reader)
    if header.segment is not None and header.steps_per_chunk is None:  # only the public reader splits segments
        groups = (list(group) for _, group in groupby(reader, key=lambda part: part.segment))
    for parts in groups:
        scale = 0.0 if parts[0].lost and header.segment is not None else parts[0].scale
        first = parts[0].segment * (header.stride or 0) + parts[0].first * header.hop
        yield first, Segment.from_numpy(np.concatenate([part.codes for part in parts], axis=1), scale)


def mute(audio: Audio, first: int, lost: Sequence[tuple[int, int]], fade: int) -> Audio:
    """Silence the lost stretches of a signal.

    The signal fades out during the first `fade` samples of a stretch and fades in after its end, where a decoder with
    memory is still wrong. A stretch at the start of the signal needs no fade-out.

    Args:
        audio: a block of the signal, [channels, n].
        first: position of the block in the signal, in samples.
        lost: start and end of each stretch in samples; the end is exclusive.
        fade: length of a fade in samples.
    """
    time = np.arange(first, first + audio.shape[1])
    for start, end in lost:
        if start < first + len(time) and end + fade > first:
            falling = (start - time) / fade + (start > 0)
            rising = (time - end) / fade
            audio = audio * np.maximum(falling, rising).clip(0, 1).astype(np.float32)
    return audio
