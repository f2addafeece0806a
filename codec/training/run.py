"""Training of a codec in a folder: start, interrupt, resume, validate, export.

DIR/run.json            recipe, versions, seed, data, command
DIR/state.pt            everything that the next update depends on; replaced atomically
DIR/log.jsonl           losses and scores (see journal.py); DIR/tensorboard/ has the same, and decoded audio
DIR/model.safetensors   generator at the last validation, for --checkpoint; DIR/model-card.md describes it
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.batches import TrainingData, identity
from earmark.codec.training.examples.mixing import Mixing
from earmark.codec.training.examples.reverb import Rooms, SimulatedRooms
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.export import export
from earmark.codec.training.folder import STATE, check_run, load_state, read_metadata, save_state, write_metadata
from earmark.codec.training.journal import Journal
from earmark.codec.training.loop import TrainingLoop
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.start import fingerprint, start_from
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, Scorer, select_excerpts, validate

MOST_WORKERS = 8  # per GPU; on one core, an example of 1 s takes 0.5 ms
_LABELS = {
    "tables": "another recipe or --set",
    "data": "other data",
    "validation": "other recordings to validate on",
    "rooms": "other --rooms",
}  # of the metadata that must stay the same, for check_run()


def train(
    recipe: Recipe, shards: Sequence[Shards], folder: Path, group: ProcessGroup, *, rooms: Rooms | None = None,
    resume: bool = False, start: Path | None = None, stop_after: float | None = None,
    scorers: Mapping[str, Scorer] | None = None, tensorboard: bool = True, workers: int | None = None,
) -> bool:  # fmt: skip
    """Train until the recipe's last update, an interrupt or a time limit.

    Args:
        recipe: what to train.
        shards: recordings in the model's sample rate and channels.
        folder: folder of the training.
        group: processes that share each batch.
        rooms: source of impulse responses. Default: simulated rooms.
        resume: continue the training in the folder, if there is one.
        start: checkpoint, or folder of a training, with the weights to start from. Default: random weights. Ignored if
            a saved state is resumed.
        stop_after: seconds after which, and after at least one update, the state is saved and the training stops.
        scorers: metrics for the validation in addition to SI-SNR, by name.
        tensorboard: also write a log for TensorBoard.
        workers: processes that prepare batches, per training process; the result does not depend on their number.
            Default: default_workers().

    Returns:
        Whether the last update is done.

    Raises:
        UserError: the folder holds another training, or this one and `resume` is False; or the recordings do not
            suit the recipe.
        KeyboardInterrupt: this process or another one was interrupted; the state is saved.
    """
    started = time.monotonic()
    rooms = rooms or SimulatedRooms(recipe.model.sample_rate, recipe.data.rt60)
    data = training_data(recipe, shards, rooms)
    excerpts = select_excerpts(shards, recipe.validation.recordings, recipe.validation.seconds)
    if not excerpts:
        raise UserError("--data: holds no recordings of the split valid to validate on; index more recordings")
    trainer, spent = _begin(recipe, group, folder, _metadata(recipe, data, shards, rooms, start), start, resume)
    workers = default_workers(group) if workers is None else workers
    batches = data.batches(trainer.updates, recipe.training.total, group, workers)
    training = CodecTraining(trainer, batches, shards, excerpts, scorers or {}, folder, started - spent, tensorboard)
    return TrainingLoop(training, started, stop_after).run()


class CodecTraining:
    """A codec's training for TrainingLoop, see codec.training.loop.Training.

    Args:
        trainer: makes the updates.
        batches: batches of the updates to come.
        shards: recordings that it is trained on, for the model card.
        excerpts: excerpts to validate on.
        scorers: metrics in addition to SI-SNR, by name.
        folder: folder of the training.
        started: time.monotonic() at the start, less the duration of the parts before it was resumed.
        tensorboard: also write a log for TensorBoard.
    """

    validates_when_stopped = True

    def __init__(
        self,
        trainer: Trainer,
        batches: Generator[Tensor],
        shards: Sequence[Shards],
        excerpts: list[Excerpt],
        scorers: Mapping[str, Scorer],
        folder: Path,
        started: float,
        tensorboard: bool,
    ) -> None:
        self.trainer, self.stopwatch = trainer, trainer.stopwatch
        self.total, self.every = trainer.recipe.training.total, trainer.recipe.validation.every
        self.journal: Journal | None = None
        if trainer.group.rank == 0:
            self.journal = Journal(folder, trainer.updates, self.total, tensorboard, trainer.usage)
        self._batches, self._shards, self._excerpts = batches, shards, excerpts
        self._scorers, self._folder, self._started = scorers, folder, started

    @property
    def updates(self) -> int:
        return self.trainer.updates

    def batches(self) -> Generator[Tensor]:
        return self._batches

    def update(self, batch: Tensor) -> Mapping[str, float | Tensor]:
        metrics = self.trainer.update(batch.to(self.trainer.group.device, non_blocking=True))
        if self.trainer.skipped is not None and self.journal is not None:
            self.journal.skipped(self.updates, self.trainer.skipped)
        return metrics

    def validate(self) -> None:
        assert self.journal is not None
        trainer, recipe = self.trainer, self.trainer.recipe
        with trainer.average.in_place(trainer.generator):
            scores, examples = validate(trainer.generator, self._excerpts, recipe.validation.kbps, self._scorers)
            export(trainer, self._shards, self._folder, self._seconds(), scores, len(self._excerpts))
        self.journal.validation(trainer.updates, scores, trainer.usage())
        for name, audio in examples.items():
            self.journal.audio(name, audio, recipe.model.sample_rate, trainer.updates)

    def save(self) -> None:
        self.trainer.require_finite_weights()
        save_state(self._folder, {**self.trainer.state_dict(), "seconds": self._seconds()})

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def training_data(recipe: Recipe, shards: Sequence[Shards], rooms: Rooms) -> TrainingData:
    """The examples that a recipe trains on."""
    settings, training = recipe.data, recipe.training
    mixing = Mixing(
        single_music=settings.single_music, single_other=settings.single_other, mix_two=settings.mix_two,
        mix_three_without_music=settings.mix_three_without_music, gain_db=settings.gain_db, reverb=settings.reverb,
        denoise=settings.denoise,
    )  # fmt: skip
    return TrainingData(
        shards, seconds=settings.seconds, batch=settings.batch, updates=training.updates, seed=training.seed,
        mixing=mixing, rooms=rooms,
    )  # fmt: skip


def default_workers(group: ProcessGroup) -> int:
    """Processes that prepare batches for one training process."""
    if group.device.type == "cpu":
        return 1  # the networks need the cores
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))


def _begin(
    recipe: Recipe, group: ProcessGroup, folder: Path, metadata: Mapping[str, Any], start: Path | None, resume: bool
) -> tuple[Trainer, float]:
    """Make the trainer of a new or a resumed training, and check or write the folder's run.json.

    Returns:
        The trainer, and the seconds that earlier parts of the training took.
    """
    state = load_state(folder, "generator") if resume and (folder / STATE).exists() else None
    first = group.rank == 0
    begun = first and check_run(folder, metadata, _LABELS, resume, {"tables": recipe_files.completed})
    trainer = Trainer(recipe, group)
    if state is not None:
        trainer.load_state_dict(state)
    elif start is not None:
        start_from(trainer, start)
    if first and not begun:
        write_metadata(folder, metadata)
    elif first:
        _check_start(folder, start, saved=state is not None)
    return trainer, state.get("seconds", 0.0) if state else 0.0


def _metadata(
    recipe: Recipe, data: TrainingData, shards: Sequence[Shards], rooms: Rooms, start: Path | None
) -> dict[str, Any]:
    """Content of run.json."""
    return {
        "recipe": recipe.name, "tables": recipe.tables, "data": data.identity,
        "validation": identity(shards, "valid"), "rooms": rooms.identity,
        "start": start and fingerprint(start), "start_path": start and str(start.resolve()),
    }  # fmt: skip


def _check_start(folder: Path, start: Path | None, saved: bool) -> None:
    """Raise UserError if `start` is not what the training in the folder started from.

    Either path or content must agree: the training at that path may have gone on since. `start` may be omitted once
    the training in the folder has saved its state.
    """
    earlier = read_metadata(folder) or {}
    if start is None:
        if earlier.get("start") is not None and not saved:
            raise UserError(f"--out {folder}: has saved no state yet; give --start-from again")
    elif str(start.resolve()) != earlier.get("start_path") and fingerprint(start) != earlier.get("start"):
        raise UserError(f"--out {folder}: was begun with another --start-from; omit it to continue")
