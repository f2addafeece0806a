"""FFmpeg's audio codecs, through PyAV: a signal to packets, and packets to a signal."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence

import numpy as np

from earmark.codec.audio import Audio, fit_length


def missing(*codecs: str) -> str | None:
    """Return one line on what to install if PyAV lacks one of these codecs; None if it has them all."""
    if importlib.util.find_spec("av") is None:
        return "PyAV is not installed; run `pip install av`"
    import av

    absent = [codec for codec in codecs if codec not in av.codecs_available]
    if absent:
        return f"this build of PyAV has no {absent[0]}; run `pip install --only-binary av --force-reinstall av`"
    return None


def version() -> str:
    """FFmpeg's version, e.g. "FFmpeg 8.1.2"."""
    import av

    return f"FFmpeg {av.ffmpeg_version_info}"


def encode(codec: str, audio: Audio, sample_rate: int, bits_per_second: int) -> list[bytes]:
    """Encode [channels, time], padded with zeros to whole frames; the packets include the encoder's own padding."""
    import av

    layout = _layout(audio.shape[0])
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate = sample_rate
    encoder.layout = layout
    encoder.format = "fltp"
    encoder.bit_rate = bits_per_second
    encoder.open()
    size = encoder.frame_size
    padded = fit_length(audio, -(-audio.shape[-1] // size) * size)

    def frames() -> Iterator[av.AudioFrame | None]:
        for start in range(0, padded.shape[-1], size):
            part = np.ascontiguousarray(padded[:, start : start + size])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate = sample_rate
            frame.pts = start
            yield frame
        yield None

    return [bytes(packet) for frame in frames() for packet in encoder.encode(frame)]


def decode(
    codec: str, packets: Sequence[bytes], sample_rate: int, channels: int, extradata: bytes | None = None
) -> Audio:
    """Decode to [channels, time] in float32; the codec's delay is still at the start.

    Args:
        extradata: parameters of the decoder that no packet has, e.g. the AudioSpecificConfig of AAC.
    """
    import av

    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate = sample_rate
    decoder.layout = _layout(channels)
    decoder.extradata = extradata
    flushed = [*map(av.Packet, packets), None]
    audio = np.concatenate([frame.to_ndarray() for packet in flushed for frame in decoder.decode(packet)], axis=1)
    if audio.dtype == np.int16:
        return (audio / 32768).astype(np.float32)
    return audio.astype(np.float32, copy=False)


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
