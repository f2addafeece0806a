"""Shards and the examples drawn from them: exact, resumable, independent of workers and processes."""

from __future__ import annotations

import contextlib
import pickle
import threading
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from earmark.codec import audio
from earmark.codec.datasets import manifest
from earmark.codec.datasets.manifest import Entry
from earmark.codec.errors import UserError, WriteError
from earmark.codec.in_order import in_order
from earmark.codec.lock import locked
from earmark.codec.training.data_cli import data as data_command
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples import shards
from earmark.codec.training.examples.batches import TrainingData
from earmark.codec.training.examples.excerpts import Excerpts
from earmark.codec.training.examples.mixing import Mixing
from earmark.codec.training.examples.shard_cache import open_shards
from earmark.codec.training.examples.shards import Shards

RATE = 8000
ALONE = ProcessGroup(0, 1, torch.device("cpu"))
MUSIC_ONLY = Mixing(single_music=1.0, single_other=0.0, mix_two=0.0, mix_three_without_music=0.0)


def entry(name: str, seconds: float, number: int, **fields: object) -> Entry:
    entry = Entry(f"{name}.flac", "mine", "music", "train", None, "CC0-1.0", seconds, RATE, 1, f"{number:032x}")
    return replace(entry, **fields)  # type: ignore[arg-type]


class Corpus:
    """A folder of files, with their manifest and shards."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.entries = folder, list[Entry]()
        self.manifest = folder / "m.jsonl"

    def add(self, name: str, samples: np.ndarray, rate: int = RATE, **fields: object) -> None:
        """Add a recording, [time] or [channels, time]. Its fingerprint is its number, so shards keep the order."""
        samples = np.atleast_2d(samples)
        soundfile.write(self.folder / f"{name}.flac", samples.T, rate)
        self.entries.append(entry(name, samples.shape[1] / rate, len(self.entries), **fields))
        manifest.write(self.manifest, self.entries)

    def shards(self, name: str = "shards", **settings: object) -> Shards:
        shards.write([self.manifest], self.folder / name, **{"sample_rate": RATE, "channels": 1, **settings})
        return Shards(self.folder / name)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return Corpus(tmp_path)


@pytest.fixture
def mixed(corpus: Corpus) -> Corpus:
    """Eight recordings of noise of each category, 0.3 to 1 s, with pauses."""
    rng = np.random.default_rng(0)
    for category in manifest.CATEGORIES:
        for number in range(8):
            corpus.add(f"{category}{number}", rng.uniform(-0.3, 0.3, rng.integers(2400, 8000)), category=category)
    return corpus


def training(parts: list[Shards], **settings: object) -> TrainingData:
    fields = {"seconds": 0.25, "batch": 6, "updates": 5, "seed": 0}
    return TrainingData(parts, **{**fields, **settings})  # type: ignore[arg-type]


def noise(seconds: float, seed: int = 0, channels: int = 1, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, round(seconds * rate)))


# Shards


def test_a_recording_is_normalised(corpus):
    samples = noise(0.5)
    corpus.add("a", samples)
    part = corpus.shards()
    [stored] = part.recordings
    expected = samples / np.abs(samples).max()
    np.testing.assert_allclose(part.read(stored, 0, 4000), expected, atol=1 / 32767 + 1e-4)  # rounded to 16 bits, twice
    assert np.abs(part.read(stored, 0, 4000)).max() == 1


def test_reading_beyond_a_recording_gives_silence_not_its_neighbour(corpus):
    for number in range(3):
        corpus.add(str(number), noise(0.1, number))
    part = corpus.shards()
    middle = part.recordings[1]
    whole = part.read(middle, 0, 800)
    around = part.read(middle, -50, 900)
    np.testing.assert_array_equal(around, np.pad(whole, ((0, 0), (50, 50))))
    assert not part.read(middle, 800, 100).any()
    assert not part.read(middle, -100, 100).any()


def test_recordings_are_resampled_and_brought_to_the_number_of_channels(corpus):
    """A tone of 1 kHz is preserved from 48 to 8 kHz. Channels in opposite phase cancel in mono."""
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)
    corpus.add("mono", tone, rate=48000)
    corpus.add("stereo", np.stack([tone, 0.5 * tone]), rate=48000)
    corpus.add("opposite", np.stack([tone, -tone]), rate=48000)
    mono, stereo = corpus.shards("mono"), corpus.shards("stereo", channels=2)
    assert [stored.entry.path for stored in mono.recordings] == ["mono.flac", "stereo.flac"]
    expected = np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    inner = slice(200, -200)  # without the resampler's transients
    for stored in mono.recordings:
        np.testing.assert_allclose(mono.read(stored, 0, RATE)[0, inner], expected[inner], atol=0.01)
    [repeated, panned, opposite] = [stereo.read(stored, 0, RATE)[:, inner] for stored in stereo.recordings]
    np.testing.assert_array_equal(repeated[0], repeated[1])
    np.testing.assert_allclose(panned[1], panned[0] / 2, atol=1e-3)
    np.testing.assert_allclose(opposite[1], -opposite[0], atol=1e-3)


def test_no_shard_exceeds_its_size_and_the_audio_is_the_same(corpus):
    for number, seconds in enumerate([0.05, 0.5, 0.02, 1.3]):
        corpus.add(str(number), noise(seconds, number))
    one, many = corpus.shards("one"), corpus.shards("many", shard_bytes=3000)
    sizes = [path.stat().st_size for path in sorted(many.folder.glob("*.pcm"))]
    assert sizes[:-1] == [3000] * (len(sizes) - 1)
    assert sum(sizes) == 2 * round(RATE * 1.87)
    for first, second in zip(one.recordings, many.recordings, strict=True):
        assert first.frames == second.frames
        np.testing.assert_array_equal(one.read(first, -7, 12000), many.read(second, -7, 12000))


def test_silent_and_damaged_recordings_are_skipped(corpus):
    corpus.add("silent", np.zeros(1000))
    corpus.add("good", noise(0.1))
    corpus.add("damaged", noise(0.1))
    (corpus.folder / "damaged.flac").write_bytes(b"nothing")
    assert [stored.entry.path for stored in corpus.shards().recordings] == ["good.flac"]


def test_a_missing_recording_is_named_before_anything_is_written(corpus):
    corpus.add("a", noise(0.1))
    corpus.add("b", noise(0.1))
    (corpus.folder / "b.flac").unlink()
    with pytest.raises(UserError, match=r"b\.flac: does not exist; the paths in a manifest are relative to its folder"):
        corpus.shards()
    assert not list((corpus.folder / "shards").glob("*.pcm"))


def test_shards_without_audio_are_not_finished(corpus):
    corpus.add("a", np.zeros(800))
    for _ in range(2):
        with pytest.raises(UserError, match="every recording is silent or cannot be read"):
            corpus.shards()
    with pytest.raises(UserError, match="unfinished"):
        Shards(corpus.folder / "shards")


def test_recordings_in_two_manifests_are_reported(corpus, capsys):
    corpus.add("a", noise(0.1))
    corpus.add("b", noise(0.1, 1))
    manifest.write(corpus.folder / "n.jsonl", corpus.entries[:1])
    found = shards.write(
        [corpus.manifest, corpus.folder / "n.jsonl"], corpus.folder / "s", sample_rate=RATE, channels=1
    )
    assert len(found) == 2
    assert "1 recording(s) are in the manifests more than once, and taken once" in capsys.readouterr().err


def test_two_processes_do_not_write_the_same_shards(mixed, tmp_path):
    with (
        locked(mixed.folder / "shards"),
        pytest.raises(UserError, match="another process is writing there; wait until it is done"),
    ):
        mixed.shards()
    assert len(mixed.shards().recordings) == 24


def test_an_index_that_another_process_wrote_too_is_not_finished(mixed, monkeypatch):
    """If locks do not work, both append to the same index, which gets longer than the corpus."""

    def doubled(writer, *arguments, append=shards._Writer.append):
        stored = append(writer, *arguments)
        writer._index.write(shards._to_line(stored))
        writer._index.flush()
        return stored

    monkeypatch.setattr(shards._Writer, "append", doubled)
    with pytest.raises(WriteError, match="another process writes to it too"):
        mixed.shards()
    assert not (mixed.folder / "shards" / "index.jsonl").exists()


@pytest.mark.parametrize("name", ["line\u2028separator", "next\x85line"])
def test_file_names_may_hold_what_looks_like_a_line_end(corpus, name):
    """Characters that end a line for Python, but not in JSON Lines."""
    corpus.add("a", noise(0.1))
    (corpus.folder / "a.flac").rename(corpus.folder / f"{name}.flac")
    corpus.entries[0] = replace(corpus.entries[0], path=f"{name}.flac")
    manifest.write(corpus.manifest, corpus.entries)
    [stored] = corpus.shards().recordings
    assert stored.entry == corpus.entries[0]


def test_writing_continues_after_an_interrupt(mixed, monkeypatch):
    expected = mixed.shards("whole", shard_bytes=10000)
    decoded: list[Path] = []

    def read(path: Path) -> audio.Recording:
        decoded.append(path)
        if len(decoded) == 15:
            raise KeyboardInterrupt
        return original(path)

    original = audio.read
    monkeypatch.setattr(audio, "read", read)
    folder = mixed.folder / "shards"
    with pytest.raises(KeyboardInterrupt):
        mixed.shards(shard_bytes=10000, jobs=1)
    with pytest.raises(UserError, match="unfinished"):
        Shards(folder)
    newest = max(folder.glob("*.pcm"))
    newest.write_bytes(newest.read_bytes() + b"noted nowhere")
    index = folder / "index.part.jsonl"
    done = index.read_text().count("\n")
    assert 0 < done < 24
    index.write_text(index.read_text() + '{"entry": {"pa')  # as after a power cut
    decoded[:] = [Path()] * 20  # no more interrupts
    result = mixed.shards(shard_bytes=10000)
    assert len(decoded) - 20 == 24 - done
    assert result.recordings == expected.recordings
    for path in expected.folder.glob("*.pcm"):
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_finished_shards_are_not_made_again(mixed, monkeypatch):
    mixed.shards()
    monkeypatch.setattr(audio, "read", lambda path: pytest.fail("decoded again"))
    assert len(mixed.shards().recordings) == 24


def test_a_folder_of_other_shards_is_not_changed(mixed):
    folder = mixed.shards().folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(UserError, match="another sample rate"):
        mixed.shards(sample_rate=16000)
    with pytest.raises(UserError, match="another sample rate"):
        mixed.shards(channels=2)
    mixed.add("new", noise(0.1))
    with pytest.raises(UserError, match="other recordings"):
        mixed.shards()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_hours_takes_a_sample(corpus):
    for number in range(6):
        corpus.add(str(number), noise(0.5, number))
    part = corpus.shards(hours=1.2 / 3600)
    assert len(part.recordings) == 3


def test_shards_that_are_cut_short_are_refused(mixed):
    folder = mixed.shards().folder
    shard = folder / "shard-0000.pcm"
    shard.write_bytes(shard.read_bytes()[:-2])
    with pytest.raises(UserError, match=r"shard-0000\.pcm.*cut short"):
        Shards(folder)


@pytest.mark.parametrize(("file", "content"), [("format.json", "{}"), ("format.json", "["), ("index.jsonl", "{}\n")])
def test_shards_that_are_damaged_are_refused(mixed, file, content):
    folder = mixed.shards().folder
    (folder / file).write_text(content)
    with pytest.raises(UserError, match=str(folder)):
        Shards(folder)


def test_shards_are_pickled_without_their_samples(mixed):
    part = mixed.shards()
    stored = part.recordings[0]
    expected = part.read(stored, 0, 100)
    copied = pickle.dumps(part)
    assert len(copied) < (part.folder / "shard-0000.pcm").stat().st_size / 5
    np.testing.assert_array_equal(pickle.loads(copied).read(stored, 0, 100), expected)


def test_a_manifest_is_decoded_once_into_a_cache(mixed):
    first = open_shards(mixed.manifest, mixed.folder / "cache", RATE, 1, ALONE)
    assert first.folder == mixed.folder / "cache"
    assert open_shards(first.folder, mixed.folder / "unused", RATE, 1, ALONE).recordings == first.recordings
    with pytest.raises(UserError, match="8000 Hz and 1 channel"):
        open_shards(first.folder, mixed.folder / "unused", 24000, 1, ALONE)


# Excerpts


def test_every_second_of_audio_is_equally_likely(corpus):
    """1 and 3 s: 600 of 800 excerpts are of the longer, within 4 standard deviations sqrt(800 3/16) = 12."""
    corpus.add("short", np.full(RATE, 0.5))
    corpus.add("long", -np.full(3 * RATE, 0.5))
    excerpts = Excerpts([corpus.shards()], "train", 100)
    rng = np.random.default_rng(0)
    long = sum(excerpts.draw(rng, frozenset({"music"}))[0, 50] < 0 for _ in range(800))
    assert abs(long - 600) < 49


def test_a_short_recording_is_padded_at_random(corpus):
    corpus.add("short", np.full(100, 0.5))
    excerpts = Excerpts([corpus.shards()], "train", 400)
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(200):
        sounding = np.flatnonzero(excerpts.draw(rng, frozenset({"music"}))[0])
        assert len(sounding) == 100
        starts.append(sounding[0])
    assert min(starts) < 20
    assert max(starts) > 280


def test_a_long_recording_is_drawn_from_its_beginning_to_its_end(corpus):
    corpus.add("ramp", np.linspace(0.1, 1, 1001) * 0.999)
    excerpts = Excerpts([corpus.shards()], "train", 1000)
    rng = np.random.default_rng(0)
    firsts = {round(float(excerpts.draw(rng, frozenset({"music"}))[0, 0]), 4) for _ in range(40)}
    assert firsts == {0.1, 0.1009}  # the two possible positions


def test_the_lead_precedes_the_excerpt(corpus):
    corpus.add("a", noise(2.0))
    excerpts = Excerpts([corpus.shards()], "train", 400)
    for seed in range(20):
        plain = excerpts.draw(np.random.default_rng(seed), frozenset({"music"}))
        led = excerpts.draw(np.random.default_rng(seed), frozenset({"music"}), lead=300)
        assert led.shape == (1, 700)
        np.testing.assert_array_equal(led[:, 300:], plain)


def test_silence_is_drawn_again(corpus):
    """A quarter is not silent. After 8 attempts (3/4)^8 = 10 % of 100 excerpts are silent, not 75 %."""
    corpus.add("a", np.concatenate([np.zeros(3 * RATE), noise(1.0)[0]]))
    excerpts = Excerpts([corpus.shards()], "train", 80)
    rng = np.random.default_rng(0)
    silent = sum(not excerpts.draw(rng, frozenset({"music"})).any() for _ in range(100))
    assert silent < 25


def test_splits_do_not_mix(corpus):
    for number, split in enumerate(manifest.SPLITS):
        corpus.add(split, np.full(500, 0.1 if number % 2 else -0.1), split=split)
    part = corpus.shards()
    sign = {split: -1 if number % 2 == 0 else 1 for number, split in enumerate(manifest.SPLITS)}
    for split in manifest.SPLITS:
        excerpts = Excerpts([part], split, 100)
        drawn = [excerpts.draw(np.random.default_rng(seed), frozenset({"music"}))[0, 0] for seed in range(10)]
        assert {np.sign(value) for value in drawn} == {sign[split]}


# Examples


def test_an_example_depends_on_seed_epoch_and_index_only(mixed):
    part = mixed.shards()
    data = training([part])
    expected = {(epoch, index): data.example(epoch, index) for epoch in range(3) for index in range(5)}
    again = training([part])
    for (epoch, index), example in reversed(expected.items()):  # in another order
        np.testing.assert_array_equal(again.example(epoch, index), example)
    distinct = [training([part], seed=1).example(0, 0), *expected.values()]
    assert len({example.tobytes() for example in distinct}) == 16


def test_examples_are_float32_within_full_scale_and_of_the_given_length(mixed):
    data = training([mixed.shards(channels=2)], seconds=0.2)
    for index in range(40):
        example = data.example(0, index)
        assert example.shape == (2, 1600)
        assert example.dtype == np.float32
        assert 0 < np.abs(example).max() < 1


def test_splitting_the_shards_differently_changes_no_example(mixed):
    one, many = training([mixed.shards("one")]), training([mixed.shards("many", shard_bytes=3000)])
    assert one.identity == many.identity
    for index in range(20):
        np.testing.assert_array_equal(one.example(0, index), many.example(0, index))


def test_identity_depends_on_the_recordings_of_the_split(mixed):
    before = training([mixed.shards()])
    mixed.add("more", noise(0.3))
    after = training([mixed.shards("more")])
    mixed.add("valid", noise(0.3), split="valid")
    valid_too = training([mixed.shards("valid")])
    assert before.identity != after.identity == valid_too.identity


# Batches


def batches(
    data: TrainingData, first: int, last: int, group: ProcessGroup = ALONE, workers: int = 0
) -> list[torch.Tensor]:
    return list(data.batches(first, last, group, workers))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(mixed, workers):
    data = training([mixed.shards()])
    expected = batches(data, 0, 7)
    for batch, wanted in zip(batches(data, 0, 7, workers=workers), expected, strict=True):
        torch.testing.assert_close(batch, wanted, rtol=0, atol=0)


def test_a_resumed_training_gets_the_same_batches(mixed):
    data = training([mixed.shards()])
    for batch, wanted in zip(batches(data, 3, 8), batches(data, 0, 8)[3:], strict=True):
        torch.testing.assert_close(batch, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_parts_of_the_processes_are_the_batch_of_one(mixed, processes):
    data = training([mixed.shards()])
    parts = [batches(data, 0, 6, replace(ALONE, rank=rank, size=processes)) for rank in range(processes)]
    for of_update, whole in zip(zip(*parts, strict=True), batches(data, 0, 6), strict=True):
        torch.testing.assert_close(torch.cat(of_update), whole, rtol=0, atol=0)


def test_epochs_follow_each_other(mixed):
    """With 5 updates of 6 examples per epoch, update 7 is the third batch of epoch 1, examples 12 to 17."""
    data = training([mixed.shards()])
    [batch] = batches(data, 7, 8)
    assert batch.shape == (6, 1, 2000)
    for row, index in zip(batch, range(12, 18), strict=True):
        np.testing.assert_array_equal(row.numpy(), data.example(1, index))


@pytest.mark.parametrize("workers", [0, 1])
def test_batches_do_not_affect_other_random_numbers(mixed, workers):
    """The random numbers of a data loader must not affect those of a resumed training."""
    data = training([mixed.shards()])
    before = torch.get_rng_state()
    batches(data, 0, 2, workers=workers)
    torch.testing.assert_close(torch.get_rng_state(), before)


def test_batches_can_be_closed_early(mixed):
    data = training([mixed.shards()])
    with contextlib.closing(data.batches(0, 10**6, ALONE, workers=1)) as endless:
        assert len(list(islice(endless, 2))) == 2


def test_a_batch_that_cannot_be_divided(mixed):
    with pytest.raises(UserError, match=r"data\.batch: 6 .* 4 processes"):
        batches(training([mixed.shards()]), 0, 1, replace(ALONE, size=4))


def test_a_strategy_without_recordings_names_its_setting(corpus):
    corpus.add("a", noise(0.5))
    part = corpus.shards()
    with pytest.raises(UserError, match=r"data\.single_other: no sound or speech in the train split"):
        training([part])
    with pytest.raises(UserError, match=r"data\.single_music: no music in the valid split"):
        training([part], mixing=MUSIC_ONLY, split="valid")
    assert training([part], mixing=MUSIC_ONLY).example(0, 0).any()


def test_shards_of_two_rates_do_not_go_together(corpus):
    corpus.add("a", noise(0.5))
    with pytest.raises(UserError, match="one sample rate"):
        training([corpus.shards("a"), corpus.shards("b", sample_rate=16000)], mixing=MUSIC_ONLY)
    with pytest.raises(UserError, match="one sample rate"):
        training([])


# Threads


def test_results_are_in_the_order_of_the_items():
    late = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            assert late.wait(10)
        if item == 2:
            late.set()
        return item * item

    assert list(in_order(work, range(6), jobs=2)) == [(item, item * item) for item in range(6)]


def test_work_ahead_is_limited():
    requested = []

    def items() -> object:
        for item in range(100):
            requested.append(item)
            yield item

    results = in_order(lambda item: item, items(), jobs=2)
    next(results)
    assert len(requested) <= 5
    results.close()


def test_an_exception_in_a_thread_is_raised_in_place_of_its_result():
    def work(item: int) -> int:
        if item == 3:
            raise UserError("three")
        return item

    results = in_order(work, range(10), jobs=4)
    assert list(islice(results, 3)) == [(0, 0), (1, 1), (2, 2)]
    with pytest.raises(UserError, match="three"):
        next(results)


# The commands


def run(*arguments: object) -> str:
    result = CliRunner().invoke(data_command, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_from_a_folder_to_a_training_example(tmp_path):
    (tmp_path / "voices").mkdir()
    for number in range(3):
        soundfile.write(tmp_path / "voices" / f"{number}.wav", noise(1.0, number)[0], RATE)
    said = run("index", tmp_path / "voices", "--layout", "folder", "--kind", "speech", "--out", tmp_path / "v.jsonl")
    assert "speech" in said
    run("shards", tmp_path / "v.jsonl", "--sample-rate", RATE, "--shard-size", "20k", "--out", tmp_path / "shards")
    assert len(list((tmp_path / "shards").glob("*.pcm"))) == 3  # 48 kB
    voices = Mixing(single_music=0, single_other=1, mix_two=0, mix_three_without_music=0)
    assert training([Shards(tmp_path / "shards")], mixing=voices).example(0, 0).shape == (1, 2000)


def test_a_folder_needs_its_category(tmp_path):
    with pytest.raises(UserError, match="--category"):
        run("index", tmp_path, "--layout", "folder", "--out", tmp_path / "m.jsonl")


@pytest.mark.parametrize("size", ["0", "60X", "-1M", "big"])
def test_an_invalid_shard_size(mixed, size):
    with pytest.raises(UserError, match=f"--shard-size {size}"):
        run("shards", mixed.manifest, "--sample-rate", RATE, "--shard-size", size, "--out", mixed.folder / "s")


def test_missing_parts_of_the_open_corpus_are_listed(tmp_path):
    (tmp_path / "esc10").mkdir()
    soundfile.write(tmp_path / "esc10" / "1-100-A.ogg", noise(1.0, rate=44100)[0], 44100)
    said = run("open-corpus", tmp_path)
    assert "apt-get download klettres-data && dpkg -x klettres-data_*.deb klettres-data" in said
    assert "fluidsynth" in said
    assert "esc10" not in said
    said = run("open-corpus", tmp_path, "--out", tmp_path / "m.jsonl", "--dry-run")
    assert "files     1 sound " in said
    assert not (tmp_path / "m.jsonl").exists()
    said = run("open-corpus", tmp_path, "--out", tmp_path / "m.jsonl")
    [only] = manifest.read(tmp_path / "m.jsonl")
    assert (only.path, only.creator, only.category) == ("esc10/1-100-A.ogg", "100", "sound")
