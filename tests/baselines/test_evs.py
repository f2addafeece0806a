"""EVS: that the reference programs are called as their readme says, and their files read and written as G.192.

The programs may not be shipped: a stand-in that speaks their formats takes their place, and the real ones are tested
where they are found.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines import evs, g192, programs
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import read
from earmark.codec.errors import UserError

REAL = evs.find_programs()
KBPS = [5.9, 7.2, 8, 9.6, 13.2, 16.4, 24.4, 32, 48, 64, 96, 128]


def install(folder: Path, code: str) -> None:
    for name in ("EVS_cod", "EVS_dec"):
        (folder / name).write_text(f"#!{sys.executable}\n{code}")
        (folder / name).chmod(0o755)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Folder of the stand-in programs; its file arguments.log has one line per call."""
    install(tmp_path, (Path(__file__).parent / "evs_stand_in.py").read_text())
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path))
    return tmp_path


def codec(text: str, rate: int = 32000):
    system = parse(text)
    return family_of(system).open(system, rate, 1)


def hum(seconds: float, rate: int) -> np.ndarray:
    """A sweep from 20 to 60 Hz, which averaging over blocks preserves."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * (20 + 20 * time / max(seconds, 0.1)) * time))[None].astype(np.float32)


def test_g192_by_hand():
    """0xA5 is 10100101: sync word, 8, and one word per bit."""
    content = struct.pack("<10H", 0x6B21, 8, 0x81, 0x7F, 0x81, 0x7F, 0x7F, 0x81, 0x7F, 0x81)
    assert g192.pack([b"\xa5"]) == content
    assert g192.unpack(content) == [b"\xa5"]
    assert g192.unpack(struct.pack("<2H", 0x6B21, 0) + content) == [b"", b"\xa5"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\x21", "odd number"),
        (struct.pack("<2H", 0x6B20, 0), "no frame at word 0"),
        (struct.pack("<H", 0x6B21), "no frame at word 0"),
        (struct.pack("<3H", 0x6B21, 8, 0x81), "is not 8 bits"),
        (struct.pack("<10H", 0x6B21, 8, *[1] * 8), "is not 8 bits"),
        (struct.pack("<3H", 0x6B21, 1, 0x81), "not a whole number of bytes"),
    ],
)
def test_an_invalid_g192_file_is_refused(content, says):
    with pytest.raises(ValueError, match=says):
        g192.unpack(content)


def test_the_programs_are_called_as_their_readme_says(stand_in):
    for text, rate in (("evs@9.6", 24000), ("evs@5.9", 16000), ("evs@128", 48000)):
        one = codec(text, rate)
        one.decode(one.encode(hum(0.1, one.sample_rate)))
    assert (stand_in / "arguments.log").read_text().splitlines() == [
        "EVS_cod -q 9600 32 input output",  # 24 kHz is resampled to 32 kHz
        "EVS_dec -q 32 input output",
        "EVS_cod -q -dtx 5900 16 input output",
        "EVS_dec -q 16 input output",
        "EVS_cod -q 128000 48 input output",
        "EVS_dec -q 48 input output",
    ]


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("kbps", KBPS[1:])
def test_the_bit_counts_give_the_rate_exactly(kbps):
    encoded = codec(f"evs@{kbps}").encode(hum(1, 32000))
    # A second and 3 ms are 51 frames; the encoder's lookahead takes another one.
    assert [8 * len(packet) for packet in encoded.packets] == [round(kbps * 20)] * 51
    assert encoded.payload_bits == 51 * round(kbps * 20)


@pytest.mark.usefixtures("stand_in")
def test_the_variable_rate_is_measured():
    """Half a second at 144 bits per frame, then silence at 0 bits; the 2.8 kbps in between have 56."""
    audio = np.concatenate([0.5 * np.ones(8000), 0.05 * np.ones(4000), np.zeros(4000)])[None].astype(np.float32)
    encoded = codec("evs@5.9", 16000).encode(audio)
    sizes = [8 * len(packet) for packet in encoded.packets]
    assert set(sizes) == {144, 56, 0}
    assert encoded.payload_bits == sum(sizes) < 51 * 5.9 * 20


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("rate", [8000, 16000, 32000, 48000])
def test_the_signal_comes_back_in_place_to_its_end(rate):
    one, audio = codec("evs@24.4", rate), hum(1, rate)
    decoded = one.decode(one.encode(audio))
    assert one.sample_rate == rate
    assert decoded.shape == audio.shape
    assert decoded.dtype == np.float32
    assert np.abs(decoded - audio).max() < 0.05


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("samples", [1, 320, 592, 593, 639, 640, 641])
def test_every_length_comes_back_whole(samples):
    """The last 74 of 640 samples of the decoder's last frame are silence; the source must end before them."""
    one, audio = codec("evs@128"), np.full((1, samples), 0.5, np.float32)
    decoded = one.decode(one.encode(audio))
    assert decoded.shape == audio.shape
    assert decoded.min() > 0.2  # at the ends, the stand-in's mean of two samples includes the silence outside


@pytest.mark.parametrize(
    ("rate", "kbps", "native"),
    [(8000, 9.6, 8000), (8000, 32, 16000), (11025, 9.6, 16000), (22050, 9.6, 32000), (24000, 9.6, 32000),
     (44100, 9.6, 48000), (96000, 9.6, 48000)],
)  # fmt: skip
@pytest.mark.usefixtures("stand_in")
def test_takes_the_next_sample_rate_it_has(rate, kbps, native):
    assert codec(f"evs@{kbps}", rate).sample_rate == native


@pytest.mark.usefixtures("stand_in")
def test_stereo_is_two_channels_at_twice_the_rate():
    stereo = np.repeat(hum(1, 32000), 2, axis=0)
    result = transcode(codec("evs@9.6"), stereo, 32000)
    assert result.audio.shape == stereo.shape
    assert result.payload_bits == 2 * 51 * 192


@pytest.mark.usefixtures("stand_in")
def test_the_version_is_that_of_the_banner_with_a_hash():
    assert families()["evs"].version().startswith("TS 26.443 12.14.0, ")


def test_without_the_programs_the_message_says_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path))
    reason = families()["evs"].unavailable()
    for part in ("EVS_cod", "EVS_dec", "TS 26.443", "www.3gpp.org", "make", "EARMARK_EVS_DIR", "PATH"):
        assert part in reason
    with pytest.raises(UserError, match="EARMARK_EVS_DIR"):
        codec("evs@9.6")


def test_other_rates_are_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"try evs@9\.6"):
        parse("evs@10")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('Error: no licence\\n')", "EVS_cod failed with status 1: Error: no licence"),
        ("import os; os.abort()", "EVS_cod crashed by SIGABRT: it printed nothing"),
        ("", "EVS_cod wrote no output"),
        ("open('output', 'wb').write(b'RIFF')", "EVS_cod wrote no G.192 bitstream"),
        ("open('output', 'wb').write(b'!k\\0\\0')", r"EVS_cod wrote frames of \[0\] bits"),
        ("import time; time.sleep(60)", "EVS_cod hung and was ended after 0.5 s"),
    ],
)
def test_a_program_that_fails_is_one_line(tmp_path, monkeypatch, code, says):
    install(tmp_path, code)
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path))
    monkeypatch.setattr(programs, "time_limit", lambda seconds, timeout: 0.5 if "sleep" in code else 30.0)
    with pytest.raises(UserError, match=rf"evs@9\.6: {says}") as caught:
        codec("evs@9.6").encode(hum(0.1, 32000))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_program_is_one_line(tmp_path, monkeypatch):
    for name in ("EVS_cod", "EVS_dec"):
        (tmp_path / name).write_bytes(b"\x7fELF of another machine")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("EARMARK_EVS_DIR", str(tmp_path))
    with pytest.raises(UserError, match="EVS_cod does not start"):
        codec("evs@9.6").encode(hum(0.1, 32000))


def runs(process: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def test_a_hung_program_takes_its_children_along(tmp_path):
    script = tmp_path / "parent"
    script.write_text("#!/bin/sh\nsleep 60 & echo $! > child\nwait\n")
    script.chmod(0o755)
    with pytest.raises(UserError, match="hung"):
        programs.run([str(script)], tmp_path, 1.0, "theirs")
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while runs(child) and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs(child)


@pytest.mark.skipif(REAL is None, reason="the 3GPP programs EVS_cod and EVS_dec are not on this machine")
@pytest.mark.parametrize("kbps", KBPS)
def test_the_real_programs(kbps, shared):
    recording = read(shared / "audio" / "speech_lyra_1_48k.wav")
    result = transcode(codec(f"evs@{kbps}", 24000), recording.samples, recording.sample_rate)
    assert result.audio.shape == recording.samples.shape
    measured = result.payload_bits / recording.seconds / 1000
    assert measured < 7.2 if kbps == 5.9 else measured == pytest.approx(kbps, rel=0.03)
    assert np.corrcoef(result.audio[0], recording.samples[0])[0, 1] > 0.5
