"""Trainings of a reproduction: the rows of a table that are models, each trained, scored and exported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from earmark.codec.errors import UserError, WriteError
from earmark.codec.notices import notice
from earmark.codec.training import recipe_files
from earmark.codec.training.export import MODEL
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_files import Row
from earmark.codec.training.scoring import Scorer
from earmark.codec.training.validation import Excerpt
from earmark.eval.paper import reproduce as reproduction
from earmark.eval.paper.reproduce import Experiment, RowScores
from earmark.mushra_app.paper.items import Item
from earmark.mushra_app.paper.material import Material
from earmark.mushra_app.paper.scale import Scale


@dataclass(frozen=True)
class Options:
    """Options that apply to every training.

    Args:
        rows: names of the rows to train; () for all.
        settings: values of --set.
        visqol: whether to score by ViSQOL too.
        excerpts, seconds: number and length of the scored excerpts.
    """

    rows: tuple[str, ...]
    settings: tuple[str, ...]
    visqol: bool
    excerpts: int
    seconds: float


@dataclass(frozen=True)
class Trained:
    """The trainings of a table.

    Args:
        systems: system string of each trained row.
        scores: one row per excerpt, system and metric, like the scores of a run.
        recordings: format of the excerpts, as in run.json.
        failed: label of a row -> why it failed.
        notes: sentences for below the table.
    """

    systems: tuple[str, ...]
    scores: pd.DataFrame
    recordings: tuple[Mapping[str, Any], ...]
    failed: Mapping[str, str]
    notes: tuple[str, ...]


def key_of(row: Row) -> str:
    """Name of a row: the folder of its training."""
    return row.recipe.partition(":")[2]


def train_rows(item: Item, out: Path, scale: Scale, material: Material, options: Options) -> Trained:
    """Train and score the rows of a table; rows that are done are skipped, and an interrupted one is resumed.

    A row that fails does not affect the others.

    Raises:
        UserError: there is no data, no such row, or a setting makes two rows equal.
    """
    selected = reproduction.select_rows(item.trainings[0].recipe.partition(":")[0], options.rows)
    recipes = {row.recipe: scale.load(row.recipe, item.kbps, options.settings) for row in item.trainings}
    reproduction.require_distinct([recipes[row.recipe] for row in selected])
    scorers = _scorers(item, options)
    failed: dict[str, str] = {}
    done: dict[str, tuple[RowScores, Sequence[Excerpt]]] = {}
    for row in item.trainings:
        recipe = recipes[row.recipe]
        folder = reproduction.row_folder(out, row)
        if row not in selected and not (folder / reproduction.SCORES).exists():
            continue
        shards = material.shards(recipe.model.sample_rate, recipe.model.channels)
        held_out = reproduction.held_out(recipe, shards, options.excerpts, options.seconds)
        experiment = Experiment.of(recipe, shards, scale.budget, held_out, options.seconds)
        known = reproduction.read_scores(folder)
        if row not in selected and not (known and known.experiment == experiment):
            continue
        if row in selected:
            notice(f"row {selected.index(row) + 1} of {len(selected)}: {row.label}, {scale.budget}")
        try:
            result = reproduction.reproduce_row(
                recipe, item.kbps, shards, folder, scale.budget, material.group, experiment, held_out, scorers
            )
        except WriteError:
            raise
        except Exception as error:  # of any kind: a model that does not fit in memory must not cost the other rows
            if len(selected) == 1:
                raise
            failed[row.label] = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            continue
        done[row.recipe] = result, held_out
    return _collected(item, out, recipes, done, failed)


def _scorers(item: Item, options: Options) -> dict[str, Scorer]:
    if not options.visqol or "visqol" not in item.metrics or item.needs_run:  # the run scores by it
        return {}
    from earmark.eval.training_scorers import visqol_scorer

    return {"visqol": visqol_scorer()}


def system_of(out: Path, row: Row, recipe: Recipe, kbps: float) -> str:
    """The system string of a trained row."""
    return f"{recipe.model.name}@{kbps:g}:checkpoint={reproduction.row_folder(out, row) / MODEL}"


def _collected(
    item: Item, out: Path, recipes: Mapping[str, Recipe],
    done: Mapping[str, tuple[RowScores, Sequence[Excerpt]]], failed: Mapping[str, str],
) -> Trained:  # fmt: skip
    frames, recordings, systems = [], {}, []
    for row in item.trainings:
        if row.recipe not in done:
            continue
        result, excerpts = done[row.recipe]
        system = system_of(out, row, recipes[row.recipe], item.kbps)
        systems.append(system)
        rate = recipes[row.recipe].model.sample_rate
        frames += [_frame(system, item.kbps, name, values, excerpts, rate) for name, values in result.scores.items()]
        for one in excerpts:
            seconds = one.audio.shape[-1] / rate
            recordings[one.name] = {"file": one.name, "seconds": seconds, "sample_rate": rate,
                                    "channels": one.audio.shape[0], "error": None}  # fmt: skip
    scores = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    return Trained(tuple(systems), scores, tuple(recordings.values()), failed, _notes(item, done))


def _frame(
    system: str, kbps: float, metric: str, values: Sequence[float], excerpts: Sequence[Excerpt], sample_rate: int
) -> pd.DataFrame:  # fmt: skip
    """Scores of one row by one metric, as rows of RUN/scores.parquet."""
    seconds = [one.audio.shape[-1] / sample_rate for one in excerpts]
    finite = np.isfinite(values)
    return pd.DataFrame({
        "file": [one.name for one in excerpts], "category": [one.category for one in excerpts], "system": system,
        "metric": metric, "value": np.where(finite, values, np.nan), "status": np.where(finite, "ok", "undefined"),
        "reason": "", "kbps_nominal": kbps, "kbps": np.nan, "coded_seconds": seconds, "duration": seconds,
        "encode_seconds": np.nan, "decode_seconds": np.nan,
    })  # fmt: skip


def _notes(item: Item, done: Mapping[str, tuple[RowScores, Sequence[Excerpt]]]) -> tuple[str, ...]:
    if not done:
        return ()
    results = {row.label: done[row.recipe][0] for row in item.trainings if row.recipe in done}
    first = next(iter(results.values()))
    devices = " and ".join(dict.fromkeys(one.device for one in results.values()))
    updates = sorted({one.updates for one in results.values()})
    span = f"{updates[0]}" if len(updates) == 1 else f"{updates[0]} to {updates[-1]}"
    of_excerpts = f"Scores: over {len(first.experiment.excerpts)} held-out excerpts that no row was trained on."
    return (
        f"Paper: arXiv 2210.13438, 300 epochs of 2000 updates. Ours: each training for {first.experiment.budget} from "
        f"scratch on {devices}, {span} updates; a fraction of the paper's, so compare the order of the rows.",
        *([] if item.needs_run else [of_excerpts]),
    )


def train_48khz(folder: Path, scale: Scale, material: Material, kbps: Sequence[float]) -> Path:
    """Train a model at 48 kHz where the official one is missing; returns its checkpoint.

    Args:
        kbps: its bit rates.
    """
    recipe = recipe_files.load(
        "encodec_48khz", (*scale.settings("encodec_48khz", kbps[-1], ()), f"model.kbps={list(kbps)}")
    )
    shards = material.shards(recipe.model.sample_rate, recipe.model.channels)
    excerpts = reproduction.held_out(recipe, shards, 1, 1.0)
    experiment = Experiment.of(recipe, shards, scale.budget, excerpts, 1.0)
    notice(f"model at 48 kHz: {scale.budget}")
    reproduction.reproduce_row(recipe, kbps[-1], shards, folder, scale.budget, material.group, experiment, excerpts, {})
    return folder / MODEL
