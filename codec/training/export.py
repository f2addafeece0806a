"""Export of a training's generator as a checkpoint, with a model card that describes it and its origin."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.files import write_text
from earmark.codec.text import counted
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import LIBRARIES, installed_version, read_metadata
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.trainer import Trainer

MODEL, CARD = "model.safetensors", "model-card.md"


def export(
    trainer: Trainer,
    shards: Sequence[Shards],
    folder: Path,
    seconds: float,
    scores: Mapping[str, float],
    excerpts: int,
) -> None:
    """Write the generator with its current weights, and its model card.

    Args:
        trainer: training of the generator.
        shards: recordings that it was trained on.
        folder: folder of the training.
        seconds: duration of the training.
        scores: mean scores as returned by validate().
        excerpts: number of excerpts that the means are over.
    """
    recipe = trainer.recipe
    model = trainer.generator.export()
    checkpoints.save(model, folder / MODEL, recipe=json.dumps(recipe.tables), updates=str(trainer.updates))
    books = getattr(model.quantizer, "codebooks", None)
    parameters = sum(parameter.numel() for parameter in model.parameters()) + (0 if books is None else books.numel())
    origin = (read_metadata(folder) or {}).get("start_path")
    facts = {
        "Model": f"{recipe.model.sample_rate} Hz, {recipe.model.channels} channel(s), "
        f"{', '.join(f'{kbps:g}' for kbps in recipe.model.kbps)} kbps, {parameters / 1e6:.2f} million parameters",
        "SHA-256": f"`{checkpoints.identity(model)}`, by which .ecdc files name it",
        "Recipe": f"`{recipe.name}`, seed {recipe.training.seed}",
        "Begun from": "random weights" if origin is None else f"`{Path(origin).name}`",
        "Updates": f"{trainer.updates} of {recipe.training.total}, "
        f"batch {recipe.data.batch} x {recipe.data.seconds:g} s, {recipe.training.precision}",
        "Hardware, time": f"{device_name(trainer.group)}, {trainer.group.size} process(es), {seconds / 3600:.2f} h",
        "Software": ", ".join(f"{name} {installed_version(name)}" for name in LIBRARIES),
    }
    lines = [f"# {recipe.model.name} after {trainer.updates} updates", "", "| | |", "| :-- | :-- |"]
    lines += [f"| {name} | {fact} |" for name, fact in facts.items()]
    lines += ["", "## Data", "", *_data(shards), "", "## Scores", "", *_scores(scores, excerpts)]
    lines += ["", f"## Settings other than those of `{recipe_files.ROOT}`", "", *_settings(recipe)]
    write_text(folder / CARD, "\n".join(lines) + "\n")


def device_name(group: ProcessGroup) -> str:
    """The name of the device for readers, e.g. "2 CPU threads"."""
    if group.device.type == "cuda":
        return torch.cuda.get_device_name(group.device)
    return counted(torch.get_num_threads(), "CPU thread")


def _data(shards: Sequence[Shards]) -> list[str]:
    """Table of the hours trained on, by category, data set and licence."""
    hours: dict[tuple[str, str, str], float] = defaultdict(float)
    for part in shards:
        for entry in (stored.entry for stored in part.recordings if stored.entry.split == "train"):
            hours[entry.category, entry.dataset, entry.licence] += entry.seconds / 3600
    rows = [f"| {' | '.join(key)} | {total:.2f} |" for key, total in sorted(hours.items())]
    return ["| Category | Data set | Licence | Hours |", "| :-- | :-- | :-- | --: |", *rows]


def _scores(scores: Mapping[str, float], excerpts: int) -> list[str]:
    """Table of the mean scores."""
    rows = [f"| {name} | {score:.2f} |" for name, score in scores.items()]
    return [f"Means over {excerpts} held-out excerpts.", "", "| Metric@kbps | Mean |", "| :-- | --: |", *rows]


def _settings(recipe: Recipe) -> list[str]:
    """The settings that differ from the root recipe's."""
    usual = dict(_flat(recipe_files.load(recipe_files.ROOT).tables))
    other = {key: value for key, value in _flat(recipe.tables) if usual.get(key) != value}
    return ["```", *(f"{key} = {json.dumps(value)}" for key, value in other.items()), "```"] if other else ["None."]


def _flat(tables: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """("model.seanet.filters", 32) and the like."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
