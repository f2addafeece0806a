"""Payload and coded time of bitstream files in known formats: packets without container, times their length.

Ogg, MP4, Matroska, MP3, FLAC and CAF are read through FFmpeg (PyAV); WAV, ADTS, AMR and G.192 here.
"""

from __future__ import annotations

import io
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from earmark.baselines import g192

# Bits of speech per frame of 20 ms by frame type (3GPP TS 26.101, table 1a; TS 26.201, table 2); SID frames, no data.
AMR_BITS = (95, 103, 118, 134, 148, 159, 204, 244, 39)
AMR_WB_BITS = (132, 177, 253, 285, 317, 365, 397, 461, 477, 40)
AMR_BYTES = tuple(-(-bits // 8) for bits in AMR_BITS)
AMR_WB_BYTES = tuple(-(-bits // 8) for bits in AMR_WB_BITS)
AMR_SECONDS = 0.02
ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
SNDFILE_TAGS = (1, 2, 3, 6, 7, 17, 49, 0xFFFE)  # of formats in WAV that libsndfile knows: PCM, ADPCM, G.711, GSM
THROUGH_FFMPEG = {
    "ogg": "Ogg",
    "mov": "MP4",
    "matroska": "Matroska",
    "mp3": "MP3",
    "flac": "FLAC",
    "caf": "CAF",
    "wav": "WAV",
}


@dataclass(frozen=True)
class Payload:
    """Payload of a bitstream.

    Args:
        bits: total of all packets.
        seconds: coded duration, packets times packet length.
        container: name of the file's format.
    """

    bits: int
    seconds: float
    container: str


def payload(content: bytes) -> Payload | None:
    """The payload of a bitstream file; None if its format is not known, or if it is damaged.

    Args:
        content: the whole file. Its format is known by its content alone.
    """
    try:
        for read in (_amr, _wav, _g192, _adts):
            if (found := read(content)) is not None:
                break
        else:
            name = _format(content)
            found = None if name is None else _through_ffmpeg(content, name)
    except (ValueError, IndexError, struct.error, RuntimeError):  # RuntimeError: of libsndfile
        return None
    return found if found is not None and found.bits > 0 and found.seconds > 0 else None


def _amr(content: bytes) -> Payload | None:
    """RFC 4867, section 5: a frame is a byte with its type and the speech bits, padded to whole bytes."""
    for magic, bits, sizes in ((b"#!AMR-WB\n", AMR_WB_BITS, AMR_WB_BYTES), (b"#!AMR\n", AMR_BITS, AMR_BYTES)):
        if content.startswith(magic):
            position, total, frames = len(magic), 0, 0
            while position < len(content):
                kind = content[position] >> 3 & 15
                known = kind < len(bits)  # others have no speech bits
                total += bits[kind] if known else 0
                position += 1 + (sizes[kind] if known else 0)
                frames += 1
            return Payload(total, frames * AMR_SECONDS, "AMR")
    return None


def _wav(content: bytes) -> Payload | None:
    """RIFF: the data chunk counts, whose duration follows from its blocks."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    import soundfile

    data, position = 0, 12
    while position + 8 <= len(content) and not data:
        name, length = struct.unpack_from("<4sI", content, position)
        if name == b"data":
            data = min(length, len(content) - position - 8)
        position += 8 + length + length % 2
    if struct.unpack_from("<H", content, 20)[0] not in SNDFILE_TAGS:
        return _through_ffmpeg(content, "wav")
    info = soundfile.info(io.BytesIO(content))
    return Payload(8 * data, info.frames / info.samplerate, "WAV")


def _g192(content: bytes) -> Payload | None:
    """ITU-T G.192; a frame counts as 20 ms, as of AMR-WB, EVS and most coders with such files."""
    if content[:2] != g192.SYNC.to_bytes(2, "little"):
        return None
    frames = g192.unpack(content)
    return Payload(sum(8 * len(frame) for frame in frames), len(frames) * AMR_SECONDS, "G.192")


def _adts(content: bytes) -> Payload | None:
    """ISO/IEC 14496-3, 1.A.2.2: frames of 1024 samples with headers of 7 bytes, 9 with a CRC."""
    if content[:1] != b"\xff" or content[1] & 0xF6 != 0xF0:
        return None
    position = bits = frames = 0
    rate = ADTS_RATES[content[2] >> 2 & 15]
    while position + 7 <= len(content):
        if content[position] != 0xFF or content[position + 1] & 0xF6 != 0xF0:
            return None
        length = (content[position + 3] & 3) << 11 | content[position + 4] << 3 | content[position + 5] >> 5
        header = 7 if content[position + 1] & 1 else 9
        if length <= header:
            return None
        bits += 8 * (length - header)
        frames += 1 + (content[position + 6] & 3)
        position += length
    return Payload(bits, frames * 1024 / rate, "ADTS")


def _through_ffmpeg(content: bytes, name: str) -> Payload | None:
    """The packets of the first audio track, without headers that FFmpeg hands to a decoder apart."""
    import av

    try:
        with av.open(io.BytesIO(content), "r", format=name) as container:
            if not container.streams.audio:
                return None
            stream = container.streams.audio[0]
            time_base = stream.time_base or Fraction(1, stream.rate)
            frame = stream.codec_context.frame_size
            codec = stream.codec_context.name
            bits, lengths = 0, []
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                bits += 8 * packet.size
                if codec.endswith("opus"):
                    lengths.append(opus_seconds(bytes(packet)))
                elif frame and name != "ogg":
                    lengths.append(Fraction(frame, stream.rate))
                else:
                    lengths.append((packet.duration or 0) * (packet.time_base or time_base))
    except av.FFmpegError:
        return None
    if "speex" in codec and lengths:  # the container cuts the last packet, and the first by the encoder's delay
        lengths = [Counter(lengths).most_common(1)[0][0]] * len(lengths)
    return Payload(bits, float(sum(lengths)), THROUGH_FFMPEG[name])


def opus_seconds(packet: bytes) -> Fraction:
    """Coded duration of an Opus packet (RFC 6716, section 3.1): the length of a frame times the number of frames."""
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        milliseconds = Fraction((10, 20, 40, 60)[configuration % 4])
    elif configuration < 16:
        milliseconds = Fraction((10, 20)[configuration % 2])
    else:
        milliseconds = Fraction((5, 10, 20, 40)[configuration % 4], 2)
    return milliseconds / 1000 * (1 if code == 0 else 2 if code < 3 else packet[1] & 63)


def _format(content: bytes) -> str | None:
    """FFmpeg's name of a container, by the first bytes."""
    starts = {b"OggS": "ogg", b"\x1a\x45\xdf\xa3": "matroska", b"fLaC": "flac", b"caff": "caf", b"ID3": "mp3"}
    for magic, name in starts.items():
        if content.startswith(magic):
            return name
    if content[4:8] == b"ftyp":
        return "mov"
    return "mp3" if _is_mp3(content) else None


def _is_mp3(content: bytes) -> bool:
    """Whether a file consists of MPEG audio frames, layer III: three that follow each other, or all if fewer."""
    position = 0
    for number, length in enumerate(_mp3_lengths(content)):
        if length == 0:
            return False
        position += length
        if number == 2 or position == len(content):
            return True
    return False


def _mp3_lengths(content: bytes) -> Iterator[int]:
    """Lengths in bytes of MPEG frames (ISO/IEC 11172-3, 2.4.1.3; 13818-3), 0 where there is none."""
    rates = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
    first = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
    second = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    position = 0
    while position + 4 <= len(content):
        head = content[position : position + 4]
        version, layer, index, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
        if head[0] != 0xFF or head[1] < 0xE0 or version == 1 or layer != 1 or index in (0, 15) or rate == 3:
            yield 0
            return
        kbps = (first if version == 3 else second)[index]
        length = (144 if version == 3 else 72) * kbps * 1000 // rates[version][rate] + (head[2] >> 1 & 1)
        yield length
        position += length
