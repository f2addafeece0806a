"""Rooms of corpus files: reverberation that is drawn by the seed and begins before the excerpt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.codec.training.examples.reverb import reverberation_time, simulate
from earmark.eval.comparison.corpus import ReferenceFormat, load
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.room import Room

RATE = 8000
CLICK = 4000  # sample of the only sound in each recording
TEXT = """
seed = 3
[[folders]]
path = "clicks"
category = "speech"
"""


@pytest.fixture
def sources(tmp_path):
    """A function that reads a corpus file of eight recordings of 2 s with one click each."""
    for number in range(8):
        click = np.zeros((1, 2 * RATE), np.float32)
        click[0, CLICK] = 0.9
        audio.write(tmp_path / "clicks" / f"{number}.wav", click, RATE)

    def read(text: str):
        (tmp_path / "corpus.toml").write_text(TEXT + text)
        return read_corpus(tmp_path / "corpus.toml")

    return read


def test_a_click_becomes_the_response_of_the_room(sources):
    source = sources("[folders.room]\nrt60 = [0.5, 0.5]\n")[0]
    samples = load(source, ReferenceFormat())[0].samples
    response = simulate(np.random.default_rng(source.room.seed), 0.5, RATE, 1)
    assert samples.shape == (1, 2 * RATE)
    assert np.abs(samples[0, :CLICK]).max() < 1e-6
    np.testing.assert_allclose(samples[0, CLICK:][: response.shape[1]], 0.9 * response[0], atol=1e-4)
    assert reverberation_time(samples[0, CLICK:], RATE) == pytest.approx(0.5, rel=0.1)


def test_the_room_sounds_on_from_before_the_excerpt(sources):
    source = sources("[folders.room]\nrt60 = [1, 1]\n")[0]
    whole = load(source, ReferenceFormat())[0].samples
    after = (CLICK + 400) / RATE
    part = load(type(source)(source.file, source.path, "speech", (after, 0.5), None, source.room), ReferenceFormat())
    np.testing.assert_allclose(part[0].samples, whole[:, CLICK + 400 :][:, :RATE // 2], atol=1e-6)  # fmt: skip
    assert np.abs(part[0].samples).max() > 0.01


def test_each_recording_has_its_room_and_the_seed_decides(sources):
    first = sources("[folders.room]\n")
    assert [source.room for source in sources("[folders.room]\n")] == [source.room for source in first]
    assert len({source.room.seed for source in first}) == 8
    assert all(0.3 <= source.room.rt60 <= 1.3 for source in first)  # the paper's range
    assert [source.room for source in sources("")] == [None] * 8
    some = sources("[folders.room]\nshare = 0.5\n")
    assert 0 < sum(source.room is None for source in some) < 8


def test_a_room_changes_no_excerpt(sources):
    dry = sources("seconds = 0.5\n")
    wet = sources("seconds = 0.5\n[folders.room]\n")
    assert [source.excerpt for source in wet] == [source.excerpt for source in dry]


def test_measured_rooms_with_a_reverberation_time_in_the_range(sources, tmp_path):
    for name, rt60 in (("dry", 0.4), ("church", 3.0)):
        response = simulate(np.random.default_rng(1), rt60, RATE, 1)
        audio.write(tmp_path / "rooms" / f"{name}.wav", response / np.abs(response).max(), RATE)
    table = '[folders.room]\npath = "rooms"\n'
    measured = sources(table)
    assert {source.room.response.name for source in measured} == {"dry.wav"}
    samples = load(measured[0], ReferenceFormat())[0].samples
    assert reverberation_time(samples[0, CLICK:], RATE) == pytest.approx(0.4, rel=0.1)
    with pytest.raises(UserError, match=r"room: no response has a reverberation time of 5 to 6 s; change rt60"):
        sources(f"{table}rt60 = [5, 6]\n")


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("rt60 = [1.3, 0.3]", "room: rt60: write the shortest and the longest"),
        ("rt60 = 0.5", "room: rt60 = 0.5 is not possible"),
        ("share = 20", "room: share: write a part"),
        ("size = 3", "room: size is unknown; there are path, pattern, rt60, share"),
        ('path = "nowhere"', "room: .*nowhere is not a folder"),
    ],
)
def test_mistakes(sources, table: str, says: str):
    with pytest.raises(UserError, match=says):
        sources(f"[folders.room]\n{table}\n")


def test_the_noise_is_in_the_same_room_at_its_ratio(sources, tmp_path):
    """Mixed first, then reverberated: the room of the sum is the sum of both in the room."""
    noise = np.random.default_rng(0).uniform(-0.2, 0.2, (1, 4 * RATE)).astype(np.float32)
    audio.write(tmp_path / "noise" / "n.wav", noise, RATE)
    add = '[folders.add]\npath = "noise"\nsnr_db = [0]\n'
    dry, wet = (sources(text)[0] for text in (add, f"{add}[folders.room]\nrt60 = [0.3, 0.3]\n"))
    response = wet.room.impulse_response(RATE, 1)
    mixture = load(dry, ReferenceFormat())[0].samples[0]
    expected = np.convolve(mixture, response[0])[: 2 * RATE]
    heard = load(wet, ReferenceFormat())[0].samples[0]
    settled = response.shape[1]  # before, the noise of the lead still sounds
    scale = heard[settled:] @ expected[settled:] / (expected[settled:] @ expected[settled:])
    error = heard[settled:] - scale * expected[settled:]
    assert np.square(error).sum() < 1e-6 * np.square(heard[settled:]).sum()


def test_a_run_records_the_room(sources, tmp_path):
    import earmark

    sources("count = 2\n[folders.room]\nrt60 = [0.4, 0.4]\n")
    earmark.compare(tmp_path / "corpus.toml", ["opus@12"], metrics=["si_snr"], out=tmp_path / "run", jobs=0)
    recordings = json.loads((tmp_path / "run" / "run.json").read_text())["recordings"]
    assert [set(recording["room"]) for recording in recordings] == [{"seed", "rt60"}] * 2


def test_identity():
    assert Room(1, 0.5).identity != Room(2, 0.5).identity
