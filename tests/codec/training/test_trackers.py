"""Weights & Biases and MLflow get what TensorBoard gets; stand-ins record the calls, as neither is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec import extras
from earmark.codec.audio import read
from earmark.codec.training import trackers
from earmark.codec.training.journal import Journal


@pytest.fixture
def calls(monkeypatch):
    """Calls of both libraries, and files that MLflow would have copied."""
    made = []
    wandb, mlflow = ModuleType("wandb"), ModuleType("mlflow")
    run = SimpleNamespace(
        id="run-1", log=lambda values, step: made.append((step, values)), finish=lambda: made.append("finish"),
        define_metric=lambda name, step_metric: made.append((name, step_metric)),
    )  # fmt: skip
    wandb.init = lambda **given: (made.append(given), run)[1]
    wandb.Audio = lambda samples, sample_rate: ("audio", samples.shape, sample_rate)
    wandb.Image = lambda image: ("image", image.shape)
    mlflow.set_experiment = lambda name: made.append(name)
    mlflow.start_run = lambda **given: (made.append(given), SimpleNamespace(info=SimpleNamespace(run_id="run-2")))[1]
    mlflow.log_dict = lambda content, name: made.append((name, content))
    mlflow.log_metric = lambda name, value, step: made.append((step, {name: value}))
    mlflow.log_artifact = lambda path, folder: made.append((folder, read(Path(path)).samples.shape))
    mlflow.log_image = lambda image, key, step: made.append((step, key, image.shape))
    mlflow.end_run = lambda: made.append("end")
    for module in (wandb, mlflow):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(extras, "find_spec", lambda name: True)
    return made


def log(folder, name):
    tracker = trackers.tracker(name, folder, {"losses": {"mel": 1.0}})
    journal = Journal(folder, 0, 50, tensorboard=False, others=[tracker])
    for number in range(1, 51):
        journal.update(number, {"mel": 2.0}, {"generator": 1.0})
    journal.validation(50, {"visqol@6": 3.5}, {})
    journal.audio("speech reference", torch.zeros(1, 2400), 24000, 50)
    journal.close()


def test_weights_and_biases(calls, tmp_path):
    log(tmp_path, "wandb")
    assert calls[0]["config"] == {"losses": {"mel": 1.0}}
    assert calls[0]["id"] is None
    assert ("*", "update") in calls
    assert (50, {"training/mel": 2.0, "update": 50}) in calls
    assert (50, {"validation/visqol@6": 3.5, "update": 50}) in calls
    assert (50, {"speech reference": ("audio", (2400,), 24000), "update": 50}) in calls
    assert calls[-1] == "finish"
    log(tmp_path, "wandb")
    assert [call["id"] for call in calls if isinstance(call, dict)] == [None, "run-1"]  # resumed


def test_a_validation_that_is_scored_later_has_its_own_update(calls, tmp_path):
    """The steps of Weights & Biases never fall."""
    tracker = trackers.tracker("wandb", tmp_path, {})
    tracker.add_scalar("training/mel", 2.0, 150)
    tracker.add_scalar("validation/visqol@6", 3.5, 100)
    assert calls[-1] == (150, {"validation/visqol@6": 3.5, "update": 100})


def test_mlflow(calls, tmp_path):
    """Its names have no @."""
    log(tmp_path, "mlflow")
    assert (50, {"validation/visqol_6": 3.5}) in calls
    assert ("audio", (1, 2400)) in calls
    assert ("recipe.json", {"losses": {"mel": 1.0}}) in calls
    log(tmp_path, "mlflow")
    assert [call["run_id"] for call in calls if isinstance(call, dict) and "run_id" in call] == [None, "run-2"]


def test_a_missing_tracker_is_one_line(tmp_path):
    done = CliRunner().invoke(
        cli, ["train", "tiny", "--data", str(tmp_path), "-o", str(tmp_path / "x"), "--tracker", "wandb"]
    )  # fmt: skip
    assert "--tracker wandb: Weights & Biases is not installed; run `pip install 'earmark[wandb]'`" in str(
        done.exception
    )
