"""Start of a training from the weights of a checkpoint or of an earlier training instead of random ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.checkpoints.layouts import WEIGHT_NORMS
from earmark.codec.encodec.layers import fold
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.training.folder import STATE, is_state, load_state
from earmark.codec.training.generator import Generator
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer
from earmark.codec.training.trainer import Trainer

_CODEBOOKS = ("quantizer.codebooks", "quantizer.codewords")  # of the quantisers that have some


def start_from(trainer: Trainer, source: Path) -> EncodecModel | None:
    """Copy weights into a new training. Its schedule and optimisers start from the beginning.

    Surplus codebooks are left out; those that the recipe has in addition start from k-means.

    Args:
        trainer: trainer of the new training.
        source: a checkpoint, which has the generator and its codebooks, or a training, which also has the
            discriminators and the counts of the codewords: its folder, or a saved state.

    Returns:
        The model of the source, if it has one that codes files.

    Raises:
        UserError: the weights do not fit the recipe's model, or cannot be read; or codebooks that do not learn would
            start from nothing.
    """
    model = None
    if state_of(source) is None:
        model = checkpoints.load(source)
        _from_checkpoint(trainer, model, source)
        known = len(getattr(model.quantizer, "codebooks", ()))
    else:
        known = _from_training(trainer, source)
        if (exported := source / "model.safetensors").is_file():
            model = checkpoints.load(exported)
    _require_codebooks(trainer, source, known)
    trainer.restart_average()
    return model


def state_of(source: Path) -> Path | None:
    """The state of the training that `source` names; None if it is a checkpoint."""
    if source.is_dir():
        return source / STATE
    return source if source.suffix == ".pt" and is_state(source) else None


def fingerprint(source: Path) -> str:
    """SHA-256 of the file that start_from() reads; that of no bytes if the file is gone."""
    path = source / STATE if source.is_dir() else source
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256().hexdigest()


def _from_training(trainer: Trainer, source: Path) -> int:
    """Copy the weights of a training, and return the number of its codebooks."""
    try:
        state = load_state(source, "generator")
    except UserError as error:
        raise UserError(f"--start-from {error}") from error
    tables = json.loads(state.get("recipe", "{}")).get("tables", {})
    _require_quantizer(trainer, tables.get("quantizer", {}).get("kind"), source)
    try:
        name = "generator"
        fitted = _with_weights_of(trainer.generator, _with_codebooks_of(trainer.generator, state[name]))
        trainer.generator.load_state_dict(fitted)
        name = "discriminators"
        trainer.discriminators.load_ensembles(state[name])
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise UserError(f"--start-from {source}: its {name} do not fit the recipe: {first}") from error
    return next((len(state["generator"][key]) for key in _CODEBOOKS if key in state["generator"]), 0)


def _require_quantizer(trainer: Trainer, theirs: str | None, source: Path) -> None:
    """Raise UserError if a source has another quantiser than the recipe; None if it does not say."""
    ours = trainer.recipe.quantizer.kind
    if theirs not in (None, ours):
        raise UserError(
            f"--start-from {source}: its quantizer.kind is {theirs}, the recipe's is {ours}; add "
            f"--set quantizer.kind={theirs}, or start from another model"
        )


def _require_codebooks(trainer: Trainer, source: Path, known: int) -> None:
    """Raise UserError if codebooks that do not learn would have no codewords, as the source has `known` codebooks."""
    quantizer, wanted = trainer.generator.quantizer, trainer.recipe.model.codebooks()
    if getattr(quantizer, "learns", True) or trainer.recipe.quantizer.kind == "diffq":
        return
    if isinstance(quantizer, TrainableResidualVectorQuantizer):
        known = int(quantizer.started)
    if known < wanted:
        raise UserError(
            f"--start-from {source}: has {known} of the {wanted} codebooks of the recipe, and training.parts lets none "
            "be learned; add quantizer to it, or lower model.kbps"
        )


def _with_codebooks_of(generator: Generator, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The saved weights, with as many codebooks as the generator has."""
    fitted = dict(saved)
    for key, ours in generator.state_dict().items():
        theirs = saved.get(key)
        if key == "quantizer.started" and theirs is not None:
            fitted[key] = theirs.clamp(max=generator.config.codebooks())
        elif key.startswith("quantizer.") and theirs is not None and ours.shape[1:] == theirs.shape[1:] and ours.ndim:
            known = min(len(ours), len(theirs))
            fitted[key] = torch.cat([theirs[:known], ours[known:].to(theirs.device)])
    return fitted


def _with_weights_of(generator: Generator, saved: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The saved weights, with weight norm where the generator has it: parts that do not learn have none."""
    fitted, ours = dict(saved), generator.state_dict().keys()
    magnitude, direction = WEIGHT_NORMS[1]
    for key in saved:
        if (owner := key.removesuffix(magnitude)) != key and f"{owner}weight" in ours:
            fitted[f"{owner}weight"] = fold(fitted.pop(key), fitted.pop(owner + direction))
        elif (owner := key.removesuffix("weight")) != key and owner + magnitude in ours:
            weight = fitted.pop(key)
            fitted[owner + magnitude] = torch.linalg.vector_norm(weight, dim=(1, 2), keepdim=True)
            fitted[owner + direction] = weight
    return fitted


@torch.no_grad()
def _from_checkpoint(trainer: Trainer, model: EncodecModel, path: Path) -> None:
    recipe, wanted, config = trainer.recipe, trainer.recipe.model, model.config
    _require_quantizer(trainer, config.quantizer, path)
    if replace(config, name=wanted.name, kbps=wanted.kbps, quantizer=wanted.quantizer) != wanted:
        raise UserError(f"--start-from {path}: does not fit the recipe; compare `model` in the run.json of both")
    for theirs, ours in ((model.encoder, trainer.generator.encoder), (model.decoder, trainer.generator.decoder)):
        for name, weight in theirs.state_dict().items():
            _set(ours, name, weight)
    quantizer: Any = trainer.generator.quantizer
    if isinstance(quantizer, TrainableResidualVectorQuantizer):
        books = cast("Tensor", model.quantizer.codebooks)
        quantizer.start_from(books, recipe.data.batch * recipe.data.seconds * wanted.step_rate)
    else:
        quantizer.start_from(model.quantizer)


def _set(network: nn.Module, name: str, weight: Tensor) -> None:
    """Set a parameter, which weight norm may have split into length and direction."""
    owner, _, leaf = name.rpartition(".")
    module = network.get_submodule(owner)
    if parametrize.is_parametrized(module, leaf):
        setattr(module, leaf, weight.to(next(module.parameters()).device))
    else:
        module.get_parameter(leaf).copy_(weight)
