"""The model, or recipe, that `earmark inspect --diagram` draws: by name, training folder or checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from earmark.codec.checkpoints import header, loading
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_reading import from_tables

MODEL = "model.safetensors"  # in the folder of a training


def diagram(source: str, part: str) -> str:
    """Draw a model as an SVG file; only its shape is needed, not its weights.

    Args:
        source: name of a recipe, row of a table ("tableA3:no_lstm"), TOML file, folder of a training, or checkpoint.
        part: "model" (Figure 1 of the EnCodec paper) or "discriminators" (Figure 2).

    Raises:
        UserError: there is no such model, or its discriminators are not known.
    """
    from earmark.codec.diagrams import architecture, discriminators

    path = Path(source)
    if path.is_dir() and (path / MODEL).is_file():
        path = path / MODEL
    if part == "discriminators":
        return discriminators.draw(_recipe_of(path, source))
    if not path.exists() or path.suffix == ".toml":
        with torch.device("meta"):
            return architecture.draw(EncodecModel(recipe_files.load(source).model))
    return architecture.draw(loading.load(path))


def _recipe_of(path: Path, source: str) -> Recipe:
    """The recipe of that name, or of a checkpoint: the one that it holds, else that of the paper's model."""
    if not path.exists() or path.suffix == ".toml":
        return recipe_files.load(source)
    model = loading.load(path)
    if (stored := header.recipe(path)) is not None:
        return from_tables(path.stem, recipe_files.completed(json.loads(stored)))
    if model.config.name in PRESETS:
        return recipe_files.load(model.config.name)
    raise UserError(f"{source}: holds no recipe, so its discriminators are not known; name the recipe instead")
