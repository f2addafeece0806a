"""A table of the paper made anew: each row's recipe trained at one budget and scored on held-out excerpts.

OUT/ROW/            the row's training, as `earmark train` leaves it, with model.safetensors where there is a bitstream
OUT/ROW/scores.json scores of every excerpt, with the budget, recipe and data that they belong to
OUT/table.md, .tex, .csv
"""

from __future__ import annotations

import json
import math
import re
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
from earmark.codec.training.export import device_name, export
from earmark.codec.training.folder import METADATA, STATE, load_state
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_files import Row, Table
from earmark.codec.training.run import Scorer, train
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, select_excerpts, validate
from earmark.eval.statistics.aggregate import mean_interval
from earmark.eval.tables.grid import RENDERERS, Grid
from earmark.eval.tables.numbers import DASH

NAMES = {"si_snr": "SI-SNR (dB)", "visqol": "ViSQOL", "mushra": "MUSHRA"}
SCORES = "scores.json"


@dataclass(frozen=True)
class Budget:
    """How long each row is trained: minutes, or updates that are the whole of its schedule; one of them is None."""

    minutes: float | None
    updates: int | None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read "30min" or "2000updates".

        Raises:
            UserError: it is neither.
        """
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|updates)", text.strip())
        if found is None or float(found[1]) == 0 or (found[2] == "updates" and "." in found[1]):
            raise UserError(f"--budget {text}: write minutes or updates of each row, e.g. 30min or 2000updates")
        return cls(float(found[1]), None) if found[2] == "min" else cls(None, int(found[1]))

    def __str__(self) -> str:
        return f"{self.updates} updates" if self.minutes is None else f"{self.minutes:g} min"

    @property
    def settings(self) -> tuple[str, ...]:
        """Of the recipe: the schedule's length, and no validation on the way."""
        length = () if self.updates is None else ("training.epochs=1", f"training.updates={self.updates}")
        return (*length, "validation.every=1000000000")


@dataclass(frozen=True)
class Experiment:
    """All that a row's scores depend on; scores of different ones do not go together.

    Args:
        budget: as text.
        recipe: its tables.
        data: what tells the recordings of each split from others.
        excerpts: names of those that are scored.
        excerpt_seconds: length of each, at most.
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
        tables = json.loads(json.dumps(recipe.tables))  # as they come back from a file
        data = [identity(shards, split) for split in SPLITS]
        return cls(str(budget), tables, data, [excerpt.name for excerpt in excerpts], seconds)


@dataclass(frozen=True)
class RowScores:
    """One row as it was trained and scored.

    Args:
        updates, seconds: done, and the time they took.
        device: what it was trained on.
        scores: metric -> a value for each excerpt, NaN where it has none.
    """

    experiment: Experiment
    updates: int
    seconds: float
    device: str
    scores: dict[str, list[float]]


def chosen_rows(table: str, names: Sequence[str] = ()) -> list[Row]:
    """Rows of a table, all unless named.

    Raises:
        UserError: no such table or row.
    """
    rows = {row.recipe.partition(":")[2]: row for row in recipe_files.table(table).rows}
    for name in names:
        if name not in rows:
            raise UserError(f"--rows: {table} has no row {name!r}; it has {', '.join(rows)}")
    return [rows[name] for name in names or rows]


def recipes_of(rows: Sequence[Row], settings: Sequence[str]) -> list[Recipe]:
    """The rows' recipes, all changed by the same settings.

    Raises:
        UserError: a setting is wrong, or undoes what two rows differ in.
    """
    recipes = [recipe_files.load(row.recipe, tuple(settings)) for row in rows]
    for index, recipe in enumerate(recipes):
        for other in recipes[:index]:
            if recipe.tables == other.tables:
                raise UserError(f"--set: {recipe.name} and {other.name} would be the same training; leave one out")
    return recipes


def held_out(recipe: Recipe, shards: Sequence[Shards], count: int, seconds: float) -> list[Excerpt]:
    """`count` excerpts of the split "test", or of "valid" if that is empty, of the categories that the recipe uses.

    Raises:
        UserError: the shards hold no such recording.
    """
    categories = ("music",) if recipe.data.single_music == 1 else CATEGORIES
    for split in ("test", "valid"):
        found = select_excerpts(shards, count * len(CATEGORIES) // len(categories), seconds, split)
        if found := [excerpt for excerpt in found if excerpt.category in categories]:
            return found[:count]
    raise UserError("--data: holds no recordings of the splits test and valid; index more recordings")


def reproduce_row(
    recipe: Recipe,
    kbps: float,
    shards: Sequence[Shards],
    folder: Path,
    budget: Budget,
    group: ProcessGroup,
    experiment: Experiment,
    excerpts: Sequence[Excerpt],
    scorers: Mapping[str, Scorer],
) -> RowScores:
    """Train one row until its budget is spent, and score it; what is done already is not done again.

    Raises:
        UserError: the folder holds another training.
        KeyboardInterrupt: it was interrupted; the state is saved.
    """
    known = read_scores(folder)
    wanted = {"si_snr", *scorers}
    if known and known.experiment == experiment and wanted <= known.scores.keys():
        return known
    resume = (folder / METADATA).exists()
    # Time is spent once its updates are saved: a row that was killed makes the others again.
    spent = load_state(folder, "generator").get("seconds", 0.0) if (folder / STATE).exists() else 0.0
    left = None if budget.minutes is None else 60 * budget.minutes - spent
    if left is None or left > 0 or not resume:
        train(recipe, shards, folder, group, resume=resume, stop_after=left, tensorboard=False)
    state = load_state(folder, "generator")
    trainer = Trainer(recipe, group)
    trainer.load_state_dict(state)
    scores: dict[str, list[float]] = {}
    with trainer.average.in_place(trainer.generator):
        for excerpt in excerpts:
            found, _ = validate(trainer.generator, [excerpt], (kbps,), scorers)
            for name in sorted(wanted):
                scores.setdefault(name, []).append(found[f"{name}@{kbps:g}"])
        means = {f"{name}@{kbps:g}": mean_interval(np.array(values))[0] for name, values in scores.items()}
        export(trainer, shards, folder, state["seconds"], means, len(excerpts))
    result = RowScores(experiment, trainer.updates, state["seconds"], device_name(group), scores)
    write_text(folder / SCORES, json.dumps(asdict(result)))
    return result


def row_folder(out: Path, row: Row) -> Path:
    return out / row.recipe.partition(":")[2]


def read_scores(folder: Path) -> RowScores | None:
    """What an earlier call found; None if there was none."""
    try:
        data = json.loads((folder / SCORES).read_text(encoding="utf-8"))
        return RowScores(**{**data, "experiment": Experiment(**data["experiment"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def grid(table: Table, done: Mapping[str, RowScores], budget: Budget) -> Grid:
    """Our scores beside the paper's.

    Args:
        done: recipe -> scores; the other rows have dashes.
    """
    metrics = [name for name in NAMES if any(name in row.paper for row in table.rows)]
    metrics += [name for name in NAMES if name not in metrics and any(name in one.scores for one in done.values())]
    headings = ("Row", *("paper", "ours") * len(metrics), "Updates")
    groups = ("", *(NAMES[name] for name in metrics for _ in ("paper", "ours")), "")
    rows = []
    for row in table.rows:
        ours = done.get(row.recipe)
        cells = [row.label]
        for name in metrics:
            cells.append(row.paper.get(name, DASH))
            cells.append(_cell(ours.scores[name]) if ours and name in ours.scores else DASH)
        rows.append((*cells, f"{ours.updates}" if ours else DASH))
    notes = [
        f"Paper: arXiv 2210.13438, 300 epochs of 2000 updates. Ours: each row trained for {budget} from scratch"
        f"{_on(done)}; a fraction of the paper's training, so the order of the rows is what to compare."
    ]
    count = max((len(one.experiment.excerpts) for one in done.values()), default=0)
    if count:
        notes.append(
            f"Ours over {count} held-out excerpts that no row was trained on: mean ± half width of its 95 % "
            "confidence interval, in brackets the number of excerpts with a score."
        )
    return Grid(table.title, headings, tuple(rows), tuple(notes), groups=groups)


def _on(done: Mapping[str, RowScores]) -> str:
    devices = list(dict.fromkeys(one.device for one in done.values()))
    return f" on {' and '.join(devices)}" if devices else ""


def _cell(values: Sequence[float]) -> str:
    mean, half_width, count = mean_interval(np.array(values))
    if count == 0:
        return DASH
    return f"{mean:.2f}" + (f" ± {half_width:.2f}" if math.isfinite(half_width) else "") + f" ({count})"


def write_tables(shown: Grid, out: Path) -> None:
    """Write table.md, table.tex and table.csv."""
    for name, form in (("table.md", "markdown"), ("table.tex", "latex"), ("table.csv", "csv")):
        write_text(out / name, RENDERERS[form](shown))
