"""A recording to codes and back, piece by piece: memory does not grow with its length."""

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

PIECE_SECONDS = 2.0  # of the signal between one call of the encoder and the next: long enough to be efficient
FADE_SECONDS = 0.005


def encode(audio: AudioStream, model: EncodecModel, kbps: float | None, writer: PartWriter) -> Iterator[int]:
    """Code a recording, with the codes that `model.encode` gives for the whole, and end the file.

    Args:
        audio: at the model's sample rate and with its channels.
        writer: for as many codebooks as `kbps` stands for.

    Yields:
        The number of samples of each piece, when its codes have gone to `writer`.

    Raises:
        UserError: no such bit rate, no samples, or what `audio` raises.
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
    """Decode a file to blocks of float32 [channels, n], `reader.samples` in all; what was lost is silent.

    Args:
        name: what to call the file in messages.

    Raises:
        UserError: nothing of the file is left, or what `reader` raises.
    """
    config = model.config
    decoder = StreamingDecoder(model)
    fade = max(1, round(FADE_SECONDS * config.sample_rate))
    position = 0
    held = torch.zeros(config.channels, 0, device=model.device)

    def muted(audio: torch.Tensor) -> Audio:
        # The reader tells of a loss before its stand-in is decoded. Segments have stand-ins that are silent already.
        lost = [damage.samples for damage in reader.damage if damage.samples] if config.segment is None else []
        return mute(audio.cpu().numpy(), position, lost, fade)

    for segment in _segments(reader):
        held = torch.cat([held, decoder.push(segment.to(model.device))[0]], dim=1)
        # The last step may reach up to a hop beyond the end, which a file from a pipe tells only when it comes.
        ready = max(0, held.shape[1] - config.seanet.hop)
        yield muted(held[:, :ready])
        position += ready
        held = held[:, ready:]
    if reader.damage and not reader.payload_bytes:
        raise UserError(f"{name}: damaged: no chunk of it is left; copy it again")
    rest = torch.cat([held, decoder.finish()[0]], dim=1)
    yield muted(rest[:, : max(0, reader.samples - position)])


def _segments(reader: PartReader) -> Iterator[Segment]:
    """Whole segments, or pieces of the only one; silent ones for those that were lost."""
    header = reader.header
    groups: Iterator[list[Part]] = ([part] for part in reader)
    if header.segment is not None and header.steps_per_chunk is None:  # only the public reader cuts segments
        groups = (list(group) for _, group in groupby(reader, key=lambda part: part.segment))
    for parts in groups:
        scale = 0.0 if parts[0].lost and header.segment is not None else parts[0].scale
        yield Segment.from_numpy(np.concatenate([part.codes for part in parts], axis=1), scale)


def mute(audio: Audio, first: int, lost: Sequence[tuple[int, int]], fade: int) -> Audio:
    """Silence stretches of a signal.

    A stretch fades out in its first `fade` samples, and the signal fades in after its end: there a decoder with memory
    is wrong still. Where a stretch begins the signal nothing is to be faded out.

    Args:
        audio: [channels, n], of which the first sample is sample `first` of the signal.
        lost: the first sample of each stretch and the one after its last.
    """
    time = np.arange(first, first + audio.shape[1])
    for start, end in lost:
        if start < first + len(time) and end + fade > first:
            falling = (start - time) / fade + (start > 0)
            rising = (time - end) / fade
            audio = audio * np.maximum(falling, rising).clip(0, 1).astype(np.float32)
    return audio
