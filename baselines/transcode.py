"""Code one recording: convert to the codec's format, encode, decode, convert back, and measure bits and time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from earmark.baselines.interface import Codec, Encoded
from earmark.codec.audio import Audio, fit_length, resample
from earmark.codec.errors import UserError


@dataclass(frozen=True)
class Transcoded:
    """A decoded signal, with its payload and times.

    Args:
        audio: [channels, time] at the rate of the source, and of its length unless the codec may return any.
        payload_bits: total of all channels.
        coded_seconds: coded duration, packets times packet length; None if it is that of the source.
        file_bytes: whether `payload_bits` are those of files of unknown format.
        encode_seconds, decode_seconds: wall-clock time of the codec alone, resampling excluded; None if the codec has
            an attribute `timed` that is False.
        notes: what the codec had to convert, e.g. "22.05 kHz to 24 kHz".
    """

    audio: Audio
    payload_bits: int
    encode_seconds: float | None
    decode_seconds: float | None
    notes: tuple[str, ...] = ()
    coded_seconds: float | None = None
    file_bytes: bool = False


def transcode(codec: Codec, audio: Audio, sample_rate: int, *, any_length: bool = False) -> Transcoded:
    """Run [channels, time] at `sample_rate` Hz through a codec of any native format.

    A mono codec codes the channels of a stereo source independently, at twice the bit rate, which the measured bit
    rate includes. A stereo codec codes a mono source as two equal channels.

    Args:
        any_length: return all that the codec gives, with its delay and padding, for a search of the delay.

    Raises:
        UserError: the codec returns an array of another shape than it was given.
    """
    native = resample(audio, sample_rate, codec.sample_rate)
    if codec.channels == native.shape[0]:
        streams = [native]
    elif codec.channels == 1:
        streams = [channel[None] for channel in native]
    else:
        streams = [np.repeat(native, codec.channels, axis=0)]

    started = time.perf_counter()
    encoded: list[Encoded] = [codec.encode(stream) for stream in streams]
    between = time.perf_counter()
    decoded = [codec.decode(part) for part in encoded]
    ended = time.perf_counter()

    for stream, part in zip(streams, decoded, strict=True):
        if part.ndim != 2 or part.shape[0] != stream.shape[0] or (part.shape != stream.shape and not any_length):
            raise UserError(
                f"its decoder returned an array {list(part.shape)} for a source {list(stream.shape)}; return "
                "[channels, time] of the same size, without the codec's delay"
            )
    longest = max(part.shape[-1] for part in decoded)
    joined = np.concatenate([fit_length(part, longest) for part in decoded]) if len(decoded) > 1 else decoded[0]
    if joined.shape[0] > audio.shape[0]:
        joined = joined.mean(axis=0, keepdims=True)
    back = resample(joined, codec.sample_rate, sample_rate)
    if not any_length:
        back = fit_length(back, audio.shape[-1])
    payload = sum(part.payload_bits for part in encoded)
    notes = tuple(getattr(codec, "converted", ()))
    timed = getattr(codec, "timed", True)
    return Transcoded(
        back, payload, between - started if timed else None, ended - between if timed else None, notes,
        coded_seconds=max((part.seconds for part in encoded if part.seconds is not None), default=None),
        file_bytes=any(part.file_bytes for part in encoded),
    )  # fmt: skip
