"""Payload of bitstream files: the packets that an encoder gave, before a container took them."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from earmark.baselines import containers, g192
from earmark.baselines.containers import payload
from earmark.codec.audio import write

SECONDS = 3.7
NOISE = (0.1 * np.random.default_rng(0).standard_normal((1, round(48000 * SECONDS)))).astype(np.float32)


def muxed(codec: str, container: str, rate: int, kbps: int) -> tuple[bytes, int, int, int]:
    """A file, the bits of the packets before it was written, their number, and the samples in a packet."""
    file = io.BytesIO()
    sizes = []
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = 1000 * kbps
        form, size = stream.codec_context.format.name, stream.codec_context.frame_size or 1024
        source = NOISE[:, : round(SECONDS * rate)]
        resampler = av.AudioResampler(form, "mono", rate)
        for start in range(0, source.shape[1], size):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(source[:, start : start + size]), "fltp", "mono")
            frame.sample_rate, frame.pts = rate, start
            for converted in resampler.resample(frame):
                for packet in stream.encode(converted):
                    sizes.append(packet.size)
                    out.mux(packet)
        for packet in stream.encode(None):
            sizes.append(packet.size)
            out.mux(packet)
        size = stream.codec_context.frame_size or size
    return file.getvalue(), 8 * sum(sizes), len(sizes), size


@pytest.mark.parametrize(
    ("codec", "container", "rate", "kbps", "name"),
    [
        ("libopus", "ogg", 48000, 12, "Ogg"),
        ("libopus", "matroska", 48000, 12, "Matroska"),
        ("aac", "mp4", 48000, 32, "MP4"),
        ("aac", "adts", 48000, 32, "ADTS"),
        ("libmp3lame", "mp3", 48000, 64, "MP3"),
        ("libspeex", "ogg", 16000, 28, "Ogg"),
    ],
)
def test_packets_count_and_containers_do_not(codec, container, rate, kbps, name):
    """Coded time is packets times packet length; the container would add up to a third."""
    if codec not in av.codecs_available:
        pytest.skip(f"PyAV has no {codec}")
    content, bits, packets, samples = muxed(codec, container, rate, kbps)
    found = payload(content)
    assert found is not None
    assert found.container == name
    assert found.bits == pytest.approx(bits, rel=0.002)
    assert found.seconds == pytest.approx(packets * samples / rate, rel=0.01)
    assert len(content) * 8 > found.bits


def test_amr_wb_12_65_is_12_65():
    """253 bits in a frame of 20 ms (3GPP TS 26.201, table 2), which takes 33 bytes in a file: 13.2 kbps."""
    found = payload(b"#!AMR-WB\n" + 100 * (bytes([2 << 3 | 4]) + bytes(32)))
    assert found is not None
    assert found.bits / found.seconds == pytest.approx(12650)


def test_amr_12_2_is_12_2():
    """244 bits in a frame (3GPP TS 26.101, table 1a); a frame without data is 20 ms, too."""
    found = payload(b"#!AMR\n" + 50 * (bytes([7 << 3 | 4]) + bytes(31)) + 50 * bytes([15 << 3 | 4]))
    assert found is not None
    assert found.bits / found.seconds == pytest.approx(6100)


def test_a_wav_counts_its_samples(tmp_path):
    write(tmp_path / "a.wav", NOISE[:, :48000], 48000, "PCM_16")
    assert payload((tmp_path / "a.wav").read_bytes()) == containers.Payload(16 * 48000, 1.0, "WAV")


def test_g_192_counts_bits_in_frames_of_20_ms():
    """Ten frames of 24 bytes in 0.2 s."""
    assert payload(g192.pack([bytes(24)] * 10)) == containers.Payload(1920, pytest.approx(0.2), "G.192")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"x", b"OggS", b"RIFF\0\0\0\0WAVE", b"#!AMR\n", b"\xff\xfb\x90\x00", b"\x00\x00\x00\x18ftypisom",
        b"ID3" + bytes(100), b"!k\x10\x00", b"\xff\xf1" + bytes(20), bytes(np.random.default_rng(0).bytes(5000)),
        b"RIFF" + struct.pack("<I", 50) + b"WAVEfmt " + bytes(40),
    ],
)  # fmt: skip
def test_other_files_have_no_known_payload(content):
    assert payload(content) is None


@pytest.mark.parametrize(
    ("toc", "milliseconds"),
    [(0, 10), (3 << 3, 60), (12 << 3, 10), (16 << 3, 2.5), (31 << 3, 20), (31 << 3 | 1, 40), (31 << 3 | 3, 60)],
)
def test_length_of_opus_packets(toc, milliseconds):
    """RFC 6716, tables 2 and 3: SILK, hybrid, CELT; one frame, two, and as many as the second byte says, here 3."""
    assert containers.opus_seconds(bytes([toc, 3])) * 1000 == milliseconds


PROGRAMS = {
    "lame": (["lame", "--quiet", "-b", "32", "in.wav", "out"], 32.0),
    "opusenc": (["opusenc", "--quiet", "--bitrate", "12", "--hard-cbr", "in.wav", "out"], 12.0),
    "speexenc": (["speexenc", "--quality", "8", "-w", "in.wav", "out"], 28.0),
    "ffmpeg": (["ffmpeg", "-v", "error", "-i", "in.wav", "-c:a", "g722", "-f", "wav", "out"], 64.0),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_real_programs_have_their_bit_rate(tmp_path, program):
    """All four are of constant bit rate, so that the packets have the nominal one."""
    command, kbps = PROGRAMS[program]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    write(tmp_path / "in.wav", NOISE[:, : round(16000 * SECONDS)], 16000, "PCM_16")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    found = payload(Path(tmp_path / "out").read_bytes())
    assert found is not None
    assert found.bits / found.seconds / 1000 == pytest.approx(kbps, rel=0.01)
