"""Training of a codec in a folder: start, interrupt, resume, validate, export.

DIR/run.json            recipe, versions, seed, data, command
DIR/state.pt            everything that the next update depends on; replaced atomically
DIR/log.jsonl           losses and scores (see journal.py); DIR/tensorboard/ has the same, and decoded audio
DIR/model.safetensors   generator at the last validation, for --checkpoint; DIR/model-card.md describes it
DIR/best.safetensors    generator at the best validation, if the recipe names a metric for it
DIR/checkpoints/        states kept at intervals, and best.pt, the state of the best validation
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from earmark.codec.errors import UserError
from earmark.codec.training import trackers
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.batches import TrainingData, identity
from earmark.codec.training.examples.mixing import Mixing
from earmark.codec.training.examples.reverb import Rooms, SimulatedRooms
from earmark.codec.training.examples.shard_cache import only
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.folder import save_state
from earmark.codec.training.journal import Journal
from earmark.codec.training.kept import Best, KeptStates
from earmark.codec.training.loop import TrainingLoop
from earmark.codec.training.opening import open_training
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.scoring import Scorer, plugin_scorers
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Excerpt, select_excerpts
from earmark.codec.training.validations import Validations

MOST_WORKERS = 8  # per GPU; on one core, an example of 1 s takes 0.5 ms


def train(
    recipe: Recipe, shards: Sequence[Shards], folder: Path, group: ProcessGroup, *, rooms: Rooms | None = None,
    resume: bool = False, start: Path | None = None, stop_after: float | None = None,
    scorers: Mapping[str, Scorer] | None = None, tensorboard: bool = True, workers: int | None = None,
    may_change: bool = False, tracker: str | None = None,
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
        tracker: also log to this one of trackers.TRACKERS.
        may_change: accept a recipe that differs from the earlier part's in settings that may change (changes.py).

    Returns:
        Whether the training is finished.

    Raises:
        UserError: the folder holds another training, or this one and `resume` is False; or the recordings do not
            suit the recipe.
        KeyboardInterrupt: this process or another one was interrupted; the state is saved.
    """
    now = started = time.monotonic()
    rooms = rooms or SimulatedRooms(recipe.model.sample_rate, recipe.data.rt60)
    shards = [only(part, recipe.data.categories) for part in shards]
    data = training_data(recipe, shards, rooms)
    excerpts = select_excerpts(shards, recipe.validation.recordings, recipe.validation.seconds)
    if not excerpts:
        raise UserError("--data: holds no recordings of the split valid to validate on; index more recordings")
    same = {"data": data.identity, "validation": identity(shards, "valid"), "rooms": rooms.identity}
    trainer, state = open_training(recipe, group, folder, same, start, resume, may_change)
    workers = default_workers(group) if workers is None else workers
    batches = data.batches(trainer.updates, recipe.training.total, group, workers)
    started -= state.get("seconds", 0.0)
    scorers = {**plugin_scorers(recipe.validation.metrics), **(scorers or {})}
    unscored = bool(state.get("unscored"))
    training = CodecTraining(
        trainer, batches, shards, excerpts, scorers, folder, started, tensorboard, tracker, unscored
    )  # fmt: skip
    training.best.load_state_dict(state.get("best", {}))
    try:
        if unscored and group.rank == 0:
            training.validate(last=False)
        return TrainingLoop(training, now, stop_after).run()
    finally:
        training.close()


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
        tracker: also log to this one of trackers.TRACKERS.
        unscored: the validation after the last update will be repeated.
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
        tracker: str | None = None,
        unscored: bool = False,
    ) -> None:
        self.trainer, self.stopwatch = trainer, trainer.stopwatch
        self.total, self.every = trainer.recipe.training.total, trainer.recipe.validation.every
        self.journal: Journal | None = None
        if trainer.group.rank == 0:
            others = [trackers.tracker(tracker, folder, trainer.recipe.tables)] if tracker else []
            self.journal = Journal(
                folder, trainer.updates, self.total, tensorboard, trainer.usage, others, unscored
            )  # fmt: skip
        self._batches, self._folder, self._started = batches, folder, started
        validation, checkpoints = trainer.recipe.validation, trainer.recipe.checkpoints
        scorer = scorers.get(validation.best.partition("@")[0])
        self.best = Best(validation.best, getattr(scorer, "better", "higher") == "lower", validation.patience)
        self._validations: Validations | None = None
        if self.journal is not None:
            self._validations = Validations(
                trainer, excerpts, scorers, shards, folder, self.journal, self.best, self._state, self._seconds
            )
        self.seconds_per_state = checkpoints.seconds
        self._kept = KeptStates(folder, checkpoints.every, checkpoints.keep)

    @property
    def updates(self) -> int:
        return self.trainer.updates

    @property
    def finished(self) -> bool:
        return self.best.exhausted

    def batches(self) -> Generator[Tensor]:
        return self._batches

    def update(self, batch: Tensor) -> Mapping[str, float | Tensor]:
        metrics = self.trainer.update(batch.to(self.trainer.group.device, non_blocking=True))
        self._log_skipped()
        if self._validations is not None:
            self._validations.collect(wait=False)
        return metrics

    def validate(self, last: bool) -> None:
        assert self._validations is not None
        # One out of turn, when a training stops early, does not count: resumed, it would not have happened.
        self._validations.start(last, counts=self.updates % self.every == 0 or self.updates == self.total)

    def settle(self) -> None:
        self.trainer.skips.read(wait=True)
        self._log_skipped()
        if self._validations is not None:
            self._validations.collect(wait=True)

    def save(self) -> None:
        self._prepare_to_save()
        save_state(self._folder, self._state())

    def keep(self) -> None:
        if self._kept.due(self.updates):
            self._prepare_to_save()
            self._kept.save(self.updates, self._state())

    def close(self) -> None:
        """End the processes of the training."""
        if self._validations is not None:
            self._validations.close()

    def _prepare_to_save(self) -> None:
        """Make sure that the state is good and complete."""
        if self._validations is not None and not self._validations.unscored:
            self.settle()
        self.trainer.skips.read(wait=True)
        self.trainer.require_finite_weights()

    def _log_skipped(self) -> None:
        for number, reason in self.trainer.skips.take():
            if self.journal is not None:
                self.journal.skipped(number, reason)

    def _state(self) -> dict[str, Any]:
        recipe = {"name": self.trainer.recipe.name, "tables": self.trainer.recipe.tables}
        return {
            **self.trainer.state_dict(), "seconds": self._seconds(), "best": self.best.state_dict(),
            "recipe": json.dumps(recipe), "unscored": self._validations is not None and self._validations.unscored,
        }  # fmt: skip

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
