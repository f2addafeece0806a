"""Training examples: each is a function of (seed, epoch, index) alone, so that training resumes exactly."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from earmark.codec.audio import Audio
from earmark.codec.datasets.manifest import Split
from earmark.codec.errors import UserError
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.excerpts import Excerpts
from earmark.codec.training.examples.mixing import STRATEGIES, Mixing, mix
from earmark.codec.training.examples.reverb import Rooms, SimulatedRooms
from earmark.codec.training.examples.shards import Shards

AHEAD = 2  # batches that each worker has ready


class TrainingData:
    """Examples of one split.

    Args:
        shards: one or several, all of the same sample rate and number of channels.
        seconds: length of an example.
        batch: examples of an update, over all processes.
        updates: of an epoch.
        seed: of everything that is drawn.
        mixing: the strategies and their probabilities; by default the paper's.
        rooms: where reverberation comes from; by default simulated, of the paper's RT60.

    Raises:
        UserError: shards that do not go together, or no recording for a strategy that has a probability.
    """

    def __init__(
        self,
        shards: Sequence[Shards],
        *,
        seconds: float,
        batch: int,
        updates: int,
        seed: int,
        split: Split = "train",
        mixing: Mixing | None = None,
        rooms: Rooms | None = None,
    ) -> None:
        formats = {(part.sample_rate, part.channels) for part in shards}
        if len(formats) != 1:
            raise UserError("data: give shards of one sample rate and one number of channels")
        [(self.sample_rate, self.channels)] = formats
        self.samples = round(seconds * self.sample_rate)
        self.identity = identity(shards, split)
        self._batch, self._updates, self._seed = batch, updates, seed
        self._mixing = mixing or Mixing()
        self._rooms = rooms or SimulatedRooms(self.sample_rate)
        self._excerpts = Excerpts(shards, split, self.samples)
        for strategy in STRATEGIES:
            if self._mixing.probability(strategy) > 0 and not self._excerpts.has(strategy.categories):
                raise UserError(
                    f"data.{strategy.name}: no {' or '.join(sorted(strategy.categories))} in the {split} split; "
                    "add recordings or set this probability to 0"
                )

    def example(self, epoch: int, index: int) -> Audio:
        """[channels, samples] in float32, within full scale; always the same for the same seed, epoch and index."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self._seed, epoch, index])))
        return mix(rng, self._excerpts, self._rooms, self._mixing, self.channels)

    def batches(self, first: int, last: int, group: ProcessGroup, workers: int = 1) -> Generator[Tensor]:
        """What the updates `first` to `last` - 1 of a training learn from, each [batch / processes, channels, samples].

        Update u has the examples of a whole batch in epoch u // updates. Each process gets its part of them: one after
        the other, in the order of their ranks, the parts are the batch that a single process would get.

        Args:
            workers: processes that make batches ahead of time; 0 to make each when it is asked for. The examples are
                the same for any number.

        Raises:
            UserError: the batch cannot be divided among the processes.
        """
        if self._batch % group.size:
            raise UserError(f"data.batch: {self._batch} examples cannot be divided among {group.size} processes")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores, as was asked
            loader = DataLoader(
                _Batches(self, group),
                batch_size=None,
                sampler=range(first, last),
                num_workers=workers,
                worker_init_fn=_apart,
                prefetch_factor=AHEAD if workers else None,
                pin_memory=group.device.type == "cuda",
                generator=torch.Generator(),  # of its own: the default one belongs to the training, to resume exactly
            )
            batches = iter(loader)
        yield from batches

    def batch(self, update: int, group: ProcessGroup) -> Tensor:
        """One process's part of an update's batch, [batch / processes, channels, samples]."""
        epoch, number = divmod(update, self._updates)
        part = self._batch // group.size
        start = number * self._batch + group.rank * part
        return torch.stack([torch.from_numpy(self.example(epoch, index)) for index in range(start, start + part)])


class _Batches(Dataset[Tensor]):
    """Batches by the number of the update, as DataLoader wants them."""

    def __init__(self, data: TrainingData, group: ProcessGroup) -> None:
        self._data, self._group = data, group

    def __getitem__(self, update: int) -> Tensor:
        return self._data.batch(update, self._group)


def _apart(worker: int) -> None:
    """Into a group of its own: an interrupt of the whole group is for the trainer, which finishes its update first.

    The trainer's own SIGTERM still ends a worker, however long its batch would take; and if the trainer is gone,
    workers leave by themselves.
    """
    if hasattr(os, "setpgid"):  # not on Windows
        os.setpgid(0, 0)


def identity(shards: Sequence[Shards], split: Split) -> str:
    """32 hexadecimal digits that tell whether two trainings have the same recordings in a split."""
    digest = hashlib.sha256()
    for part in shards:
        digest.update(f"{part.sample_rate} {part.channels}\n".encode())
        for stored in part.recordings:
            if stored.entry.split == split:
                digest.update(f"{stored.entry.category} {stored.entry.fingerprint} {stored.frames}\n".encode())
    return digest.hexdigest()[:32]
