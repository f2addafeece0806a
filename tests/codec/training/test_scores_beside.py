"""Validations whose metrics are computed in another process: nothing depends on when their scores arrive."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
import torch

from earmark.codec import plugins
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.training import recipe_files, validations
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.run import train
from earmark.codec.training.scoring import Beside, Decoded, plugin_scorers
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[1.2]",
    "discriminators.kinds=[]", "data.batch=2", "data.seconds=0.1", "training.updates=6", "optimizer.warmup=0",
    "validation.every=2", "validation.kbps=[1.2]", "validation.seconds=0.1", "validation.recordings=3",
    "validation.metrics=['slow']", "validation.best=slow@1.2", "validation.patience=9",
)  # fmt: skip
METRIC = """
import multiprocessing, os, time
from pathlib import Path
import numpy as np
from earmark.codec import plugins

@plugins.validation_metric("slow", better="lower")
def slow(reference, decoded, sample_rate):
    folder, until = Path(__file__).parent, time.monotonic() + 60
    with (folder / "processes").open("a") as file:
        file.write(f"{multiprocessing.parent_process() is not None}\\n")
    while not (folder / "go").exists():  # created by the third update
        assert time.monotonic() < until
        time.sleep(0.01)
    return float(np.abs(decoded).mean())

@plugins.validation_metric("fatal")
def fatal(reference, decoded, sample_rate):
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return 1.0
"""


class Killed(BaseException):
    pass


class Here(Beside):
    """One that leaves all scores to this process."""

    def __init__(self, scorers):
        super().__init__(scorers)
        self.available = False


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Folder of a plug-in whose metric waits until the third update."""
    monkeypatch.setattr(plugins, "_parts", {})
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    plugins._load.cache_clear()
    (tmp_path / "slow.py").write_text(METRIC)
    plugins.load([str(tmp_path / "slow.py")])
    yield tmp_path
    plugins._load.cache_clear()


def run(corpus, out, *settings, **more):
    recipe = recipe_files.load("tiny", (*SMALL, *settings))
    return train(recipe, [Shards(corpus)], out, ALONE, tensorboard=False, workers=0, **more)


def results(out):
    """Everything that a training leaves, but for the time it took."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    found = {"log": [line for line in lines if "validation" in line]}  # a resumed part starts its means again
    for name in ("best.safetensors", "model.safetensors"):
        found[name] = {key: value.tolist() for key, value in checkpoints.load(out / name).state_dict().items()}
    for name in (STATE, "checkpoints/best.pt"):
        state = torch.load(out / name, weights_only=True)
        found[name] = {key: str(value) for key, value in state.items() if key != "seconds"}
    return found


@contextlib.contextmanager
def at_the_third_update(action):
    """Context in which an action is done before the third update."""
    update = Trainer.update

    def wrapped(self, audio):
        if self.updates == 2:
            action()
        return update(self, audio)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "update", wrapped)
        yield


def test_updates_go_on_and_everything_is_as_if_they_had_waited(corpus, folder, monkeypatch):
    """In this process the metric would wait for ever. The last validation, which no update follows, is scored here.

    A training that is killed while it awaits scores repeats their validation: its state says that they are missing.
    """

    def kill():
        raise Killed

    with at_the_third_update(kill), pytest.raises(Killed):
        run(corpus, folder / "killed")
    state = torch.load(folder / "killed" / STATE, weights_only=True)
    assert (state["updates"], state["unscored"]) == (2, True)
    assert not (folder / "killed" / "model.safetensors").exists()
    (folder / "processes").unlink(missing_ok=True)
    with at_the_third_update((folder / "go").touch):
        assert run(corpus, folder / "beside")
    assert set((folder / "processes").read_text().split()[:6]) == {"True"}
    assert run(corpus, folder / "killed", resume=True)
    monkeypatch.setattr(validations, "Beside", Here)
    assert run(corpus, folder / "here")
    found, expected = results(folder / "beside"), results(folder / "here")
    assert [line["update"] for line in found["log"]] == [2, 4, 6]
    assert found == expected
    assert results(folder / "killed") == expected


def test_patience_ends_the_training_at_the_same_update(corpus, folder):
    """The second validation may end it, so it is waited for: a rate this low changes no score."""
    (folder / "go").touch()
    settings = ("validation.patience=1", "optimizer.learning_rate=1e-30", "training.parts=['decoder']")
    assert run(corpus, folder / "first")
    assert run(corpus, folder / "run", *settings, "training.updates=20", start=folder / "first")
    state = torch.load(folder / "run" / STATE, weights_only=True)
    assert (state["updates"], state["best"]["since"]) == (4, 1)


def test_a_time_limit_collects_the_scores(corpus, folder):
    """Stopped after the first update, with the validation of that update done here; the resumed part loses none."""
    (folder / "go").touch()
    assert not run(corpus, folder / "run", "validation.every=1", stop_after=0)
    assert run(corpus, folder / "run", "validation.every=1", resume=True)
    found = results(folder / "run")["log"]
    assert [line["update"] for line in found] == [1, 2, 3, 4, 5, 6]
    assert not torch.load(folder / "run" / STATE, weights_only=True)["unscored"]


def test_scores_of_a_killed_process_are_computed_here(folder):
    beside = Beside(plugin_scorers(["fatal"]))
    excerpts = [Decoded("speech", 6.0, np.ones(9, np.float32), np.ones(9, np.float32), 24000, 3.0)]
    assert beside.result(beside.submit(excerpts), excerpts) == {
        "si_snr@6": 3.0, "si_snr@6 speech": 3.0, "fatal@6": 1.0, "fatal@6 speech": 1.0,
    }  # fmt: skip
    beside.close()


def test_scorers_that_may_have_a_state_are_left_to_this_process(folder):
    scorers = plugin_scorers(["slow"])
    assert Beside(scorers).available
    assert not Beside({**scorers, "own": lambda *_: 1.0}).available
    assert not Beside({}).available
