"""A training in a folder: begun, interrupted at will, continued, validated, exported.

DIR/run.json            recipe, versions, seed, data, command
DIR/state.pt            all that the next update depends on; written aside, then renamed
DIR/log.jsonl           losses and scores (journal.py); DIR/tensorboard/ the same to look at and listen to
DIR/model.safetensors   the generator of the last validation, ready for --checkpoint; DIR/model-card.md tells of it
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from earmark.codec.errors import UserError, WriteError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup, maximum
from earmark.codec.training.examples.batches import TrainingData, identity
from earmark.codec.training.examples.mixing import Mixing
from earmark.codec.training.examples.reverb import Rooms, SimulatedRooms
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.export import export
from earmark.codec.training.folder import STATE, load_state, open_folder, save_state, told_of
from earmark.codec.training.interrupts import Interrupts
from earmark.codec.training.journal import Journal
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.start import fingerprint, start_from
from earmark.codec.training.trainer import Trainer
from earmark.codec.training.validation import Scorer, select_excerpts, validate

SECONDS_PER_STATE = 600.0
MOST_WORKERS = 8  # of a GPU: 0.5 ms for an example of a second, on one core
_TIME_IS_UP, _INTERRUPTED = 1, 2
_SAME = {
    "tables": "another recipe or --set",
    "data": "other data",
    "validation": "other recordings to validate on",
    "rooms": "other --rooms",
}


def train(
    recipe: Recipe,
    shards: Sequence[Shards],
    folder: Path,
    group: ProcessGroup,
    *,
    rooms: Rooms | None = None,
    resume: bool = False,
    start: Path | None = None,
    stop_after: float | None = None,
    scorers: Mapping[str, Scorer] | None = None,
    tensorboard: bool = True,
    workers: int | None = None,
) -> bool:
    """Train until the recipe's last update, an interrupt, or for a while.

    Args:
        shards: recordings in the model's format.
        folder: where everything goes; holds an earlier part of this training if `resume`.
        rooms: where reverberation comes from; simulated if None.
        start: checkpoint or folder of a training whose weights to begin with (see codec.training.start); random ones
            if None. Once a state is saved, that is what a training goes on from.
        stop_after: seconds after which, and after one update at least, the state is saved and the training left.
        scorers: more metrics for the validation beside SI-SNR, by name: (kind of recording, reference [T], decoded
            [T], sample rate) -> score, NaN where there is none.
        workers: processes that make batches ahead of time, for each process that trains; None for as many as the
            device deserves. The result is the same for any number.

    Returns:
        Whether the last update is done.

    Raises:
        UserError: the folder holds a training and `resume` is False, or one of another recipe or data; or the shards
            do not serve the recipe.
        KeyboardInterrupt: this process or one of the others was interrupted; the state is saved.
    """
    began = time.monotonic()
    chief = group.rank == 0
    rooms = rooms or SimulatedRooms(recipe.model.sample_rate, recipe.data.rt60)
    data = data_of(recipe, shards, rooms)
    excerpts = select_excerpts(shards, recipe.validation.recordings, recipe.validation.seconds)
    if not excerpts:
        raise UserError("--data: holds no recordings of the split valid to validate on; index more recordings")
    trainer = Trainer(recipe, group)
    state = load_state(folder, "generator") if resume and (folder / STATE).exists() else None
    if state is not None:
        trainer.load_state_dict(state)
    elif start is not None:
        start_from(trainer, start)
    if chief:
        about = {
            "recipe": recipe.name, "tables": recipe.tables, "data": data.identity,
            "validation": identity(shards, "valid"), "rooms": rooms.identity,
            "start": start and fingerprint(start), "start_path": start and str(start.resolve()),
        }  # fmt: skip
        open_folder(folder, about, _SAME, resume, {"tables": recipe_files.completed})
        _check_start(folder, start, state is not None)
    spent = state.get("seconds", 0.0) if state else 0.0
    first, total = trainer.updates, recipe.training.total
    journal = Journal(folder, first, total, tensorboard, trainer.usage) if chief else None

    def seconds() -> float:
        return spent + time.monotonic() - began

    def save() -> None:
        save_state(folder, {**trainer.state_dict(), "seconds": seconds()})

    def note(told: Mapping[str, float | Tensor], due: bool) -> None:
        """Of the last update, by the chief."""
        assert journal is not None
        journal.update(trainer.updates, told, trainer.stopwatch.seconds)
        if not due:
            return
        with trainer.average.in_place(trainer.generator):
            scores, examples = validate(trainer.generator, excerpts, recipe.validation.kbps, scorers or {})
            export(trainer, shards, folder, seconds(), scores, len(excerpts))
        journal.validation(trainer.updates, scores, trainer.usage())
        for name, audio in examples.items():
            journal.sound(name, audio, recipe.model.sample_rate, trainer.updates)

    stop, saved = 0, time.monotonic()
    count = workers_for(group) if workers is None else workers
    with Interrupts() as interrupts, contextlib.closing(data.batches(first, total, group, count)) as batches:
        while trainer.updates < total:
            with trainer.stopwatch("data"):
                batch = interrupts.waiting_for(lambda: next(batches))
            late = stop_after is not None and trainer.updates > first and time.monotonic() - began > stop_after
            # All stop before the same update: one that went on alone would wait for the others for ever.
            stop = maximum(_INTERRUPTED if batch is None else _TIME_IS_UP if late else 0)
            if stop or batch is None:
                break
            told = trainer.update(batch.to(group.device, non_blocking=True))
            if not chief:
                continue
            due = trainer.updates % recipe.validation.every == 0 or trainer.updates == total
            try:
                note(told, due)
            except WriteError:  # the disk is full: the state may yet find the room of the one before
                with contextlib.suppress(WriteError):
                    save()
                raise
            if due or time.monotonic() - saved > SECONDS_PER_STATE:
                save()
                saved = time.monotonic()
        if chief and stop:
            save()
    if journal is not None:
        journal.close()
    if stop == _INTERRUPTED:
        raise KeyboardInterrupt
    return trainer.updates == total


def data_of(recipe: Recipe, shards: Sequence[Shards], rooms: Rooms) -> TrainingData:
    """What a recipe learns from."""
    chosen, training = recipe.data, recipe.training
    mixing = Mixing(
        single_music=chosen.single_music, single_other=chosen.single_other, mix_two=chosen.mix_two,
        mix_three_without_music=chosen.mix_three_without_music, gain_db=chosen.gain_db, reverb=chosen.reverb,
    )  # fmt: skip
    return TrainingData(
        shards, seconds=chosen.seconds, batch=chosen.batch, updates=training.updates, seed=training.seed,
        mixing=mixing, rooms=rooms,
    )  # fmt: skip


def workers_for(group: ProcessGroup) -> int:
    """Processes that make batches for one that trains."""
    if group.device.type == "cpu":
        return 1  # the networks need the cores
    return max(1, min(MOST_WORKERS, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1)) - 1))


def _check_start(folder: Path, start: Path | None, saved: bool) -> None:
    """Raise UserError if `start` is not what the training in the folder began from.

    It is the same if place or content is: the training that it came from may have gone on since. A training that has
    saved its state can do without it.
    """
    earlier = told_of(folder) or {}
    if start is None:
        if earlier.get("start") is not None and not saved:
            raise UserError(f"--out {folder}: has saved no state yet; give --start-from again")
    elif str(start.resolve()) != earlier.get("start_path") and fingerprint(start) != earlier.get("start"):
        raise UserError(f"--out {folder}: was begun with another --start-from; leave it out to go on")
