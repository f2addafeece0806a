"""Manifests, splits, layouts of data sets, screening and indexing."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from scipy.signal import butter, sosfilt

from earmark.codec.audio import Recording
from earmark.codec.datasets import layouts, manifest, open_corpus
from earmark.codec.datasets.indexing import Candidate, index
from earmark.codec.datasets.manifest import Entry, split_of
from earmark.codec.datasets.screening import Limits, measure
from earmark.codec.errors import UserError
from earmark.codec.training.data_cli import data

RATE = 24000

ENTRY = Entry(
    path="speech/a.flac",
    dataset="mine",
    category="speech",
    split="train",
    creator=None,
    licence="CC0-1.0",
    seconds=1.5,
    sample_rate=24000,
    channels=1,
    fingerprint="00" * 16,
)


def record(path: Path, seconds: float = 0.1, rate: int = RATE, seed: int | None = None) -> Path:
    """Write a short file of noise, different for each path unless a seed is given."""
    rng = np.random.default_rng(list(path.as_posix().encode()) if seed is None else seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, rng.uniform(-0.5, 0.5, round(seconds * rate)), rate)
    return path


def found(file: Path) -> Candidate:
    return Candidate(file, dataset="mine", category="speech", split="train", creator=None, licence="CC0-1.0")


# The file


def test_entries_are_read_as_written(tmp_path):
    entries = [ENTRY, replace(ENTRY, path="Müsik/b c.ogg", category="music", creator="Ångström", channels=2)]
    manifest.write(tmp_path / "m.jsonl", entries)
    assert manifest.read(tmp_path / "m.jsonl") == entries


@pytest.mark.parametrize(
    "damage",
    [
        {"kind": "noise"},
        {"split": "dev"},
        {"seconds": "1.5"},
        {"seconds": float("nan")},
        {"sample_rate": 0},
        {"channels": True},
        {"creator": 7},
        {"surplus": 1},
    ],
)
def test_an_invalid_line_is_named(tmp_path, damage):
    path = tmp_path / "m.jsonl"
    good = manifest.to_line(ENTRY)
    path.write_text(good + json.dumps({**json.loads(good), **damage}) + "\n")
    with pytest.raises(UserError, match=r"m\.jsonl, line 2"):
        manifest.read(path)


@pytest.mark.parametrize("content", ["", "{}\n", "not JSON\n", "[]\n"])
def test_invalid_files(tmp_path, content):
    path = tmp_path / "m.jsonl"
    path.write_text(content)
    with pytest.raises(UserError, match=r"m\.jsonl"):
        manifest.read(path)


# Splits


def test_splits_have_their_shares():
    """For n = 20,000 keys, a share p is met within 4 standard deviations sqrt(n p (1 - p))."""
    count = Counter(split_of(f"jamendo/artist_{i}", valid=0.02, test=0.06) for i in range(20000))
    assert abs(count["valid"] - 400) < 4 * (20000 * 0.02 * 0.98) ** 0.5
    assert abs(count["test"] - 1200) < 4 * (20000 * 0.06 * 0.94) ** 0.5


def test_shares_of_zero_and_one():
    keys = [str(i) for i in range(100)]
    assert {split_of(key, valid=0.0, test=0.0) for key in keys} == {"train"}
    assert {split_of(key, valid=0.5, test=0.5) for key in keys} == {"valid", "test"}
    assert {split_of(key, valid=0.0, test=1.0) for key in keys} == {"test"}


def test_adding_files_moves_no_other(tmp_path):
    for number in range(40):
        record(tmp_path / "data" / f"{number}.wav")
    before = {item.file: item.split for item in layouts.plain_folder(tmp_path / "data", "speech", "CC0-1.0")}
    for number in range(40, 80):
        record(tmp_path / "data" / f"{number}.wav")
    after = {item.file: item.split for item in layouts.plain_folder(tmp_path / "data", "speech", "CC0-1.0")}
    assert len(set(before.values())) > 1
    assert {file: after[file] for file in before} == before


def test_another_format_of_a_recording_is_in_the_same_split(tmp_path):
    for number in range(30):
        record(tmp_path / f"{number}.wav")
        record(tmp_path / f"{number}.flac")
    splits = defaultdict(set)
    for item in layouts.plain_folder(tmp_path, "sound", "CC0-1.0"):
        splits[item.file.stem].add(item.split)
    assert all(len(of_one) == 1 for of_one in splits.values())


# Layouts


def test_plain_folder_keeps_a_creator_together(tmp_path):
    for who in range(100):
        for take in range(3):
            record(tmp_path / "voices" / f"speaker{who}" / f"{take}.wav")
    items = layouts.plain_folder(tmp_path / "voices", "speech", "CC-BY-4.0", creator="^([^/]+)/")
    splits = defaultdict(set)
    for item in items:
        splits[item.creator].add(item.split)
    assert len(splits) == 100
    assert all(len(of_one) == 1 for of_one in splits.values())
    assert {split for of_one in splits.values() for split in of_one} == {"train", "valid", "test"}


@pytest.mark.parametrize("pattern", ["(", "no group"])
def test_a_creator_pattern_that_finds_nobody(tmp_path, pattern):
    with pytest.raises(UserError, match="creator"):
        layouts.plain_folder(tmp_path, "speech", "", creator=pattern)


def test_symbolic_links_are_skipped(tmp_path):
    file = record(tmp_path / "a.wav")
    (tmp_path / "b.wav").symlink_to(file)
    assert [item.file for item in layouts.plain_folder(tmp_path, "sound", "")] == [file]


def test_dns_challenge_takes_clean_speech_and_names_its_readers(tmp_path):
    clean = tmp_path / "datasets_fullband" / "clean_fullband"
    book = record(clean / "read_speech" / "book_00000_chp_0009_reader_06709_4_seg_2_seg1.wav")
    vctk = record(clean / "vctk_wav48_silence_trimmed" / "p225" / "p225_001.wav")
    record(tmp_path / "datasets_fullband" / "noise_fullband" / "door.wav")
    items = layouts.dns_challenge_4(tmp_path)
    assert {item.file: item.creator for item in items} == {book: "librivox-06709", vctk: "vctk-p225"}
    assert {(item.category, item.dataset) for item in items} == {("speech", "dns4")}


@pytest.mark.parametrize("deep", [True, False])
def test_common_voice_takes_existing_validated_clips(tmp_path, deep):
    language = tmp_path / "cy" if deep else tmp_path
    clip = record(language / "clips" / "common_voice_cy_1.wav")
    record(language / "clips" / "common_voice_cy_2.wav")
    (language / "validated.tsv").write_text(
        "client_id\tpath\tsentence\n"
        'abc\tcommon_voice_cy_1.wav\tMae "hi yn\n'  # a single quotation mark is text
        "def\tcommon_voice_cy_3.wav\tnot downloaded\n"
    )
    [item] = layouts.common_voice(tmp_path)
    assert (item.file, item.creator, item.licence) == (clip, "abc", "CC0-1.0")


def test_audioset_trains_on_the_unbalanced_set_and_halves_the_evaluation_set(tmp_path):
    for number in range(8):
        record(tmp_path / "unbalanced_train_segments" / f"Y{number}.wav")
        record(tmp_path / "balanced_train_segments" / f"Z{number}.wav")
    for number in range(40):
        record(tmp_path / "eval_segments" / f"X{number}.wav")
    splits = Counter((item.file.parent.name, item.split) for item in layouts.audioset(tmp_path))
    assert splits["unbalanced_train_segments", "train"] == 8
    assert splits["eval_segments", "valid"] + splits["eval_segments", "test"] == 40
    assert min(splits["eval_segments", "valid"], splits["eval_segments", "test"]) >= 8  # 1 in 10^4 by chance
    assert sum(splits.values()) == 48


def test_fsd50k_reads_uploaders_and_licences(tmp_path):
    development = record(tmp_path / "FSD50K.dev_audio" / "64760.wav")
    evaluation = record(tmp_path / "FSD50K.eval_audio" / "37199.wav")
    url = "http://creativecommons.org/licenses/by/3.0/"
    (tmp_path / "FSD50K.metadata").mkdir()
    (tmp_path / "FSD50K.metadata" / "dev_clips_info_FSD50K.json").write_text(
        json.dumps({"64760": {"title": "Rain", "uploader": "anna", "license": url}})
    )
    items = {item.file: item for item in layouts.fsd50k(tmp_path)}
    assert (items[development].creator, items[development].licence, items[development].split) == ("anna", url, "train")
    assert items[evaluation].creator is None
    assert items[evaluation].split in {"valid", "test"}


def test_jamendo_has_no_artist_in_two_splits(tmp_path):
    rows = ["TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"]
    for track in range(200):
        artist = f"artist_{track // 2:06d}"
        path = f"{track % 100:02d}/{track}.mp3"
        rows.append(f"track_{track}\t{artist}\talbum_1\t{path}\t180.0\tgenre---rock\tmood/theme---happy")
        (tmp_path / "audio" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "audio" / path).with_suffix(".low.mp3").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raw_30s.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "audio_licenses.txt").write_text(
        "00/0.mp3\nA song by someone from Jamendo: http://www.jamendo.com/track/0\n"
        "Available under a Creative Commons licence: http://creativecommons.org/licenses/by-sa/3.0/\n\n"
        "01/1.mp3\nAnother by the same: http://www.jamendo.com/track/1\n"
        "Available under a Creative Commons licence: http://creativecommons.org/licenses/by-nc/2.5/\n\n"
    )
    items = layouts.jamendo(tmp_path)
    assert len(items) == 200
    splits = defaultdict(set)
    for item in items:
        splits[item.creator].add(item.split)
    assert len(splits) == 100
    assert all(len(of_one) == 1 for of_one in splits.values())
    licences = {item.file.name: item.licence for item in items}
    assert licences["0.low.mp3"] == "http://creativecommons.org/licenses/by-sa/3.0/"
    assert licences["1.low.mp3"] == "http://creativecommons.org/licenses/by-nc/2.5/"
    assert licences["2.low.mp3"].startswith("Creative Commons")


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_a_folder_of_another_layout_is_refused(tmp_path, name):
    record(tmp_path / "a.wav")
    with pytest.raises(UserError, match=str(tmp_path)):
        layouts.LAYOUTS[name](tmp_path)


# The open corpus


def test_open_corpus_distinguishes_speech_by_file_name(tmp_path):
    stamps = tmp_path / "tuxpaint-stamps-default" / "usr" / "share" / "tuxpaint" / "stamps" / "animals"
    for name in ("cow.ogg", "cow_desc.ogg", "cow_desc_fr.ogg", "cow_desc_pt_BR.ogg", "cow_desc_da.ogg"):
        record(stamps / name)
    items = {
        item.file.name: item for source in open_corpus.sources() for item in open_corpus.recordings(source, tmp_path)
    }
    assert {name: item.category for name, item in items.items()} == {
        "cow.ogg": "sound",
        "cow_desc.ogg": "speech",
        "cow_desc_fr.ogg": "speech",
        "cow_desc_pt_BR.ogg": "speech",
        "cow_desc_da.ogg": "speech",
    }
    assert items["cow_desc_fr.ogg"].creator == "fr"


def test_open_corpus_tests_with_new_voices(tmp_path):
    for number in range(20):
        record(tmp_path / "tuxpaint-stamps-default" / "usr/share/tuxpaint/stamps" / f"{number}_desc_da.ogg")
    [source] = [source for source in open_corpus.sources() if source.name == "tuxpaint"]
    assert [item.split for item in open_corpus.recordings(source, tmp_path)] == ["test"] * 20


def test_open_corpus_keeps_cuts_of_one_field_recording_together(tmp_path):
    for clip in range(20):
        for take in "ABC":
            record(tmp_path / "esc10" / "001 - Dog bark" / f"1-{clip}-{take}.ogg")
    [source] = [source for source in open_corpus.sources() if source.name == "esc10"]
    splits = defaultdict(set)
    for item in open_corpus.recordings(source, tmp_path):
        splits[item.creator].add(item.split)
    assert len(splits) == 20
    assert all(len(of_one) == 1 for of_one in splits.values())


def test_every_part_of_the_open_corpus_has_an_origin_and_a_licence():
    sources = open_corpus.sources()
    assert {source.category for source in sources} == set(manifest.CATEGORIES)
    assert all(bool(source.package) != bool(source.repository) for source in sources)
    assert all(source.licence for source in sources)
    assert len({source.name for source in sources}) == len(sources)


# Screening


def talk(seconds: float = 2.0, rate: int = RATE, noise: float = 1e-4) -> np.ndarray:
    """Bursts of noise with pauses like speech, [1, time]."""
    rng = np.random.default_rng(0)
    time = np.arange(round(seconds * rate)) / rate
    bursts = (np.sin(2 * np.pi * 2 * time) > 0) * rng.uniform(-0.7, 0.7, len(time))
    return (bursts + noise * rng.standard_normal(len(time))).astype(np.float32)[None]


def rejection(samples: np.ndarray, category: manifest.Category = "speech") -> str | None:
    recording = Recording(samples.astype(np.float32), RATE)
    return Limits().rejection(category, recording.seconds, measure(recording))


def test_good_recordings_pass():
    assert rejection(talk()) is None
    assert rejection(np.repeat(talk(), 2, axis=0)) is None


def test_clipping_is_measured():
    """An amplified sine is clipped for 1 - 2/pi asin(1/gain) of the time."""
    sine = 1.2 * np.sin(2 * np.pi * 997 * np.arange(RATE) / RATE)[None]
    share = measure(Recording(np.clip(sine, -1, 1).astype(np.float32), RATE)).clipped
    assert share == pytest.approx(1 - 2 / np.pi * np.arcsin(0.985 / 1.2), abs=0.01)
    assert rejection(np.clip(3 * talk(), -1, 1)) == "clipped"


def test_bandwidth_is_where_the_spectrum_ends():
    """A Butterworth filter of order 12 falls by 70 dB at 10^(7/24) times its cutoff, which for 4 kHz the bilinear
    transform maps to 24000 / pi atan(tan(4000 pi / 24000) 10^(7/24)) = 6.4 kHz."""
    low = sosfilt(butter(12, 4000, fs=RATE, output="sos"), talk())
    assert measure(Recording(low.astype(np.float32), RATE)).bandwidth == pytest.approx(6400, rel=0.05)
    assert rejection(low) == "narrow band"
    assert measure(Recording(talk(), RATE)).bandwidth == pytest.approx(RATE / 2, rel=0.01)


def test_the_noise_floor_counts_in_speech_only():
    """Uniform noise in [-0.7, 0.7] has a level of 0.7 / sqrt(3) = 0.40; a floor of 0.1 is 12 dB below."""
    noisy = talk(noise=0.1)
    assert measure(Recording(noisy, RATE)).dynamics == pytest.approx(12, abs=1)
    assert rejection(noisy) == "noisy"
    assert rejection(noisy, "sound") is None


def test_short_and_silent_recordings_are_refused():
    assert rejection(talk(0.4)) == "too short"
    assert rejection(np.zeros((1, RATE))) == "narrow band"


# The index


def test_index_describes_each_file(tmp_path):
    file = record(tmp_path / "data" / "a.flac", seconds=1.25, rate=44100)
    [entry] = index([found(file)], tmp_path / "lists" / "m.jsonl").entries
    assert (entry.path, entry.seconds, entry.sample_rate, entry.channels) == ("../data/a.flac", 1.25, 44100, 1)
    assert manifest.read(tmp_path / "lists" / "m.jsonl") == [entry]
    assert sorted(path.name for path in (tmp_path / "lists").iterdir()) == ["m.jsonl", "m.left-out.jsonl"]


def test_copies_and_unreadable_files_are_skipped_with_the_reason(tmp_path):
    first, copy = record(tmp_path / "a.wav", seed=1), record(tmp_path / "b.wav", seed=1)
    (tmp_path / "c.wav").write_bytes(b"no audio at all")
    result = index([found(first), found(copy), found(tmp_path / "c.wav")], tmp_path / "m.jsonl")
    assert [entry.path for entry in result.entries] == ["a.wav"]
    assert {left.path: left.reason for left in result.skipped} == {
        "b.wav": "a copy of another",
        "c.wav": "not readable as audio",
    }


def test_a_name_that_is_not_utf_8_is_skipped_with_the_reason(tmp_path):
    """A name with e acute in Latin-1."""
    result = index([found(record(tmp_path / "a.wav")), found(record(tmp_path / "b.wav", seed=1))], tmp_path / "m.jsonl")
    assert len(result.entries) == 2
    (tmp_path / "a.wav").rename(tmp_path / "caf\udce9.wav")
    result = index([found(tmp_path / "caf\udce9.wav"), found(tmp_path / "b.wav")], tmp_path / "m.jsonl")
    assert [entry.path for entry in manifest.read(tmp_path / "m.jsonl")] == ["b.wav"]
    assert [left.reason for left in result.skipped] == ["its name is not UTF-8: rename it"]
    assert json.loads((tmp_path / "m.left-out.jsonl").read_text())["path"] == "caf\udce9.wav"


def test_screening_skips_recordings_outside_the_limits(tmp_path):
    soundfile.write(tmp_path / "good.wav", talk()[0], RATE)
    soundfile.write(tmp_path / "clipped.wav", np.clip(3 * talk()[0], -1, 1), RATE)
    files = [found(tmp_path / "good.wav"), found(tmp_path / "clipped.wav")]
    assert len(index(files, tmp_path / "all.jsonl").entries) == 2
    result = index(files, tmp_path / "screened.jsonl", Limits())
    assert [entry.path for entry in result.entries] == ["good.wav"]
    assert [(left.path, left.reason, left.seconds) for left in result.skipped] == [("clipped.wav", "clipped", 2.0)]


def test_nothing_to_index_is_an_error(tmp_path):
    with pytest.raises(UserError, match=r"m\.jsonl"):
        index([], tmp_path / "m.jsonl")


def test_an_interrupted_index_continues(tmp_path, monkeypatch):
    files = [found(record(tmp_path / f"{number}.wav")) for number in range(12)]
    whole = index(files, tmp_path / "whole.jsonl").entries
    opened: list[str] = []

    def info(path: Path) -> object:
        opened.append(path.name)
        if len(opened) == 6:
            raise KeyboardInterrupt
        return original(path)

    original = soundfile.info
    monkeypatch.setattr("earmark.codec.datasets.indexing.soundfile.info", info)
    with pytest.raises(KeyboardInterrupt):
        index(files, tmp_path / "m.jsonl", jobs=1)
    notes = tmp_path / ".m.jsonl.measured"
    notes.write_text(notes.read_text() + '["half a li')  # as after a power cut
    measured = notes.read_text().count("\n")
    assert 0 < measured < 12
    opened[:] = [""] * 10  # no more interrupts
    assert index(files, tmp_path / "m.jsonl", jobs=1).entries == whole
    assert len(opened) - 10 == 12 - measured
    assert not notes.exists()


def test_a_fingerprint_depends_on_length_beginning_and_end(tmp_path):
    path = tmp_path / "a"

    def of(content: bytes) -> str:
        path.write_bytes(content)
        return manifest.fingerprint(path)

    base = bytes(300_000)
    others = [base + b"\0", b"\1" + base[1:], base[:-1] + b"\1", base[:100], b""]
    assert len({of(content) for content in [base, *others]}) == 6
    assert of(base) == of(base)


def test_libritts_keeps_its_own_splits(tmp_path):
    for part in ("train-clean-100", "dev-other", "test-clean"):
        record(tmp_path / part / "1089" / "134686" / "1089_134686_000001_000001.wav")
    record(tmp_path / "notes" / "a.wav")
    items = layouts.libritts(tmp_path)
    assert {item.file.relative_to(tmp_path).parts[0]: item.split for item in items} == {
        "train-clean-100": "train", "dev-other": "valid", "test-clean": "test",
    }  # fmt: skip
    assert {item.creator for item in items} == {"librivox-1089"}


def test_vctk_takes_one_microphone_and_keeps_speakers_together(tmp_path):
    for speaker in ("p225", "p226", "s5"):
        for name in ("001_mic1", "001_mic2", "002_mic1"):
            record(tmp_path / "wav48_silence_trimmed" / speaker / f"{speaker}_{name}.flac")
    items = layouts.vctk(tmp_path)
    assert [item.file.name for item in items if item.creator == "vctk-p225"] == [
        "p225_001_mic1.flac", "p225_002_mic1.flac",
    ]  # fmt: skip
    assert len({(item.creator, item.split) for item in items}) == 3


def test_daps_takes_the_studio_recordings(tmp_path):
    for folder in ("clean", "ipad_balcony1"):
        for name in ("f1_script1", "f1_script2", "m10_script1"):
            record(tmp_path / "daps" / folder / f"{name}_{folder}.wav")
    items = layouts.daps(tmp_path)
    assert [item.creator for item in items] == ["daps-f1", "daps-f1", "daps-m10"]
    assert {item.file.parent.name for item in items} == {"clean"}


def test_musdb_takes_the_mixtures_and_its_own_test_set(tmp_path):
    for part, track in (("train", "A - One"), ("train", "A - Two"), ("test", "B - Three")):
        for stem in ("mixture", "vocals"):
            record(tmp_path / part / track / f"{stem}.wav")
    items = layouts.musdb(tmp_path)
    assert [(item.creator, item.file.name) for item in items] == [
        ("A", "mixture.wav"), ("A", "mixture.wav"), ("B", "mixture.wav"),
    ]  # fmt: skip
    assert items[2].split == "test"
    assert items[0].split == items[1].split != "test"


def test_open_corpus_without_a_folder_says_how_to_fetch_it(tmp_path):
    """`open-corpus corpus/` was refused: "Directory 'corpus/' does not exist"."""
    missing = str(tmp_path / "corpus")
    shown = CliRunner().invoke(data, ["open-corpus", missing])
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert lines[0] == f"mkdir -p {missing} && cd {missing}"
    assert "apt-get download klettres-data && dpkg -x klettres-data_*.deb klettres-data" in lines
    refused = CliRunner().invoke(data, ["open-corpus", missing, "--out", str(tmp_path / "corpus.jsonl")])
    assert isinstance(refused.exception, UserError)
    assert f"`earmark data open-corpus {missing}`" in str(refused.exception)
