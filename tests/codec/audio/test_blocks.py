"""Audio block by block: the same samples as from the whole file; WAV on pipes."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.codec import audio
from earmark.codec.audio import blocks as audio_blocks
from earmark.codec.audio import wav_stream
from earmark.codec.audio.blocks import AudioStream
from earmark.codec.errors import UserError


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def joined(stream: AudioStream) -> np.ndarray:
    return np.concatenate([*stream.blocks], axis=1)


def stream_of(samples: np.ndarray, rate: int, block: int) -> AudioStream:
    parts = [samples[:, start : start + block] for start in range(0, samples.shape[1], block)]
    return AudioStream("test", rate, samples.shape[0], samples.shape[1], iter(parts))


def wav_bytes(samples: np.ndarray, rate: int = 16000, subtype: str = "PCM_16", format: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, rate, subtype=subtype, format=format)
    return file.getvalue()


def with_length(wav: bytes, length: int) -> bytes:
    """A WAV whose data chunk announces `length` bytes."""
    position = wav.index(b"data") + 4
    return wav[:position] + struct.pack("<I", length) + wav[position + 4 :]


def from_pipe(data: bytes) -> AudioStream:
    return audio_blocks.open_pipe(io.BytesIO(data))


# Files


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_of_a_file_are_the_whole_file(tmp_path, suffix, channels):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(30001, channels).T, 16000)
    whole = audio.read(path)
    stream = audio_blocks.open_file(path)
    assert (stream.sample_rate, stream.channels, stream.samples) == (16000, channels, whole.samples.shape[1])
    rounding = 1e-6 if suffix == "mp3" else 0  # its decoder sums in another order
    np.testing.assert_allclose(joined(stream), whole.samples, rtol=0, atol=rounding)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff"])
def test_a_truncated_file_is_detected(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(48000)[0], 48000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match=r"truncated|not readable"):
        joined(audio_blocks.open_file(path))


def test_errors_for_nan_and_surround_name_the_file(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full(10, np.nan), 16000, subtype="FLOAT")
    with pytest.raises(UserError, match=r"nan\.wav: 10 NaN or infinite"):
        joined(audio_blocks.open_file(tmp_path / "nan.wav"))
    with pytest.raises(UserError, match="the input: 10 NaN or infinite"):
        joined(from_pipe((tmp_path / "nan.wav").read_bytes()))
    soundfile.write(tmp_path / "surround.wav", noise(10, 6).T, 16000)
    with pytest.raises(UserError, match=r"surround\.wav: 6 channels"):
        audio_blocks.open_file(tmp_path / "surround.wav")
    with pytest.raises(UserError, match="the input: 6 channels"):
        from_pipe((tmp_path / "surround.wav").read_bytes())


# Rate and channels


@pytest.mark.parametrize(("old", "new"), [(48000, 24000), (44100, 24000), (8000, 48000), (44100, 48000)])
@pytest.mark.parametrize(("samples", "block"), [(1, 1), (2, 1), (30001, 4096), (30001, 100), (30001, 30001)])
def test_resampling_block_by_block_equals_resampling_the_whole(old, new, samples, block):
    signal = noise(samples, 2)
    stream = stream_of(signal, old, block).converted(new, 2)
    whole = audio.resample(signal, old, new)
    assert stream.samples == whole.shape[1]
    np.testing.assert_allclose(joined(stream), whole, atol=1e-6)


def test_stereo_is_averaged_and_mono_repeated():
    stereo = np.array([[0.5, 0.25, -1], [0.25, -0.25, 1]], np.float32)
    np.testing.assert_array_equal(joined(stream_of(stereo, 24000, 2).converted(24000, 1)), [[0.375, 0, 0]])
    np.testing.assert_array_equal(joined(stream_of(stereo[:1], 48000, 2).converted(48000, 2)), stereo[[0, 0]])
    with pytest.raises(UserError, match="test: 2 channels; the model takes 4"):
        stream_of(stereo, 24000, 2).converted(24000, 4)


@pytest.mark.parametrize("block", [1, 3, 4, 7, 100])
@pytest.mark.parametrize("samples", [0, 1, 4, 8, 9])
def test_regrouping_keeps_the_signal(samples, block):
    signal = noise(samples)
    groups = [*audio_blocks.regrouped(stream_of(signal, 1, block).blocks, 4)]
    assert [group.shape[1] for group in groups] == [4] * (samples // 4) + [samples % 4] * (samples % 4 > 0)
    np.testing.assert_array_equal(np.concatenate([signal[:, :0], *groups], axis=1), signal)


# WAV on a pipe


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("format", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_encoding_is_read_as_libsndfile_reads_it(subtype, format, channels):
    wav = wav_bytes(noise(5000, channels), 44100, subtype, format)
    wanted, rate = soundfile.read(io.BytesIO(wav), dtype="float32", always_2d=True)
    stream = from_pipe(wav)
    assert (stream.sample_rate, stream.channels, stream.samples) == (rate, channels, 5000)
    np.testing.assert_array_equal(joined(stream), wanted.T)


@pytest.mark.parametrize(
    "length", [0, 0xFFFFFFFF, 0x7FFFF000, 0x7FFFF000 // 6 * 6, 0x80000000, 0xFFFFFFFF - 36],
    ids=["zero", "ffmpeg", "sox", "sox, 24 bits", "2 GiB", "4 GiB without the header"],
)  # fmt: skip
def test_a_placeholder_for_the_length_means_up_to_the_end(length):
    signal = noise(5000)
    stream = from_pipe(with_length(wav_bytes(signal, subtype="FLOAT"), length))
    assert stream.samples is None
    np.testing.assert_array_equal(joined(stream), signal)


def test_an_incomplete_frame_at_the_end_is_dropped():
    wav = with_length(wav_bytes(noise(5000, 2)), 0xFFFFFFFF)
    assert joined(from_pipe(wav[:-3])).shape == (2, 4999)


def test_other_chunks_of_a_wav_are_skipped():
    signal = noise(100)
    wav = wav_bytes(signal, subtype="FLOAT")
    position = wav.index(b"data")
    other = struct.pack("<4sI", b"LIST", 5) + b"notes" + b"\0"  # odd lengths are padded
    np.testing.assert_array_equal(joined(from_pipe(wav[:position] + other + wav[position:] + other)), signal)


def test_a_pipe_that_ends_before_the_announced_length_is_truncated():
    with pytest.raises(UserError, match="truncated"):
        joined(from_pipe(wav_bytes(noise(5000))[:-2]))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "not a WAV; a pipe must carry WAV"),
        (b"fLaC" + bytes(100), "not a WAV"),
        (wav_bytes(noise(10))[:36], "without samples"),
        (wav_bytes(noise(10), subtype="ULAW"), "encoding 7 with 8 bits; write PCM"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "without a description"),
        (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff", "without samples"),
    ],
    ids=["empty", "flac", "header only", "mu-law", "no format", "endless format"],
)
def test_pipes_without_a_usable_wav_are_refused(data, says):
    with pytest.raises(UserError, match=says) as caught:
        joined(from_pipe(data))
    assert "\n" not in str(caught.value)


def test_wav_written_to_a_pipe_is_read_by_libsndfile_and_by_us(tmp_path):
    pcm = (32767 * noise(1000, 2)).astype(np.int16).T
    file = io.BytesIO()
    with audio_blocks.written_pipe(file, 48000, 2) as write:
        write(pcm[:300])
        write(pcm[300:])
    (tmp_path / "a.wav").write_bytes(file.getvalue())
    got, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 48000
    np.testing.assert_array_equal(got, pcm)
    assert from_pipe(file.getvalue()).samples is None
    np.testing.assert_array_equal(joined(from_pipe(file.getvalue())).T * 32768, pcm)


# Files written


@pytest.mark.parametrize("suffix", ["wav", "flac", "WAV"])
def test_written_files_contain_the_samples_in_16_bits(tmp_path, suffix):
    pcm = (32767 * noise(1000, 2)).astype(np.int16).T
    with audio_blocks.written_file(tmp_path / "new" / f"a.{suffix}", 24000, 2) as write:
        write(pcm[:300])
        write(pcm[300:])
    path = tmp_path / "new" / f"a.{suffix}"
    assert [*path.parent.iterdir()] == [path]  # no temporary file is left
    assert soundfile.info(path).subtype == "PCM_16"
    got, rate = soundfile.read(path, dtype="int16")
    assert rate == 24000
    np.testing.assert_array_equal(got, pcm)


def test_ogg_keeps_the_length(tmp_path):
    with audio_blocks.written_file(tmp_path / "a.ogg", 24000, 1) as write:
        write((32767 * noise(10001)).astype(np.int16).T)
    assert soundfile.info(tmp_path / "a.ogg").frames == 10001


@pytest.mark.parametrize("name", ["a.mp3", "a", "a.ecdc"])
def test_other_endings_are_refused(name):
    with pytest.raises(UserError, match=r"\.wav, \.flac, \.ogg"):
        audio_blocks.require_output(Path(name))


def test_a_wav_must_not_exceed_32_bits_of_length(tmp_path, monkeypatch):
    monkeypatch.setattr(audio_blocks, "LONGEST_WAV", 1000)
    pcm = np.zeros((300, 1), np.int16)
    with audio_blocks.written_file(tmp_path / "b.wav", 24000, 1) as write:
        write(pcm)
        with pytest.raises(UserError, match=r"b\.wav: .* 4 GiB; write a \.flac"):
            write(pcm)


def test_the_longest_wav_has_room_for_its_header():
    assert len(wav_stream.header(24000, 1)) + audio_blocks.LONGEST_WAV < 1 << 32


def test_16_bits_are_rounded_limited_and_counted():
    """Full scale is 32768 steps: 1.2 steps round to 1, and 1.0 would be 32768, one more than 16 bits can hold."""
    signal = np.array([[1.2 / 32768, -1.6 / 32768, 1.0, -1.0], [1.5, -1.5, np.nan, np.inf]], np.float32)
    pcm, limited = audio.to_pcm16(signal)
    assert pcm.T.tolist() == [[1, -2, 32767, -32768], [32767, -32768, 0, 32767]]
    assert limited == 4


def test_16_bit_samples_survive_reading_and_writing():
    every = np.arange(-32768, 32768).astype(np.int16)
    pcm, limited = audio.to_pcm16((every / np.float32(32768))[None])
    np.testing.assert_array_equal(pcm[:, 0], every)
    assert limited == 0
