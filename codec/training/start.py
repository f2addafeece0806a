"""Start a training from the weights of a checkpoint or of an earlier training instead of random ones."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.rvq import ResidualVectorQuantizer
from earmark.codec.errors import UserError
from earmark.codec.training.folder import STATE, load_state
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer
from earmark.codec.training.trainer import Trainer


def start_from(trainer: Trainer, source: Path) -> None:
    """Copy weights into a new training. Its schedule and optimisers start from the beginning.

    Args:
        trainer: trainer of the new training.
        source: a checkpoint, which has the generator and its codebooks, or the folder of a training, which also has the
            discriminators and the moving averages of the codebooks.

    Raises:
        UserError: the weights do not fit the recipe's model, or cannot be read.
    """
    if source.is_dir():
        _from_training(trainer, source)
    else:
        _from_checkpoint(trainer, checkpoints.load(source), source)
    trainer.restart_average()


def fingerprint(source: Path) -> str:
    """SHA-256 of the file that start_from() reads; that of no bytes if the file is gone."""
    path = source / STATE if source.is_dir() else source
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return hashlib.sha256().hexdigest()


def _from_training(trainer: Trainer, folder: Path) -> None:
    try:
        state = load_state(folder, "generator")
    except UserError as error:
        raise UserError(f"--start-from {error}") from error
    for name, network in (("generator", trainer.generator), ("discriminators", trainer.discriminators)):
        if name == "discriminators" and not state[name]:
            continue  # that training has none
        try:
            network.load_state_dict(state[name])
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise UserError(f"--start-from {folder}: its {name} do not fit the recipe: {first}") from error


@torch.no_grad()
def _from_checkpoint(trainer: Trainer, model: EncodecModel, path: Path) -> None:
    recipe, quantizer = trainer.recipe, trainer.generator.quantizer
    if not isinstance(quantizer, TrainableResidualVectorQuantizer):
        raise UserError(f"--start-from {path}: has codebooks, which quantizer.kind {recipe.quantizer.kind} does not")
    wanted, config = recipe.model, model.config
    if replace(config, name=wanted.name, kbps=wanted.kbps) != wanted or config.codebooks() > wanted.codebooks():
        raise UserError(f"--start-from {path}: does not fit the recipe; compare `model` in the run.json of both")
    for theirs, ours in ((model.encoder, trainer.generator.encoder), (model.decoder, trainer.generator.decoder)):
        for name, weight in theirs.state_dict().items():
            _set(ours, name, weight)
    steps = recipe.data.batch * recipe.data.seconds * wanted.step_rate
    if not isinstance(model.quantizer, ResidualVectorQuantizer):
        raise UserError(f"--start-from {path}: its quantiser, {config.quantizer}, is not one to start from; give rvq")
    quantizer.start_from(model.quantizer.codebooks, steps)


def _set(network: nn.Module, name: str, weight: Tensor) -> None:
    """Set a parameter, which weight norm may have split into length and direction."""
    owner, _, leaf = name.rpartition(".")
    module = network.get_submodule(owner)
    if parametrize.is_parametrized(module, leaf):
        setattr(module, leaf, weight.to(next(module.parameters()).device))
    else:
        module.get_parameter(leaf).copy_(weight)
