"""Export of a training's generator as a checkpoint, with a model card that describes it and its origin."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.files import write_text
from earmark.codec.text import counted
from earmark.codec.training import recipe_files
from earmark.codec.training.changes import flat
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import LIBRARIES, installed_version, load_state, read_metadata
from earmark.codec.training.generator import Generator
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_reading import from_tables
from earmark.codec.training.trainer import Trainer

MODEL, CARD = "model.safetensors", "model-card.md"


@dataclass(frozen=True)
class Snapshot:
    """The generator of a training at a validation, to be exported once it is scored.

    Args:
        model: copy of the generator for inference.
        recipe: recipe of the training.
        updates: updates done.
        seconds: duration of the training.
        group: its processes.
        origin: path of the weights that it started from; None if they were random.
    """

    model: EncodecModel
    recipe: Recipe
    updates: int
    seconds: float
    group: ProcessGroup
    origin: str | None


def snapshot(trainer: Trainer, folder: Path, seconds: float) -> Snapshot | None:
    """Copy the generator with its current weights; None if its quantiser has no bitstream.

    Args:
        folder: folder of the training.
        seconds: duration of the training.
    """
    if not trainer.generator.has_bitstream:
        return None
    about = read_metadata(folder) or {}
    model = _model(trainer.generator, about)
    return Snapshot(model, trainer.recipe, trainer.updates, seconds, trainer.group, about.get("start_path"))


def export(
    taken: Snapshot | None, shards: Sequence[Shards], folder: Path, scores: Mapping[str, float], excerpts: int
) -> None:  # fmt: skip
    """Write a model and its model card.

    Args:
        taken: the model; None: write nothing.
        shards: recordings that it was trained on.
        folder: folder of the training.
        scores: mean scores as returned by validate().
        excerpts: number of excerpts that the means are over.
    """
    if taken is None:
        return
    model, recipe = taken.model, taken.recipe
    hours = data_hours(shards)
    checkpoints.save(
        model, folder / MODEL, recipe=json.dumps(recipe.tables), updates=str(taken.updates),
        licence="data under " + ", ".join(sorted({licence for _, _, licence in hours})),
        data=json.dumps([[*key, round(total, 3)] for key, total in sorted(hours.items())]),
        scores=json.dumps({**scores, "excerpts": excerpts}),
    )  # fmt: skip
    books = getattr(model.quantizer, "codebooks", None)
    parameters = sum(parameter.numel() for parameter in model.parameters()) + (0 if books is None else books.numel())
    facts = {
        "Model": f"{recipe.model.sample_rate} Hz, {recipe.model.channels} channel(s), "
        f"{', '.join(f'{kbps:g}' for kbps in recipe.model.kbps)} kbps, {parameters / 1e6:.2f} million parameters",
        "SHA-256": f"`{identities.identity(model)}`; of encoder and codebooks, by which .ecdc files name them: "
        f"`{identities.codes_identity(model)}`",
        "Recipe": f"`{recipe.name}`, seed {recipe.training.seed}",
        "Begun from": "random weights" if taken.origin is None else f"`{Path(taken.origin).name}`",
        "Updates": f"{taken.updates} of {recipe.training.total}, "
        f"batch {recipe.data.batch} x {recipe.data.seconds:g} s, {recipe.training.precision}",
        "Hardware, time": f"{device_name(taken.group)}, {taken.group.size} process(es), {taken.seconds / 3600:.2f} h",
        "Software": ", ".join(f"{name} {installed_version(name)}" for name in LIBRARIES),
    }
    lines = [f"# {recipe.model.name} after {taken.updates} updates", "", "| | |", "| :-- | :-- |"]
    lines += [f"| {name} | {fact} |" for name, fact in facts.items()]
    lines += ["", "## Data", "", *_data(shards), "", "## Scores", "", *_scores(scores, excerpts)]
    lines += ["", f"## Settings other than those of `{recipe_files.ROOT}`", "", *_settings(recipe)]
    write_text(folder / CARD, "\n".join(lines) + "\n")


def model_of_state(path: Path) -> tuple[EncodecModel, dict[str, str]]:
    """The model of a saved state, as a validation would export it, and the metadata for its file.

    Args:
        path: the folder of a training, or a state in it.

    Raises:
        UserError: it cannot be read, says nothing of its recipe, or its quantiser has no bitstream.
    """
    state = load_state(path, "generator")
    about: dict[str, Any] = {}
    for folder in (path, path.parent, path.parent.parent):
        about = about or (folder.is_dir() and read_metadata(folder)) or {}
    described = json.loads(state["recipe"]) if "recipe" in state else about
    if "tables" not in described:
        raise UserError(f"{path}: of an earlier version, without its recipe; leave it in the folder of its training")
    # The file must not say which code is run: its plug-ins are loaded only if the user names them elsewhere.
    tables = {**recipe_files.completed(described["tables"]), "plugins": {"modules": []}}
    try:
        recipe = from_tables(str(described.get("name", "")), tables)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    generator = Generator(recipe)
    if not generator.has_bitstream:
        raise UserError(f"{path}: quantizer.kind {recipe.quantizer.kind} has no bitstream, and so no file of a model")
    generator.freeze_except(recipe.training.parts)
    generator.load_state_dict({**state["generator"], **state.get("average", {})})
    return _model(generator, about), {"recipe": json.dumps(recipe.tables), "updates": str(state["updates"])}


def _model(generator: Generator, about: Mapping[str, Any]) -> EncodecModel:
    """The generator as a model, with the identities of the one that its training started from."""
    model = generator.export()
    if earlier := about.get("start_model"):
        identities.continue_from(model, earlier["codes"], earlier["identities"])
    return model


def device_name(group: ProcessGroup) -> str:
    """The name of the device for readers, e.g. "2 CPU threads"."""
    if group.device.type == "cuda":
        return torch.cuda.get_device_name(group.device)
    return counted(torch.get_num_threads(), "CPU thread")


def data_hours(shards: Sequence[Shards]) -> dict[tuple[str, str, str], float]:
    """Hours trained on, by category, data set and licence."""
    hours: dict[tuple[str, str, str], float] = defaultdict(float)
    for part in shards:
        for entry in (stored.entry for stored in part.recordings if stored.entry.split == "train"):
            hours[entry.category, entry.dataset, entry.licence] += entry.seconds / 3600
    return hours


def _data(shards: Sequence[Shards]) -> list[str]:
    """Table of `data_hours`."""
    rows = [f"| {' | '.join(key)} | {total:.2f} |" for key, total in sorted(data_hours(shards).items())]
    return ["| Category | Data set | Licence | Hours |", "| :-- | :-- | :-- | --: |", *rows]


def _scores(scores: Mapping[str, float], excerpts: int) -> list[str]:
    """Table of the mean scores."""
    rows = [f"| {name} | {score:.2f} |" for name, score in scores.items()]
    return [f"Means over {excerpts} held-out excerpts.", "", "| Metric@kbps | Mean |", "| :-- | --: |", *rows]


def _settings(recipe: Recipe) -> list[str]:
    """The settings that differ from the root recipe's."""
    usual = dict(flat(recipe_files.load(recipe_files.ROOT).tables))
    other = {key: value for key, value in flat(recipe.tables) if usual.get(key) != value}
    return ["```", *(f"{key} = {json.dumps(value)}" for key, value in other.items()), "```"] if other else ["None."]
