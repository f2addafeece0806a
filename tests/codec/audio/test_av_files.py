"""Files that libsndfile does not read, written by FFmpeg through PyAV."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from earmark.codec.audio import SUFFIXES, read
from earmark.codec.audio.blocks import open_file
from earmark.codec.audio.files import seconds
from earmark.codec.errors import UserError

RATE, LENGTH = 48000, 48000
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(LENGTH) / RATE)).astype(np.float32)


def written(path: Path, codec: str, container: str | None = None, channels: int = 1, **options: str) -> Path:
    """A second of 440 Hz at amplitude 0.5."""
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=RATE, layout=layout, options=options)
        if codec in ("wavpack", "tta"):
            stream.format = "s16p" if codec == "wavpack" else "s16"  # instead of 8 bits
        form = stream.codec_context.format.name
        size = stream.codec_context.frame_size or 4800
        for start in range(0, LENGTH, size):
            samples = np.tile(TONE[start : start + size], (channels, 1))
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
            frame.sample_rate, frame.pts = RATE, start
            for converted in av.AudioResampler(form, layout, RATE).resample(frame):
                file.mux(stream.encode(converted))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.mov", "alac", None), ("a.mka", "flac", None), ("a.wv", "wavpack", None), ("a.tta", "tta", None)],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_files_are_read_to_the_sample(tmp_path, name, codec, container, channels):
    """16 bits at least: a step of 1 / 32768."""
    path = written(tmp_path / name, codec, container, channels)
    recording = read(path)
    assert (recording.sample_rate, recording.samples.shape) == (RATE, (channels, LENGTH))
    np.testing.assert_allclose(recording.samples, np.tile(TONE, (channels, 1)), atol=1 / 32768)
    assert seconds(path) == 1.0
    stream = open_file(path)
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks), axis=1), recording.samples)


@pytest.mark.parametrize(
    ("name", "codec", "container"),
    [("a.m4a", "aac", "ipod"), ("a.aac", "aac", "adts"), ("a.mp4", "aac", None), ("a.webm", "libopus", None),
     ("a.ac3", "ac3", None)],
)  # fmt: skip
def test_coded_files_are_read(tmp_path, name, codec, container):
    """A tone of amplitude 0.5 has a level of 0.354; its length differs by a frame at most."""
    recording = read(written(tmp_path / name, codec, container))
    assert recording.samples.shape[1] == pytest.approx(LENGTH, abs=4096)
    middle = recording.samples[0, 12000:36000]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert name[1:] in SUFFIXES


def test_a_suffix_alone_is_not_audio(tmp_path):
    path = tmp_path / "a.m4a"
    path.write_text("no audio")
    with pytest.raises(UserError, match=r"a\.m4a: not readable as audio"):
        read(path)


def test_a_playlist_leads_to_no_other_file(tmp_path):
    """FFmpeg would follow it."""
    other = written(tmp_path / "other.wav", "pcm_s16le")
    path = tmp_path / "a.m4a"
    path.write_text(f"#EXTM3U\n#EXTINF:1,\n{other}\n")
    with pytest.raises(UserError, match="not readable as audio"):
        read(path)


def test_surround_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mka"), "w") as file:
        stream = file.add_stream("flac", rate=RATE, layout="5.1")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 6 * 4608), np.int16), format="s16", layout="5.1")
        frame.sample_rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    with pytest.raises(UserError, match="6 channels"):
        read(tmp_path / "a.mka")
