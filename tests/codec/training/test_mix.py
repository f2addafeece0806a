"""Trainings on data of one kind."""

from __future__ import annotations

import json

import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.batches import identity
from earmark.codec.training.examples.mixing import MIXES
from earmark.codec.training.examples.reverb import SimulatedRooms
from earmark.codec.training.examples.shard_cache import only
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.run import train, training_data

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[1.2]", "data.batch=2",
    "data.seconds=0.1", "discriminators.kinds=[]", "training.updates=1", "validation.kbps=[1.2]",
    "validation.seconds=0.1", "validation.recordings=2",
)  # fmt: skip


@pytest.mark.parametrize("name", ["speech", "music", "sound"])
def test_only_recordings_of_the_category_are_used(corpus, name):
    recipe = recipe_files.load("tiny", (*SMALL, *MIXES[name], "data.reverb=0"))
    shards = only(Shards(corpus), recipe.data.categories)
    assert {stored.entry.category for stored in shards.recordings} == {name}
    data = training_data(recipe, [shards], SimulatedRooms(24000))
    assert torch.from_numpy(data.example(0, 0)).abs().max() > 0
    with pytest.raises(UserError, match="or choose one kind by --mix"):
        training_data(recipe_files.load("tiny", SMALL), [shards], SimulatedRooms(24000))


def test_the_command_trains_on_one_kind(corpus, tmp_path):
    given = [part for setting in SMALL for part in ("--set", setting)]
    done = CliRunner().invoke(
        cli, ["train", "tiny", "--data", str(corpus), "-o", str(tmp_path / "run"), "--mix", "speech", "--no-visqol",
              "--no-tensorboard", "--workers", "0", "--device", "cpu", *given],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["tables"]["data"]["categories"] == ["speech"]
    assert about["data"] == identity([only(Shards(corpus), ["speech"])], "train")
    scores = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()][-1]["validation"]
    assert "si_snr@1.2 speech" in scores
    assert "si_snr@1.2 music" not in scores


def test_a_kind_that_is_not_there_is_one_line(corpus, tmp_path):
    speech = only(Shards(corpus), ["speech"])
    recipe = recipe_files.load("tiny", (*SMALL, *MIXES["music"]))
    with pytest.raises(UserError, match=r"data\.single_music: no music in the train split"):
        train(recipe, [speech], tmp_path / "run", ALONE)
