"""Reproduction of a table in the paper: each row's recipe is trained at one budget and scored on held-out excerpts.

OUT/ROW/                  the row as `earmark train` writes it; model.safetensors only if there is a bitstream
OUT/ROW/scores.json       scores of every excerpt, and the budget, recipe and data that they belong to
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.codec.datasets.manifest import CATEGORIES, SPLITS
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.batches import identity
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.export import device_name, export, snapshot
from earmark.codec.training.folder import METADATA, STATE, load_state
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_files import Row
from earmark.codec.training.run import train
from earmark.codec.training.scoring import Scorer
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, select_excerpts, validate
from earmark.eval.paper.budget import Budget
from earmark.eval.statistics.aggregate import mean_interval

SCORES = "scores.json"


@dataclass(frozen=True)
class Experiment:
    """Everything that a row's scores depend on. Only scores of equal experiments are comparable.

    Args:
        budget: budget as text.
        recipe: tables of the recipe.
        data: identities of the recordings in each split.
        excerpts: names of the scored excerpts.
        excerpt_seconds: longest duration of an excerpt.
    """

    budget: str
    recipe: Mapping[str, Any]
    data: list[str]
    excerpts: list[str]
    excerpt_seconds: float

    @classmethod
    def of(
        cls, recipe: Recipe, shards: Sequence[Shards], budget: Budget, excerpts: Sequence[Excerpt], seconds: float
    ) -> Experiment:
        """The experiment that trains `recipe` on `shards` and scores `excerpts`."""
        tables = json.loads(json.dumps(recipe.tables))  # as read from a file
        data = [identity(shards, split) for split in SPLITS]
        return cls(str(budget), tables, data, [excerpt.name for excerpt in excerpts], seconds)


@dataclass(frozen=True)
class RowScores:
    """Scores of one trained row.

    Args:
        experiment: what the scores depend on.
        updates: updates made.
        seconds: duration of the training.
        device: device of the training.
        scores: per metric, one value per excerpt, NaN if undefined.
    """

    experiment: Experiment
    updates: int
    seconds: float
    device: str
    scores: dict[str, list[float]]


def select_rows(table: str, names: Sequence[str] = ()) -> list[Row]:
    """Rows of a table. Default: all.

    Raises:
        UserError: there is no such table or row.
    """
    rows = {row.recipe.partition(":")[2]: row for row in recipe_files.table(table).rows}
    for name in names:
        if name not in rows:
            raise UserError(f"--rows: {table} has no row {name!r}; it has {', '.join(rows)}")
    return [rows[name] for name in names or rows]


def require_distinct(recipes: Sequence[Recipe]) -> None:
    """Refuse recipes of which two would be the same training.

    Raises:
        UserError: names two such rows.
    """
    for index, recipe in enumerate(recipes):
        for other in recipes[:index]:
            if recipe.tables == other.tables:
                raise UserError(f"--set: {recipe.name} and {other.name} would be the same training; leave one out")


def held_out(recipe: Recipe, shards: Sequence[Shards], count: int, seconds: float) -> list[Excerpt]:
    """`count` excerpts of the split "test", or of "valid" if that is empty, of the categories that the recipe uses.

    Raises:
        UserError: the shards have no such recording.
    """
    categories = ("music",) if recipe.data.single_music == 1 else CATEGORIES
    for split in ("test", "valid"):
        excerpts = select_excerpts(shards, count * len(CATEGORIES) // len(categories), seconds, split)
        if excerpts := [excerpt for excerpt in excerpts if excerpt.category in categories]:
            return excerpts[:count]
    raise UserError("--data: holds no recordings of the splits test and valid; index more recordings")


def reproduce_row(
    recipe: Recipe, kbps: float, shards: Sequence[Shards], folder: Path, budget: Budget, group: ProcessGroup,
    experiment: Experiment, excerpts: Sequence[Excerpt], scorers: Mapping[str, Scorer],
) -> RowScores:  # fmt: skip
    """Train one row until its budget is spent, and score it. Continues what an earlier call has begun.

    Args:
        recipe: recipe of the row.
        kbps: bit rate to score at.
        shards: recordings.
        folder: folder of the row.
        budget: length of the training.
        group: the process and its device.
        experiment: what the scores depend on; stored scores are reused if theirs is equal.
        excerpts: excerpts to score.
        scorers: metrics in addition to SI-SNR, by name.

    Raises:
        UserError: the folder holds another training.
        KeyboardInterrupt: the training was interrupted; the state is saved.
    """
    known = read_scores(folder)
    wanted = {"si_snr", *scorers}
    if known and known.experiment == experiment and wanted <= known.scores.keys():
        return known
    resume = (folder / METADATA).exists()
    # Only saved updates count as spent time; a row that was killed repeats the others.
    spent = load_state(folder, "generator").get("seconds", 0.0) if (folder / STATE).exists() else 0.0
    left = None if budget.minutes is None else 60 * budget.minutes - spent
    if left is None or left > 0 or not resume:
        train(recipe, shards, folder, group, resume=resume, stop_after=left, tensorboard=False)
    state = load_state(folder, "generator")
    trainer = Trainer(recipe, group)
    trainer.load_state_dict(state)
    scores: dict[str, list[float]] = {name: [] for name in sorted(wanted)}
    with trainer.average.in_place(trainer.generator):
        for excerpt in excerpts:
            of_excerpt, _ = validate(trainer.generator, [excerpt], (kbps,), scorers)
            for name, values in scores.items():
                values.append(of_excerpt[f"{name}@{kbps:g}"])
        means = {f"{name}@{kbps:g}": mean_interval(np.array(values))[0] for name, values in scores.items()}
        taken = snapshot(trainer, folder, state["seconds"])
    export(taken, shards, folder, means, len(excerpts))
    result = RowScores(experiment, trainer.updates, state["seconds"], device_name(group), scores)
    write_text(folder / SCORES, json.dumps(asdict(result)))
    return result


def row_folder(out: Path, row: Row) -> Path:
    """The folder of a row's training."""
    return out / row.recipe.partition(":")[2]


def read_scores(folder: Path) -> RowScores | None:
    """Read the scores stored by an earlier call; None if there are none."""
    try:
        data = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        return RowScores(**{**data, "experiment": Experiment(**data["experiment"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
