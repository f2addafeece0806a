"""States that are kept, the best by a metric, the end without progress, and the export of any state."""

from __future__ import annotations

import json
import math
import shutil

import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import STATE
from earmark.codec.training.kept import Best
from earmark.codec.training.run import train

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
    "discriminators.kinds=[]", "data.batch=2", "data.seconds=0.1", "training.updates=8", "training.epochs=1",
    "optimizer.warmup=0", "optimizer.weight_ema=0.5", "validation.every=2", "validation.kbps=[1.2]",
    "validation.seconds=0.1", "validation.recordings=3", "checkpoints.every=1", "checkpoints.keep=2",
    "validation.best=score@1.2",
)  # fmt: skip


class Script:
    """A metric whose means over the three excerpts are given; lower is better."""

    better = "lower"

    def __init__(self, means):
        self.scores = [mean for mean in means for _ in range(3)]

    def __call__(self, *_):
        return self.scores.pop(0)


def run(corpus, folder, means, *settings, **more):
    recipe = recipe_files.load("tiny", (*SMALL, *settings))
    return train(
        recipe, [Shards(corpus)], folder, ALONE, scorers={"score": Script(means)}, tensorboard=False, workers=0, **more
    )  # fmt: skip


@pytest.fixture(scope="module")
def stopped(corpus, tmp_path_factory):
    """A training whose second validation, after update 4, was the best, and whose patience ended after update 8."""
    folder = tmp_path_factory.mktemp("kept") / "run"
    assert run(corpus, folder, [3.0, 1.0, 2.0, 1.0], "training.updates=20", "validation.patience=2")
    return folder


def updates(path):
    return torch.load(path, weights_only=True)["updates"]


def test_the_best_state_is_kept_and_patience_ends_the_training(stopped):
    assert updates(stopped / STATE) == 8
    assert updates(stopped / "checkpoints" / "best.pt") == 4
    assert updates(stopped / "checkpoints" / "update-00000007.pt") == 7
    assert sorted(path.name for path in (stopped / "checkpoints").iterdir()) == [
        "best.pt", "update-00000007.pt", "update-00000008.pt",
    ]  # fmt: skip


def test_an_ended_training_stays_ended_until_patience_grows(corpus, stopped, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    same = ("training.updates=20", "validation.patience=2")
    assert run(corpus, folder, [], *same, resume=True)
    assert updates(folder / STATE) == 8
    more = ("training.updates=20", "validation.patience=3")
    assert run(corpus, folder, [5.0, 5.0], *more, resume=True, may_change=True)
    assert updates(folder / STATE) == 10


@pytest.mark.parametrize("name", ["best.safetensors", "model.safetensors"])
def test_any_state_is_exported_as_the_training_did(stopped, tmp_path, name):
    """The validation exported the average of the weights."""
    state = "checkpoints/best.pt" if name == "best.safetensors" else STATE
    out = tmp_path / "own.safetensors"
    done = CliRunner().invoke(cli, ["export", str(stopped / state), "-o", str(out)])
    assert done.exit_code == 0, done.output
    ours, theirs = (checkpoints.load(path).state_dict() for path in (out, stopped / name))
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_a_state_of_an_earlier_version_is_exported_by_the_run_json_beside_it(stopped, tmp_path):
    state = torch.load(stopped / STATE, weights_only=True)
    del state["recipe"], state["best"]
    torch.save(state, tmp_path / STATE)
    command = ["export", str(tmp_path), "-o", str(tmp_path / "own.safetensors")]
    done = CliRunner().invoke(cli, command)
    assert "leave it in the folder of its training" in str(done.exception)
    about = json.loads((stopped / "run.json").read_text())
    del about["tables"]["checkpoints"], about["tables"]["training"]["parts"]
    (tmp_path / "run.json").write_text(json.dumps(about))
    assert CliRunner().invoke(cli, command).exit_code == 0
    assert checkpoints.load(tmp_path / "own.safetensors").config.kbps == (0.6, 1.2)


def test_an_early_stop_exports_and_does_not_count_as_a_validation(corpus, tmp_path):
    folder = tmp_path / "run"
    assert not run(corpus, folder, [0.5], stop_after=0)
    assert checkpoints.load(folder / "model.safetensors").config.name == "encodec_24khz"
    assert not (folder / "best.safetensors").exists()
    assert torch.load(folder / STATE, weights_only=True)["best"]["since"] == 0
    assert run(corpus, folder, [4.0, 3.0, 2.0, 1.0], resume=True)
    assert updates(folder / "checkpoints" / "best.pt") == 8


def test_undefined_scores_are_never_the_best():
    best = Best("pesq@6", patience=3)
    assert [best.see({"pesq@6": value}, n) for n, value in enumerate([math.nan, 1.0, math.nan, 0.5, 2.0])] == [
        False, True, False, False, True,
    ]  # fmt: skip
    assert best.since == 0
    with pytest.raises(UserError, match=r"validation\.best 'pesq@6' is no score; there are visqol@6"):
        best.see({"visqol@6": 3.0}, 5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("validation.best=visqol@3",), "validation.best 'visqol@3' is no score of the validation"),
        (("validation.metrics=['peskq']",), "there is no metric 'peskq'; did you mean pesq?"),
        (("validation.patience=3",), "validation.best must be a score"),
        (("checkpoints.keep=0",), "checkpoints.keep must be 1 or more"),
    ],
)
def test_mistakes_are_one_line(corpus, tmp_path, settings, said):
    given = [part for setting in settings for part in ("--set", setting)]
    done = CliRunner().invoke(cli, ["train", "tiny", "--data", str(corpus), "--out", str(tmp_path / "x"), *given])
    assert said in str(done.exception)
    assert not (tmp_path / "x").exists()
