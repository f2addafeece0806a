"""Reading and writing audio files, and files that are refused."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.codec import audio
from earmark.codec.audio import files
from earmark.codec.errors import UserError


def tone(seconds: float = 0.5, rate: int = 16000, channels: int = 1, frequency: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * frequency * time)[None], channels, axis=0).astype(np.float32)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("channels", [1, 2])
def test_reads_each_format_as_float32_channels_by_time(tmp_path, suffix, channels):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, tone(channels=channels).T, 16000)
    recording = audio.read(path)
    assert recording.sample_rate == 16000
    assert recording.samples.dtype == np.float32
    assert recording.samples.shape[0] == channels
    assert recording.seconds == pytest.approx(0.5, abs=0.1)  # MP3 keeps its padding


def test_lossless_formats_keep_all_samples(tmp_path):
    samples = np.round(tone(channels=2) * 32767) / np.float32(32768)
    soundfile.write(tmp_path / "a.flac", samples.T, 44100, subtype="PCM_16")
    np.testing.assert_array_equal(audio.read(tmp_path / "a.flac").samples, samples)


def test_written_float_wav_keeps_values_beyond_full_scale(tmp_path):
    samples = np.array([[0.0, 1.5, -2.0, 1e-9]], np.float32)
    audio.write(tmp_path / "new" / "a.wav", samples, 48000)
    np.testing.assert_array_equal(audio.read(tmp_path / "new" / "a.wav").samples, samples)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.wav"]  # no temporary file is left


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("text.wav", b"these are not the samples you are looking for", "not readable as audio"),
        ("empty.wav", b"", "not readable as audio"),
        ("empty.flac", b"", "not readable as audio"),
    ],
)
def test_files_without_audio_are_refused(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as caught:
        audio.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff"])
def test_truncated_files_are_detected(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    rng = np.random.default_rng(0)
    soundfile.write(path, rng.uniform(-0.5, 0.5, 48000), 48000)
    audio.read(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(UserError, match=r"truncated|not readable"):
        audio.read(path)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_wav_without_length_is_not_reported_as_truncated(length):
    """Programs that write to a pipe cannot go back to fill in the data chunk's length."""
    assert not files._is_cut_short_wav(_wav_head(length), len(_wav_head(length)) + 100)
    assert files._is_cut_short_wav(_wav_head(101), len(_wav_head(101)) + 100)


def _wav_head(length: int) -> bytes:
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", 0) + b"WAVE" + format_chunk + struct.pack("<4sI", b"data", length)


def test_nan_samples_are_refused(tmp_path):
    samples = tone()
    samples[0, 100] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples.T, 16000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: 1 NaN or infinite"):
        audio.read(tmp_path / "nan.wav")


def test_surround_is_refused(tmp_path):
    soundfile.write(tmp_path / "surround.wav", tone(channels=6).T, 48000)
    with pytest.raises(UserError, match=r"surround\.wav: 6 channels"):
        audio.read(tmp_path / "surround.wav")


def test_a_file_without_samples_is_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1)), 48000)
    with pytest.raises(UserError, match="no samples"):
        audio.read(tmp_path / "none.wav")


@pytest.mark.parametrize(("old", "new"), [(16000, 48000), (44100, 48000), (48000, 44100), (48000, 16000)])
def test_resampling_keeps_a_tone_in_phase(old, new):
    """A sine below both Nyquist frequencies becomes the same sine at the other rate: no delay, no gain."""
    wanted = tone(rate=new, frequency=1000)
    got = audio.resample(tone(rate=old, frequency=1000), old, new)
    assert got.shape == wanted.shape
    middle = slice(new // 20, -new // 20)  # away from the ends, where the tone starts abruptly
    assert np.abs(got[:, middle] - wanted[:, middle]).max() < 1e-4


def test_fit_length_cuts_and_pads_at_the_end():
    signal = np.arange(4, dtype=np.float32)[None]
    assert audio.fit_length(signal, 2).tolist() == [[0, 1]]
    assert audio.fit_length(signal, 6).tolist() == [[0, 1, 2, 3, 0, 0]]


def test_a_full_disk_is_one_line_and_leaves_no_file(tmp_path):
    """A file size limit makes a write fail half way, like a full disk."""
    program = (
        "import numpy, pathlib, sys\nfrom earmark.codec import audio\nfrom earmark.codec.errors import WriteError\n"
        "try:\n    audio.write(pathlib.Path(sys.argv[1]), numpy.zeros((1, 100000), 'f4'), 48000)\n"
        "except WriteError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "big.wav")],
        capture_output=True, text=True, check=True, cwd=Path(audio.__file__).parents[2],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )  # fmt: skip
    assert "big.wav: cannot be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def ogg_page(flags: int, lacing: bytes, payload: bytes) -> bytes:
    """A page (RFC 3533, section 6): capture pattern, version, flags, position, serial, sequence, checksum, lacing."""
    return b"OggS\0" + bytes([flags]) + bytes(20) + bytes([len(lacing)]) + lacing + payload


@pytest.mark.parametrize(
    ("tail", "cut"),
    [
        (ogg_page(4, b"\x05\x03", bytes(8)), False),
        (ogg_page(0, b"\x05\x03", bytes(8)), False),  # no end-of-stream bit, but nothing is missing
        (ogg_page(4, b"\x05\x03", bytes(7)), True),
        (ogg_page(0, b"\xff", bytes(255)), True),  # the packet continues on the next page
        (ogg_page(4, b"\x05\x03", bytes(8))[:20], True),
        (bytes(30), True),
    ],
)
def test_an_ogg_stream_ends_with_a_complete_page(tail, cut):
    assert files._is_cut_short_ogg(tail) == cut


def test_samples_that_libsndfile_omits_from_an_intact_ogg_file_are_silent(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.ogg", np.full(5000, 0.1), 24000, format="OGG", subtype="VORBIS")
    whole = audio.read(tmp_path / "a.ogg").samples
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda self: 5104))
    longer = audio.read(tmp_path / "a.ogg").samples
    np.testing.assert_array_equal(longer[:, :5000], whole)
    assert not longer[:, 5000:].any()
    assert longer.shape == (1, 5104)


def test_a_flac_without_its_length_is_one_line(tmp_path):
    """The number of samples is stored in 36 bits of STREAMINFO, after marker, block header and 13.5 bytes."""
    path = tmp_path / "stream.flac"
    soundfile.write(path, np.zeros(5000), 24000)
    data = bytearray(path.read_bytes())
    data[4 + 4 + 13] &= 0xF0
    data[4 + 4 + 14 : 4 + 4 + 18] = bytes(4)
    path.write_bytes(data)
    with pytest.raises(UserError, match="does not give its length"):
        audio.read(path)


@pytest.mark.parametrize("rate", [1, 999, 2_000_000])
def test_an_impossible_sample_rate_is_refused_before_anything_is_resampled(tmp_path: Path, rate: int):
    """200 kB at 1 Hz would be 100,000 s, and 4.8 billion samples at 48 kHz."""
    soundfile.write(tmp_path / "a.wav", np.zeros(100_000), rate, subtype="PCM_16")
    with pytest.raises(UserError, match=rf"a sample rate of {rate} Hz, which is not from 1000 to 1536000"):
        audio.read(tmp_path / "a.wav")
