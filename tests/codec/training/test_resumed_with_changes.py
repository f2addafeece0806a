"""A resumed training takes new settings where it stays the same training, records them, and remains exact."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.run import train
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.filters=2", "discriminators.start=1", "data.batch=2", "data.seconds=0.1", "training.updates=6",
    "training.epochs=1", "optimizer.warmup=0", "validation.every=2", "validation.kbps=[1.2]", "validation.seconds=0.2",
    "validation.recordings=3",
)  # fmt: skip
RATE = "optimizer.learning_rate=1e-4"


def small(*settings):
    return recipe_files.load("tiny", (*SMALL, *settings))


def run(corpus, folder, *settings, **more):
    return train(
        small(*settings), [Shards(corpus)], folder, ALONE, tensorboard=False, workers=0, may_change=True, **more
    )  # fmt: skip


class Killed(BaseException):
    """Ends a training at once, as SIGKILL does: nothing is saved."""


@pytest.fixture(scope="module")
def begun(corpus, tmp_path_factory):
    """Folder of a training that was saved after its first update."""
    folder = tmp_path_factory.mktemp("begun") / "run"
    assert not run(corpus, folder, stop_after=0)
    return folder


def weights(folder):
    state = torch.load(folder / STATE, weights_only=True)
    return [*state["generator"].values(), *state["discriminators"].values()]


def test_killed_and_resumed_across_a_changed_rate_it_ends_with_the_same_bits(corpus, begun, tmp_path, monkeypatch):
    whole = shutil.copytree(begun, tmp_path / "whole")
    killed = shutil.copytree(begun, tmp_path / "killed")
    unchanged = shutil.copytree(begun, tmp_path / "unchanged")
    assert run(corpus, whole, RATE, resume=True)
    assert run(corpus, unchanged, resume=True)
    update = Trainer.update

    def until_four(self, audio):
        if self.updates == 4:
            raise Killed
        return update(self, audio)

    monkeypatch.setattr(Trainer, "update", until_four)
    with pytest.raises(Killed):
        run(corpus, killed, RATE, resume=True)
    monkeypatch.undo()
    assert torch.load(killed / STATE, weights_only=True)["updates"] < 6
    assert run(corpus, killed, RATE, resume=True)
    assert all(torch.equal(a, b) for a, b in zip(weights(whole), weights(killed), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(weights(whole), weights(unchanged), strict=True))
    (change,) = json.loads((killed / "run.json").read_text())["changes"]
    assert (change["update"], change["settings"]) == (1, {"optimizer.learning_rate": [1e-3, 1e-4]})


def test_fewer_and_more_updates(corpus, begun, tmp_path):
    folder = shutil.copytree(begun, tmp_path / "run")
    assert run(corpus, folder, "training.updates=2", resume=True)
    assert torch.load(folder / STATE, weights_only=True)["updates"] == 2
    assert run(corpus, folder, "training.updates=3", "losses.levels=0.5", "validation.recordings=2", resume=True)
    about = json.loads((folder / "run.json").read_text())
    assert [(change["update"], [*change["settings"]]) for change in about["changes"]] == [
        (1, ["training.updates"]), (2, ["losses.levels", "training.updates", "validation.recordings"]),
    ]  # fmt: skip
    assert about["tables"]["training"]["updates"] == 3


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.seanet.filters=4", "model.seanet.filters cannot change from 2 to 4"),
        ("training.seed=1", "training.seed cannot change from 0 to 1"),
        ("data.batch=4", "data.batch cannot change"),
        ("training.parts=['decoder']", "training.parts cannot change"),
        ("discriminators.kinds=[]", "discriminators.kinds cannot change"),
        ("optimizer.kind=muon", "optimizer.kind cannot change from adam to muon"),
        ("quantizer.kind=gumbel", "quantizer.kind cannot change"),
    ],
)
def test_what_makes_it_another_training_is_refused_by_name(corpus, begun, setting, said):
    before = (begun / "run.json").read_bytes()
    with pytest.raises(UserError, match="was begun with another recipe or --set") as caught:
        run(corpus, begun, setting, RATE, resume=True)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (begun / "run.json").read_bytes() == before


def test_the_command_needs_no_earlier_set_again(corpus, begun, tmp_path):
    folder = shutil.copytree(begun, tmp_path / "run")
    done = CliRunner().invoke(
        cli, ["train", "tiny", "--data", str(corpus), "--out", str(folder), "--resume", "--set", "training.updates=2",
              "--no-visqol", "--no-tensorboard", "--workers", "0", "--device", "cpu"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "after update 1: training.updates changes from 6 to 2" in done.output
    about = json.loads((folder / "run.json").read_text())
    assert about["settings"] == [*SMALL, "training.updates=2"]
