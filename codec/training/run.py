"""A training in a folder: begun, interrupted at will, continued, validated, exported.

DIR/run.json            recipe, versions, seed, data, command
DIR/state.pt            all that the next update depends on; written aside, then renamed
DIR/log.jsonl           losses and scores (journal.py); DIR/tensorboard/ the same to look at and listen to
DIR/model.safetensors   the generator of the last validation, ready for --checkpoint
"""

from __future__ import annotations

import contextlib
import json
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from codec import checkpoints
from codec.errors import UserError, WriteError
from codec.files import write_text, written_whole
from codec.quantization.training import TrainableResidualVectorQuantizer
from codec.training.data import TrainingData
from codec.training.distributed import Place
from codec.training.journal import Journal
from codec.training.mixing import Mixing
from codec.training.recipe import Recipe
from codec.training.reverb import Rooms, SimulatedRooms
from codec.training.shards import Shards
from codec.training.start import start_from
from codec.training.trainer import STATE, Trainer
from codec.training.validation import Excerpt, excerpts_of, validate

ABOUT, MODEL = "run.json", "model.safetensors"
SECONDS_PER_STATE = 600.0
LIBRARIES = ("earmark", "torch", "numpy", "soundfile", "soxr", "safetensors")


class HasState(Protocol):
    """Something that a training can be continued from."""

    def state_dict(self) -> dict[str, Any]: ...


Scorer = Callable[[str, NDArray[np.float32], NDArray[np.float32], int], float]


def train(
    recipe: Recipe,
    shards: Sequence[Shards],
    folder: Path,
    place: Place,
    *,
    rooms: Rooms | None = None,
    resume: bool = False,
    start: Path | None = None,
    stop_after: float | None = None,
    scorers: Mapping[str, Scorer] | None = None,
    tensorboard: bool = True,
) -> bool:
    """Train until the recipe's last update, an interrupt, or for a while.

    Args:
        shards: recordings in the model's format.
        folder: where everything goes; holds an earlier part of this training if `resume`.
        rooms: where reverberation comes from; simulated if None.
        start: checkpoint or folder of a training whose weights to begin with (see codec.training.start); random ones
            if None.
        stop_after: seconds after which the state is saved and the training left, to be resumed.
        scorers: more metrics for the validation beside SI-SNR, by name: (kind of recording, reference [T], decoded
            [T], sample rate) -> score, NaN where there is none.

    Returns:
        Whether the last update is done.

    Raises:
        UserError: the folder holds a training and `resume` is False, or one of another recipe or data; or the shards
            do not serve the recipe.
        KeyboardInterrupt: it was interrupted; the state is saved.
    """
    began = time.monotonic()
    chief = place.rank == 0
    data = _data(recipe, shards, rooms)
    trainer = Trainer(recipe, place)
    begun_from = None if start is None else start_from(trainer, start)
    if chief:
        about = {"recipe": recipe.name, "tables": recipe.tables, "data": data.identity, "start": begun_from}
        _open_folder(folder, about, resume)
    excerpts = excerpts_of(shards, recipe.validation.recordings, recipe.validation.seconds) if chief else []
    if resume and (folder / STATE).exists():
        trainer.load_state_dict(torch.load(folder / STATE, map_location=place.device, weights_only=True))
    total = recipe.training.total
    journal = Journal(folder, trainer.updates, total, tensorboard) if chief else None
    waited, saved = 0.0, time.monotonic()
    with interrupts() as interrupted, contextlib.closing(data.batches(trainer.updates, total, place)) as batches:
        while trainer.updates < total:
            asked = time.monotonic()
            batch = next(batches)
            waited += time.monotonic() - asked
            told = trainer.update(batch.to(place.device, non_blocking=True))
            spent = time.monotonic() - began
            stop = bool(interrupted) or (stop_after is not None and spent > stop_after)
            due = trainer.updates % recipe.validation.every == 0 or trainer.updates == total
            if journal is not None:
                journal.update(trainer.updates, told, waited / spent)
                if due:
                    _validate(trainer, excerpts, scorers or {}, journal, folder)
                if stop or due or time.monotonic() - saved > SECONDS_PER_STATE:
                    save_state(trainer, folder)
                    saved = time.monotonic()
            if stop:
                break
    if journal is not None:
        journal.close()
    if interrupted:
        raise KeyboardInterrupt
    return trainer.updates == total


def _data(recipe: Recipe, shards: Sequence[Shards], rooms: Rooms | None) -> TrainingData:
    chosen, training = recipe.data, recipe.training
    mixing = Mixing(
        single_music=chosen.single_music, single_other=chosen.single_other, mix_two=chosen.mix_two,
        mix_three_without_music=chosen.mix_three_without_music, gain_db=chosen.gain_db, reverb=chosen.reverb,
    )  # fmt: skip
    return TrainingData(
        shards, seconds=chosen.seconds, batch=chosen.batch, updates=training.updates, seed=training.seed,
        mixing=mixing, rooms=rooms or SimulatedRooms(recipe.model.sample_rate, chosen.rt60),
    )  # fmt: skip


def save_state(trainer: HasState, folder: Path) -> None:
    """Write STATE, whole or not at all."""
    with written_whole(folder / STATE) as aside:
        try:
            torch.save(trainer.state_dict(), aside)
        except RuntimeError as error:  # torch's writer does not raise OSError
            raise WriteError(f"{folder / STATE}: cannot be written ({error}); is the disk full?") from error


def _validate(
    trainer: Trainer, excerpts: list[Excerpt], scorers: Mapping[str, Scorer], journal: Journal, folder: Path
) -> None:
    recipe = trainer.recipe
    with trainer.average.in_place(trainer.generator):
        scores, sounds = validate(trainer.generator, excerpts, recipe.validation.kbps, scorers)
        if recipe.quantizer.kind == "rvq":  # the others have no bitstream
            about = {"recipe": json.dumps(recipe.tables), "updates": str(trainer.updates)}
            checkpoints.save(trainer.generator.export(), folder / MODEL, **about)
    journal.validation(trainer.updates, scores, _usage(trainer.generator.quantizer))
    for name, audio in sounds.items():
        journal.sound(name, audio, recipe.model.sample_rate, trainer.updates)


def _usage(quantizer: nn.Module) -> dict[str, list[float]]:
    """Perplexity and share of the entries in use of each codebook; nothing of quantisers without codebooks."""
    if not isinstance(quantizer, TrainableResidualVectorQuantizer):
        return {}
    return {"perplexity": quantizer.perplexity.tolist(), "used": quantizer.used.tolist()}


def _open_folder(folder: Path, about: Mapping[str, Any], resume: bool) -> None:
    """Make run.json, or check that the training there is the one that `about` tells of."""
    place = folder / ABOUT
    if place.exists():
        if not resume:
            raise UserError(f"--out {folder}: holds a training already; add --resume to go on, or name another folder")
        earlier = json.loads(place.read_text(encoding="utf-8"))
        refusals = {"tables": "another recipe or --set", "data": "other data", "start": "another --start-from"}
        for key, what in refusals.items():
            if earlier.get(key) != json.loads(json.dumps(about[key])):
                raise UserError(f"--out {folder}: was begun with {what}; give the same, or name another folder")
    else:
        facts = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": sys.argv,
            "machine": platform.machine(),
            "versions": {name: version_of(name) for name in LIBRARIES},
        }
        write_text(place, json.dumps({**about, **facts}, indent=1))


def version_of(name: str) -> str:
    """Of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"


@contextlib.contextmanager
def interrupts() -> Iterator[list[int]]:
    """Collect interrupts instead of raising them, so that an update is never left half done; the third one raises."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        received.append(number)
        if len(received) > 2:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
