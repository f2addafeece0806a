"""A table of the paper made anew: each row's recipe trained at one budget and scored on held-out excerpts.

OUT/ROW/            the row's training, as `earmark train` leaves it, with model.safetensors where there is a bitstream
OUT/ROW/spent.json  {"seconds": ...} of training so far
OUT/ROW/scores.json scores of every excerpt, with the budget that they belong to
OUT/table.md, .tex, .csv
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from codec import checkpoints
from codec.errors import UserError
from codec.files import write_text
from codec.training import recipe_files
from codec.training.distributed import Place
from codec.training.manifest import KINDS
from codec.training.recipe import Recipe
from codec.training.recipe_files import Row, Table
from codec.training.run import ABOUT, MODEL, Scorer, train
from codec.training.shards import Shards
from codec.training.trainer import STATE, Trainer
from codec.training.validation import Excerpt, excerpts_of, validate
from eval.aggregate import mean_interval
from eval.grid import RENDERERS, Grid
from eval.table_layout import DASH

NAMES = {"si_snr": "SI-SNR (dB)", "visqol": "ViSQOL", "mushra": "MUSHRA"}
SPENT, SCORES = "spent.json", "scores.json"


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
class RowScores:
    """One row as it was trained and scored.

    Args:
        budget: as text.
        updates, seconds: done, and the time they took.
        device: what it was trained on.
        scores: metric -> a value for each excerpt, NaN where it has none.
    """

    budget: str
    updates: int
    seconds: float
    device: str
    excerpts: list[str]
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
    """`count` excerpts of the split "test", or of "valid" where there is none, of the kinds that the recipe is for.

    Raises:
        UserError: the shards hold no such recording.
    """
    kinds = ("music",) if recipe.data.single_music == 1 else KINDS
    for split in ("test", "valid"):
        found = excerpts_of(shards, count * len(KINDS) // len(kinds), seconds, split)
        if found := [excerpt for excerpt in found if excerpt.kind in kinds]:
            return found[:count]
    raise UserError("--data: holds no recordings of the splits test and valid; index more recordings")


def reproduce_row(
    recipe: Recipe,
    kbps: float,
    shards: Sequence[Shards],
    folder: Path,
    budget: Budget,
    place: Place,
    excerpts: Sequence[Excerpt],
    scorers: Mapping[str, Scorer],
) -> RowScores:
    """Train one row until its budget is spent, and score it; what is done already is not done again.

    Raises:
        UserError: the folder holds another training.
        KeyboardInterrupt: it was interrupted; the state is saved.
    """
    names = [excerpt.name for excerpt in excerpts]
    known = read_scores(folder)
    wanted = {"si_snr", *scorers}
    if known and known.budget == str(budget) and known.excerpts == names and wanted <= known.scores.keys():
        return known
    spent = _spent(folder)
    left = math.inf if budget.minutes is None else 60 * budget.minutes - spent
    if left > 0:
        with _clocked(folder, spent):
            train(
                recipe, shards, folder, place, resume=(folder / ABOUT).exists(),
                stop_after=None if math.isinf(left) else left, tensorboard=False,
            )  # fmt: skip
    trainer = Trainer(recipe, place)
    trainer.load_state_dict(torch.load(folder / STATE, map_location=place.device, weights_only=True))
    scores: dict[str, list[float]] = {}
    with trainer.average.in_place(trainer.generator):
        for excerpt in excerpts:
            found, _ = validate(trainer.generator, [excerpt], (kbps,), scorers)
            for name in sorted(wanted):
                scores.setdefault(name, []).append(found[f"{name}@{kbps:g}"])
        if recipe.quantizer.kind == "rvq":  # the others have no bitstream
            about = {"recipe": json.dumps(recipe.tables), "updates": str(trainer.updates)}
            checkpoints.save(trainer.generator.export(), folder / MODEL, **about)
    result = RowScores(str(budget), trainer.updates, _spent(folder), _device_name(place), names, scores)
    write_text(folder / SCORES, json.dumps(asdict(result)))
    return result


def row_folder(out: Path, row: Row) -> Path:
    return out / row.recipe.partition(":")[2]


def read_scores(folder: Path) -> RowScores | None:
    """What an earlier call found; None if there was none."""
    try:
        return RowScores(**json.loads((folder / SCORES).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _spent(folder: Path) -> float:
    try:
        return float(json.loads((folder / SPENT).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0.0


@contextmanager
def _clocked(folder: Path, spent: float) -> Iterator[None]:
    """Add the block's duration to what is spent, however it ends."""
    began = time.monotonic()
    try:
        yield
    finally:
        if (folder / STATE).exists():  # what was not saved was not spent
            write_text(folder / SPENT, json.dumps({"seconds": spent + time.monotonic() - began}))


def _device_name(place: Place) -> str:
    if place.device.type == "cuda":
        return torch.cuda.get_device_name(place.device)
    return f"{torch.get_num_threads()} CPU thread{'s' if torch.get_num_threads() > 1 else ''}"


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
    count = max((len(one.excerpts) for one in done.values()), default=0)
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
