"""Coding and decoding of recordings piece by piece, in memory that does not grow with their length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch

from earmark.codec.audio import Audio
from earmark.codec.audio.blocks import AudioStream, regrouped
from earmark.codec.ecdc.parts import Part, PartReader, PartWriter
from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError

PIECE_SECONDS = 2.0  # of signal per call of the encoder: long enough to be efficient
FADE_SECONDS = 0.005  # at both ends of a muted stretch


def encode(audio: AudioStream, model: EncodecModel, kbps: float | None, writer: PartWriter) -> Iterator[int]:
    """Write a recording as a file of codes, the same as those of `model.encode` for the whole recording.

    Args:
        audio: a recording with the model's sample rate and channels.
        kbps: one of the model's bit rates; the highest for None.
        writer: a file with the number of codebooks that `kbps` needs.

    Yields:
        The number of samples of each piece, after its codes are written.

    Raises:
        UserError: the model lacks the bit rate, the recording has no samples, or it cannot be read.
    """
    encoder = StreamingEncoder(model, kbps)
    for piece in regrouped(audio.blocks, round(PIECE_SECONDS * model.config.sample_rate)):
        _write(writer, encoder.push(torch.from_numpy(np.ascontiguousarray(piece))[None]))
        yield piece.shape[1]
    if encoder.samples == 0:
        raise UserError(f"{audio.name}: no samples in it at {model.config.sample_rate} Hz")
    _write(writer, encoder.finish())
    writer.close(encoder.samples)


def _write(writer: PartWriter, segments: list[Segment]) -> None:
    for segment in segments:
        writer.write(*segment.to_numpy())


def decode(model: EncodecModel, reader: PartReader, name: str) -> Iterator[Audio]:
    """Decode a file to blocks of float32 [channels, n], `reader.samples` samples in all; damaged parts are silent.

    Args:
        name: the file's name in messages.

    Raises:
        UserError: no chunk of the file is left, or the reader fails.
    """
    config = model.config
    decoder = StreamingDecoder(model)
    fade = max(1, round(FADE_SECONDS * config.sample_rate))
    position = 0
    held = torch.zeros(config.channels, 0, device=model.device)

    def muted(audio: torch.Tensor) -> Audio:
        # The reader reports a loss before it yields the substitute. Substitutes for whole segments are silent already.
        lost = [damage.samples for damage in reader.damage if damage.samples] if config.segment is None else []
        return mute(audio.cpu().numpy(), position, lost, fade)

    for segment in _segments(reader):
        held = torch.cat([held, decoder.push(segment.to(model.device))[0]], dim=1)
        # The last step may extend up to one hop beyond the end of the signal, which a pipe announces only at its end.
        ready = max(0, held.shape[1] - config.seanet.hop)
        yield muted(held[:, :ready])
        position += ready
        held = held[:, ready:]
    if reader.damage and not reader.payload_bytes:
        raise UserError(f"{name}: damaged: no chunk of it is left; copy it again")
    rest = torch.cat([held, decoder.finish()[0]], dim=1)
    yield muted(rest[:, : max(0, reader.samples - position)])


def _segments(reader: PartReader) -> Iterator[Segment]:
    """Whole segments, or pieces of the only segment; lost segments come with scale 0, which makes them silent."""
    header = reader.header
    groups: Iterator[list[Part]] = ([part] for part in reader)
    if header.segment is not None and header.steps_per_chunk is None:  # only the public reader splits segments
        groups = (list(group) for _, group in groupby(reader, key=lambda part: part.segment))
    for parts in groups:
        scale = 0.0 if parts[0].lost and header.segment is not None else parts[0].scale
        yield Segment.from_numpy(np.concatenate([part.codes for part in parts], axis=1), scale)


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
