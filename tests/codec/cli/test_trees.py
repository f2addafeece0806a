"""`earmark encode` and `decode` on folders, `inspect --check`, and work that is interrupted and continued."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.codec import audio

from ...forks import started
from .command_line import assert_one_line, noise, wav


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Five recordings, of which two share a name and one is cut short; a text and a hidden file are none."""
    (tmp_path / "tree" / "b" / "c").mkdir(parents=True)
    for index, name in enumerate(["a.wav", "a.flac", "b/x.wav", "b/c/x.wav"]):
        soundfile.write(tmp_path / "tree" / name, noise(2400 + index)[0], 24000)
    whole = wav(tmp_path / "tree" / "cut.wav", noise(20000), 24000).read_bytes()
    (tmp_path / "tree" / "cut.wav").write_bytes(whole[:5000])
    (tmp_path / "tree" / "b" / "notes.txt").write_text("notes")
    (tmp_path / "tree" / ".hidden.wav").write_bytes(whole)
    return tmp_path / "tree"


def test_a_tree_is_mirrored_coded_once_and_decoded(earmark, weights, tree, tmp_path):
    given = ("--checkpoint", weights["encodec_24khz"], "-j", 1, "--quiet")
    coded, out = tmp_path / "coded", tmp_path / "out"
    done = earmark("encode", tree, coded, *given)
    assert (done.status, done.stdout) == (1, b"4 done, 0 already there, 1 failed\n")
    assert done.stderr == (
        f"failed: {tree}/cut.wav: truncated: the file ends before the audio that its header announces; copy it again\n"
    )
    names = {path.relative_to(coded).as_posix() for path in coded.rglob("*") if path.is_file()}
    assert names == {"a.wav.ecdc", "a.flac.ecdc", "b/x.ecdc", "b/c/x.ecdc"}

    before = {path: path.stat().st_mtime_ns for path in coded.rglob("*")}
    wav(tree / "cut.wav", noise(2400), 24000)
    assert earmark("encode", tree, coded, *given).stdout == b"1 done, 4 already there, 0 failed\n"
    assert {path: path.stat().st_mtime_ns for path in before if path.is_file()}.items() <= before.items()

    assert earmark("decode", coded, out, *given, "--suffix", "flac").stdout == b"5 done, 0 already there, 0 failed\n"
    assert earmark("decode", coded, out, *given, "--suffix", "flac").stdout == b"0 done, 5 already there, 0 failed\n"
    assert soundfile.info(out / "b" / "c" / "x.flac").frames == 2403


def test_other_files_are_replaced_only_with_force(earmark, weights, tree, tmp_path):
    given, coded = ("--checkpoint", weights["encodec_24khz"], "-j", 1, "--quiet"), tmp_path / "coded"
    (tree / "cut.wav").unlink()
    assert earmark("encode", tree, coded, *given).status == 0
    wav(tree / "b" / "x.wav", noise(3000, level=0.1), 24000)
    changed = earmark("encode", tree, coded, *given)
    assert (changed.status, changed.stdout) == (1, b"0 done, 3 already there, 1 failed\n")
    assert changed.stderr == (
        f"failed: {coded}/b/x.ecdc: exists, made from another recording; add --force to replace it\n"
    )
    for option in (("--kbps", 3), ("--gain", -3), ("--channels", "left"), ("--tag", "a=b")):
        other = earmark("encode", tree, coded, *given, *option)
        expected = b"0 done, 3 already there" if "left" in option else b"0 done, 0 already there"
        assert other.stdout.startswith(expected), option  # the recordings are mono, which has no left
    assert earmark("encode", tree, coded, *given, "--kbps", 3, "--force").stdout.startswith(b"4 done")

    (tmp_path / "out" / "b").mkdir(parents=True)
    wav(tmp_path / "out" / "b" / "x.wav", noise(100), 24000)
    foreign = earmark("decode", coded, tmp_path / "out", *given)
    assert foreign.stdout == b"3 done, 0 already there, 1 failed\n"
    assert "x.wav: exists, and was not decoded from x.ecdc in this way; add --force" in foreign.stderr
    assert soundfile.info(tmp_path / "out" / "b" / "x.wav").frames == 100


def test_files_of_the_public_format_are_recognised(earmark, weights, tree, tmp_path):
    """By a record beside them, or, where it is missing, by coding the recording again."""
    (tree / "cut.wav").unlink()
    options = ("--checkpoint", weights["encodec_24khz"], "-j", 1, "--quiet", "--container", "reference")
    coded = tmp_path / "coded"
    assert earmark("encode", tree, coded, *options).stdout == b"4 done, 0 already there, 0 failed\n"
    assert earmark("encode", tree, coded, *options).stdout == b"0 done, 4 already there, 0 failed\n"
    records = coded / "b" / ".earmark-origins.jsonl"
    records.unlink()
    assert earmark("encode", tree, coded, *options).stdout == b"0 done, 4 already there, 0 failed\n"
    assert records.exists()
    (coded / "a.wav.ecdc").write_bytes((coded / "a.flac.ecdc").read_bytes())
    wav(tree / "b" / "x.wav", noise(2402, level=0.1), 24000)
    changed = earmark("encode", tree, coded, *options)
    assert changed.stdout == b"0 done, 2 already there, 2 failed\n"
    assert "a.wav.ecdc: exists, not what this recording gives with these options; add --force" in changed.stderr
    assert "x.ecdc: exists, made from another recording; add --force" in changed.stderr
    assert earmark("encode", tree, coded, *options, "--channels", "left").stdout == changed.stdout
    assert earmark("encode", tree, coded, *options, "--kbps", 3).stdout.startswith(b"0 done, 0 already there")


def test_folders_and_files_do_not_mix(earmark, weights, tree, tmp_path):
    assert_one_line(earmark("encode", tree, tmp_path / "x.ecdc"), "is a folder; give a folder for its coded files")
    assert_one_line(earmark("decode", tree, tmp_path / "x.wav"), "is a folder; give a folder for its decoded files")
    (tmp_path / "none").mkdir()
    assert_one_line(earmark("encode", tmp_path / "none", tmp_path / "x"), "none: no files to work on in it")
    assert_one_line(earmark("inspect", tmp_path / "none", "--check"), "none: no .ecdc files in it")


def test_check_says_which_files_are_sound(earmark, weights, tree, tmp_path):
    given, coded = ("--checkpoint", weights["encodec_24khz"], "-j", 1, "--quiet"), tmp_path / "coded"
    earmark("encode", tree, coded, *given)
    sound = earmark("inspect", "--check", coded)
    assert (sound.status, sound.stdout.decode().splitlines()[-1]) == (0, "4 sound, 0 damaged")
    data = bytearray((coded / "b" / "x.ecdc").read_bytes())
    data[len(data) // 2] ^= 1
    (coded / "b" / "x.ecdc").write_bytes(data)
    (coded / "a.wav.ecdc").write_bytes((coded / "a.wav.ecdc").read_bytes()[:-300])
    (coded / "text.ecdc").write_text("text")
    done = earmark("inspect", "--check", coded)
    assert done.status == 1
    lines = done.stdout.decode().splitlines()
    assert lines[-1] == "2 sound, 3 damaged"
    assert [line.split()[0] for line in lines[:-1]] == ["sound", "damaged", "sound", "damaged", "damaged"]
    assert lines[-2].endswith("text.ecdc: not an .ecdc file")


def test_facts_and_tags_are_shown(earmark, weights, tmp_path):
    """The SHA-256 is that of the file; a sine of 997 Hz at half scale has -3.01 - 6.02 = -9.03 LUFS."""
    import hashlib

    sine = 0.5 * np.sin(2 * np.pi * 997 * np.arange(48000) / 48000)
    source = wav(tmp_path / "in.wav", sine[None].astype(np.float32), 48000)
    given = ("--checkpoint", weights["encodec_24khz"])
    options = ("--tag", "title=Große Fuge", "--tag", "year=1826", "--gain", -6)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given, *options).status == 0
    facts = json.loads(earmark("inspect", tmp_path / "a.ecdc").stdout)
    assert facts["tags"] == {"title": "Große Fuge", "year": "1826"}
    about = facts["source"]
    assert about["loudness_lufs"] == pytest.approx(-9.03, abs=0.05)
    assert (about["sample_rate"], about["channels"], about["gain_db"], about["coded"]) == (48000, 1, -6, "mix")
    assert about["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert facts["damage"] == []


def test_part_gain_and_float(earmark, weights, tmp_path):
    given = ("--checkpoint", weights["encodec_24khz"])
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    assert earmark("encode", source, tmp_path / "a.ecdc", *given, "--chunk", 0.5).status == 0
    assert json.loads(earmark("inspect", tmp_path / "a.ecdc").stdout)["chunks"] == 6  # 3 s / 0.5 s
    for name, *options in (("whole", ), ("part", "--from", "0:01", "--to", "1.5"), ("float", "--float"),
                           ("loud", "--float", "--gain", 40)):  # fmt: skip
        assert earmark("decode", tmp_path / "a.ecdc", tmp_path / f"{name}.wav", *given, *options).status == 0
    whole, part, floats, loud = (
        audio.read(tmp_path / f"{name}.wav").samples for name in ("whole", "part", "float", "loud")
    )
    np.testing.assert_allclose(part, whole[:, 24000:36000], atol=1.1 / 32768)
    assert soundfile.info(tmp_path / "float.wav").subtype == "FLOAT"
    np.testing.assert_allclose(floats.clip(-1, 1), whole, atol=0.6 / 32768 + 1 / 32768)
    np.testing.assert_allclose(loud, 100 * floats, rtol=1e-5)  # 40 dB
    behind = earmark("decode", tmp_path / "a.ecdc", tmp_path / "b.wav", *given, "--from", 4)
    assert_one_line(behind, "has 3.00 s; --from lies behind its end")
    assert not (tmp_path / "b.wav").exists()


def test_stereo_that_cancels_and_samples_beyond_full_scale_are_noted(earmark, weights, tmp_path):
    """The right channel is the left one inverted, and 1.5 times full scale is +3.5 dB."""
    given = ("--checkpoint", weights["encodec_24khz"], "--force", "--quiet")
    left = noise(24000, level=0.5)
    left[0, 7] = 1.5
    soundfile.write(tmp_path / "in.wav", np.concatenate([left, -left]).T, 24000, subtype="FLOAT")
    done = earmark("encode", tmp_path / "in.wav", tmp_path / "a.ecdc", *given)
    assert done.status == 0
    assert "note: " in done.stderr
    assert "left and right cancel" in done.stderr
    assert "2 samples beyond full scale, up to +3.5 dB" in done.stderr
    assert "use --gain -3.6" in done.stderr
    picked = earmark("encode", tmp_path / "in.wav", tmp_path / "a.ecdc", *given, "--channels", "left", "--gain", -3.6)
    assert picked.stderr == ""
    soundfile.write(tmp_path / "in.wav", noise(24000, 2).T, 24000)  # unrelated channels lose 3 dB
    assert earmark("encode", tmp_path / "in.wav", tmp_path / "a.ecdc", *given).stderr == ""


def test_80_files_with_two_damaged_are_finished_after_two_interruptions(earmark, weights, tmp_path):
    """Killed without warning, then interrupted by Ctrl-C with two processes; what is done is not done again.

    Two recordings of ten minutes in the middle, which are replaced in the end, keep either run from finishing before.
    """
    tree, coded, said = tmp_path / "tree", tmp_path / "coded", tmp_path / "said.txt"
    tree.mkdir()
    for index in range(80):
        wav(tree / f"{index:03}.wav", noise(1200 + index), 24000)
    for name in ("020.wav", "060.wav"):
        (tree / name).write_bytes((tree / name).read_bytes()[:1000])
    long = {tree / name: (tree / name).read_bytes() for name in ("040.wav", "041.wav")}
    for path in long:
        last_ten_minutes(path)
    arguments = ("encode", tree, coded, "--checkpoint", weights["encodec_24khz"], "--quiet", "--jobs")

    def finished() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in coded.glob("[0-9]*.ecdc")} if coded.exists() else {}

    for jobs, wanted, stop, status in ((1, 10, signal.SIGKILL, -signal.SIGKILL), (2, 30, signal.SIGINT, 130)):
        with said.open("w") as file:
            process = started(*arguments, jobs, stdout=file, stderr=file)
        while len(finished()) < wanted and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(stop)
        assert process.wait(60) == status, said.read_text()
        assert "Traceback" not in said.read_text()
        done = finished()
        assert wanted <= len(done) < 40
    for path, short in long.items():
        path.write_bytes(short)
    last = earmark(*arguments, 1)
    assert last.stdout.decode() == f"{78 - len(done)} done, {len(done)} already there, 2 failed\n"
    assert last.stderr.count("failed: ") == 2
    assert {path: finished()[path] for path in done} == done
    assert len(finished()) == 78
    assert {path.suffix for path in coded.iterdir()} == {".ecdc"}  # no temporary file is left


def last_ten_minutes(path: Path) -> None:
    """Lengthen a WAV file of 24 kHz, 16 bits and one channel with silence, which takes no space on the disk."""
    size = 44 + 600 * 24000 * 2
    with path.open("r+b") as file:
        file.truncate(size)
        for place, length in ((4, size - 8), (40, size - 44)):  # of the RIFF and data chunks
            file.seek(place)
            file.write(length.to_bytes(4, "little"))
