"""The folder of a training: which trainings it resumes, and the errors for damaged files."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch

from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError, WriteError
from earmark.codec.training import recipe_files, run
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.batches import identity
from earmark.codec.training.examples.reverb import MeasuredRooms
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE, load_state
from earmark.codec.training.run import train
from earmark.codec.training.start import start_from
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, select_excerpts, validate

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.kinds=[]", "data.batch=2", "data.seconds=0.1", "training.updates=4", "validation.every=2",
    "validation.kbps=[1.2]", "validation.seconds=0.5", "validation.recordings=3",
)  # fmt: skip


def small(*settings):
    return recipe_files.load("tiny", (*SMALL, *settings))


@pytest.fixture(scope="module")
def begun_to_copy(corpus, tmp_path_factory):
    """Folder of a training that stopped after its first update."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    assert not train(small(), [Shards(corpus)], folder, ALONE, stop_after=0, tensorboard=False)
    return folder


@pytest.fixture
def begun(begun_to_copy, tmp_path):
    """Copy of that folder for one test."""
    return shutil.copytree(begun_to_copy, tmp_path / "run")


@pytest.fixture
def resume(corpus, begun):
    return lambda **more: train(small(), [Shards(corpus)], begun, ALONE, resume=True, tensorboard=False, **more)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"nonsense", None])
def test_a_damaged_state_is_one_line(begun, resume, damage):
    state = (begun / STATE).read_bytes()
    (begun / STATE).write_bytes(state[: len(state) // 2] if damage is None else damage)
    with pytest.raises(UserError, match=r"state\.pt: damaged or cut short") as caught:
        resume()
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"--start-from .*state\.pt: damaged or cut short"):
        start_from(Trainer(small(), ALONE), begun)


def test_a_language_model_is_not_a_start(tmp_path):
    torch.save({"updates": 3, "model": {}, "optimizer": {}}, tmp_path / STATE)
    with pytest.raises(UserError, match=r"--start-from .*another type of training, without a generator"):
        start_from(Trainer(small(), ALONE), tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_damaged_metadata_is_one_line(begun, resume, content):
    (begun / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json: (damaged|not what a training writes)"):
        resume()


def test_a_damaged_log_loses_only_its_damaged_lines(begun, resume):
    with (begun / "log.jsonl").open("ab") as file:
        file.write(b"\xff\xfe{]\n")
    assert resume()
    assert all(json.loads(line) for line in (begun / "log.jsonl").read_text().splitlines())


def test_a_state_is_loaded_to_the_cpu(begun, monkeypatch):
    """Adam's step counts stay on the device they are loaded to. On a GPU, each step would wait for each of them."""
    devices = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: (devices.append(k["map_location"]), load(*a, **k))[1])
    Trainer(small(), ALONE).load_state_dict(load_state(begun, "generator"))
    assert devices == ["cpu"]


def test_a_state_without_seconds_is_resumed(begun, resume):
    """As written by earlier versions, with fewer keys in run.json."""
    state = torch.load(begun / STATE, weights_only=True)
    del state["seconds"]
    torch.save(state, begun / STATE)
    edit(begun / "run.json", lambda about: [about.pop(key) for key in ("rooms", "validation", "start_path")])
    assert resume()


def test_a_training_without_newer_settings_is_resumed(begun, resume):
    edit(
        begun / "run.json",
        lambda about: [about["tables"]["losses"].pop("levels"), about["tables"]["optimizer"].pop("kind")],
    )
    assert resume()


def test_seconds_add_up_over_the_parts_of_a_training(begun, resume):
    state = torch.load(begun / STATE, weights_only=True)
    torch.save({**state, "seconds": 1000.0}, begun / STATE)
    assert resume()
    assert 1000 < torch.load(begun / STATE, weights_only=True)["seconds"] < 1100


def test_a_recipe_of_another_shape_is_another_training(corpus, begun):
    """The weights of the state would not even fit."""
    with pytest.raises(UserError, match="was begun with another recipe or --set"):
        train(small("model.seanet.filters=4"), [Shards(corpus)], begun, ALONE, resume=True)


def test_other_rooms_are_another_training(tmp_path, resume):
    time = np.arange(24000) / 24000
    response = np.random.default_rng(0).standard_normal(24000) * 10 ** (-3 * time / 0.5)  # RT60 of 0.5 s
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "a.wav", 0.1 * response, 24000)
    with pytest.raises(UserError, match="was begun with other --rooms"):
        resume(rooms=MeasuredRooms(tmp_path / "rooms", 24000))


def test_other_recordings_to_validate_on_are_another_training(corpus, begun, resume):
    edit(begun / "run.json", lambda about: about.update(validation=identity([Shards(corpus)], "test")))
    with pytest.raises(UserError, match="was begun with other recordings to validate on"):
        resume()


def test_a_corpus_without_a_valid_split_is_refused_before_anything_is_written(corpus, tmp_path):
    shards = Shards(corpus)
    shards.recordings = [stored for stored in shards.recordings if stored.entry.split != "valid"]
    with pytest.raises(UserError, match="--data: holds no recordings of the split valid"):
        train(small(), [shards], tmp_path / "run", ALONE)
    assert not (tmp_path / "run").exists()


def test_an_unwritable_log_costs_no_update(corpus, begun, resume, monkeypatch):
    def full(*arguments):
        raise WriteError("log.jsonl: cannot be written: No space left on device")

    monkeypatch.setattr(run.Journal, "_write", full)
    with pytest.raises(WriteError, match="No space left"):
        resume()
    assert torch.load(begun / STATE, weights_only=True)["updates"] == 2  # the update with the first validation


def test_the_model_card_describes_the_model(begun, resume):
    """The corpus has six recordings of 3 s per category, two of them in the training split."""
    assert resume()
    card = (begun / "model-card.md").read_text()
    assert identities.identity(checkpoints.load(begun / "model.safetensors")) in card
    assert "| Updates | 4 of 4, batch 2 x 0.1 s, float32 |" in card
    assert "| speech | tones | CC0-1.0 | 0.00 |" in card
    assert "`tiny`, seed 0" in card
    assert "| si_snr@1.2 |" in card
    assert "model.seanet.filters = 2\n" in card
    assert f"torch {torch.__version__}" in card


def test_the_result_does_not_depend_on_the_workers(corpus, tmp_path):
    states = []
    for workers in (0, 3):
        folder = tmp_path / str(workers)
        assert train(small(), [Shards(corpus)], folder, ALONE, tensorboard=False, workers=workers)
        states.append(torch.load(folder / STATE, weights_only=True)["generator"])
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_validation_scores_what_the_exported_codec_decodes():
    """1.5 s are two segments of 1 s, the second of which starts at 0.99 s; they are cross-faded."""
    settings = ("model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[3]",
                "validation.kbps=[3]")  # fmt: skip
    generator = Trainer(recipe_files.load("encodec_48khz", settings), ALONE).generator
    audio = 0.1 * torch.randn(2, 72000, generator=torch.Generator().manual_seed(0))
    generator(audio[None, :, :48000], 5)  # initialises the codebooks
    _, examples = validate(generator, [Excerpt("noise", "sound", audio)], (3.0,), {})
    model = generator.export()
    torch.testing.assert_close(examples["sound@3"], model.decode(model.encode(audio, 3.0))[0], rtol=1e-3, atol=1e-5)


def test_no_excerpts_of_an_empty_split(corpus):
    assert select_excerpts([Shards(corpus)], 3, 0.5, "none") == []
