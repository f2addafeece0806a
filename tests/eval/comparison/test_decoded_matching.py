"""Which decoded file belongs to which recording, and what --decoded may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.codec.errors import UserError
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.decoded.folders import Location, read_decoded
from earmark.eval.comparison.decoded.matching import match

RECORDINGS = ("speech/a.ogg", "speech/b.wav", "music/c.flac")


def sources(*files: str) -> list[Source]:
    return [Source(file, Path("clips") / file, file.partition("/")[0]) for file in files or RECORDINGS]


def put(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def found(folder: Path, pattern: str = "", *recordings: str) -> dict[str, str]:
    result = match("A", Location(folder, pattern), sources(*recordings))
    return {file: path.relative_to(folder).as_posix() for file, path in result.files.items()}


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (["speech/a.wav", "speech/b.flac", "music/c.wav"], ""),  # relative path
        (["a.wav", "b.mp3", "c.WAV"], ""),  # stem
        (["speech/a.ogg.wav", "speech/b.wav", "music/c.flac.wav"], ""),  # as in RUN/audio
        (["x/a.wav", "x/y/b.wav", "c.wav"], ""),  # stems in other folders
        (["speech/a_dec.wav", "speech/b_dec.wav", "music/c_dec.wav"], "{path}_dec.wav"),
        (["a_dec.wav", "b_dec.flac", "c_dec.wav"], "{stem}_dec.wav"),
        (["a_dec.wav", "b_dec.flac", "c_dec.wav"], "{stem}_dec"),
        (["speech-A/a.wav", "speech-A/b.wav", "music-A/c.wav"], "{category}-A/{stem}.wav"),
        (["a.ogg.out.wav", "b.wav.out.wav", "c.flac.out.wav"], "{stem}.out.wav"),
    ],
)
def test_files_are_found_by_path_by_stem_or_by_pattern(tmp_path, files, pattern):
    assert found(put(tmp_path, *files), pattern) == dict(zip(RECORDINGS, files, strict=True))


def test_a_recording_takes_the_file_of_its_own_folder(tmp_path):
    """Two recordings share a stem; the music one is missing, and does not take the speech one's file."""
    put(tmp_path, "out/speech/1.wav")
    assert found(tmp_path, "", "speech/1.wav", "music/1.wav") == {"speech/1.wav": "out/speech/1.wav"}
    put(tmp_path, "out/music/1.flac")
    assert found(tmp_path, "", "speech/1.wav", "music/1.wav")["music/1.wav"] == "out/music/1.flac"


def test_recordings_that_differ_in_their_suffix_only(tmp_path):
    put(tmp_path, "a.wav", "a.ogg.wav")
    assert found(tmp_path, "", "a.wav", "a.ogg") == {"a.wav": "a.wav", "a.ogg": "a.ogg.wav"}


def test_two_spellings_of_an_accent_are_one(tmp_path):
    put(tmp_path, "e\N{COMBINING ACUTE ACCENT}.wav")
    result = match("A", Location(tmp_path), sources("\N{LATIN SMALL LETTER E WITH ACUTE}.flac"))
    assert len(result.files) == 1


def test_missing_and_left_files_are_counted(tmp_path):
    result = match("A", Location(put(tmp_path, "a.wav", "notes.txt", "z.wav", ".b.wav")), sources())
    assert (result.missing, result.left) == (("speech/b.wav", "music/c.flac"), ("z.wav",))
    result = match("A", Location(put(tmp_path, "b_dec.wav", "y_dec.wav"), "{stem}_dec.wav"), sources())
    assert (result.missing, result.left) == (("speech/a.ogg", "music/c.flac"), ("y_dec.wav",))


def test_bitstreams_have_any_suffix(tmp_path):
    result = match("A", Location(put(tmp_path, "a.bin", "b.opus", "c.tar.x")), sources(), any_suffix=True)
    assert list(result.files) == ["speech/a.ogg", "speech/b.wav"]


@pytest.mark.parametrize(
    ("files", "recordings", "says"),
    [
        (["a.wav", "a.flac"], RECORDINGS, "A: speech/a.ogg has 2 files in .*: a.flac, a.wav; keep one"),
        (["1.wav"], ("speech/1.wav", "music/1.wav"), "A: 1.wav in .* fits 2 recordings: speech/1.wav, music/1.wav"),
        (["a_dec.wav", "b_dec.wav"], RECORDINGS, r"try 'A=.*/\{stem\}_dec.wav'"),
        (["q.wav"], RECORDINGS, "no file in .* belongs to a recording: there are q.wav, and recordings such as speech"),
        ([], RECORDINGS, "A: no audio files in"),
    ],
)
def test_what_is_not_clear_is_refused(tmp_path, files, recordings, says):
    with pytest.raises(UserError, match=says):
        found(put(tmp_path, *files), "", *recordings)


def test_the_forms_of_the_option(tmp_path):
    put(tmp_path, "dec/A@6/a.wav", "dec/B/a.wav", "dec/reference/a.wav", "dec/.git/a.wav", "bits/a.bin")
    values = ["one@6.5:big=dec/B", "two=dec/{category}/{stem}.wav", "dec/B"]
    one, two, last = read_decoded(values, ["one=bits"], root=tmp_path)
    assert (one.system.text, one.system.rate, one.audio.folder) == ("one@6.5:big", "6.5", tmp_path / "dec/B")
    assert one.bitstreams == Location(tmp_path / "bits")
    assert (two.audio, last.system.text) == (Location(tmp_path / "dec", "{category}/{stem}.wav"), "B")
    every = read_decoded([f"{tmp_path}/dec/*"])
    assert [system.system.text for system in every] == ["A@6", "B"]
    own = read_decoded(["B@9=dec/B/{stem}_x.wav", "dec/*"], root=tmp_path)
    assert [system.system.text for system in own] == ["B@9", "A@6"]
    pattern = read_decoded(["dec/A*/{stem}.wav"], root=tmp_path)
    assert [(one.system.text, one.audio.pattern) for one in pattern] == [("A@6", "{stem}.wav")]


@pytest.mark.parametrize(
    ("decoded", "bitstreams", "says"),
    [
        (["A=nowhere"], [], "--decoded nowhere: .*nowhere does not exist"),
        (["A=dec/{id}.wav"], [], r"there is no \{id\}; there are \{path\}, \{stem\}, \{category\}"),
        (["A=dec/A", "A=dec/B"], [], "--decoded A: given twice"),
        (["my codec=dec/A"], [], "'my codec' is no name of a system"),
        (["reference=dec/A"], [], "reference: means the recordings themselves"),
        (["A="], [], "--decoded 'A=': write NAME=FOLDER"),
        (["dec/{stem}.wav"], [], "name the system"),
        (["dec/C*"], [], "has no sub-folder that fits"),
        (["A=dec/A"], ["B=dec/B"], "--bitstreams B: no system of --decoded has this name; there are A"),
        (["A@1=dec/A", "A@2=dec/B"], ["A=dec/B"], "--bitstreams A: several systems"),
    ],
)
def test_a_mistake_in_the_option_is_one_line(tmp_path, decoded, bitstreams, says):
    put(tmp_path, "dec/A/a.wav", "dec/B/a.wav")
    with pytest.raises(UserError, match=says):
        read_decoded(decoded, bitstreams, root=tmp_path)
