"""Batches of training examples. An example depends on seed, epoch and index only, so that training resumes exactly."""

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
from earmark.codec.training.examples.mixing import NOISE, SPEECH, STRATEGIES, Mixing, mix, with_clean
from earmark.codec.training.examples.reverb import Rooms, SimulatedRooms
from earmark.codec.training.examples.shards import Shards

AHEAD = 2  # batches that each worker prepares in advance


class TrainingData:
    """The examples of one split.

    Args:
        shards: shards of one sample rate and number of channels.
        seconds: length of an example.
        batch: examples per update, over all processes.
        updates: updates per epoch.
        seed: seed of all random choices.
        split: split to draw recordings from.
        mixing: probabilities of the mixing strategies. Default: the paper's.
        rooms: source of impulse responses. Default: simulated rooms with the paper's RT60.

    Raises:
        UserError: the shards differ in format, or there is no recording for a strategy with a probability above 0.
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
            raise UserError("--data: give shards of one sample rate and number of channels")
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
                    "add recordings, set this probability to 0, or choose one kind by --mix"
                )
        if self._mixing.denoise and not (self._excerpts.has(SPEECH) and self._excerpts.has(NOISE)):
            raise UserError(f"data.denoise: needs speech, and sound or music, in the {split} split")

    def example(self, epoch: int, index: int) -> Audio:
        """Make an example, float32 [channels, samples], within full scale; it depends on seed, epoch and index only.

        If the mixing has examples for denoising, the target follows on as many channels more.
        """
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([self._seed, epoch, index])))
        make = with_clean if self._mixing.denoise else mix
        return make(rng, self._excerpts, self._rooms, self._mixing, self.channels)

    def batches(self, first: int, last: int, group: ProcessGroup, workers: int = 1) -> Generator[Tensor]:
        """Yield this process's part of the batches of some updates, each [batch / processes, channels, samples].

        The batch of update u belongs to epoch u // updates. The parts of all processes, concatenated in the order of
        their ranks, are the batch of a single process.

        Args:
            first: first update.
            last: update after the last one.
            group: processes that share each batch.
            workers: processes that prepare batches in advance; 0 makes each batch on demand. The examples do not depend
                on it.

        Raises:
            UserError: the batch cannot be divided among the processes.
        """
        if self._batch % group.size:
            raise UserError(f"data.batch: {self._batch} examples cannot be divided among {group.size} processes")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This DataLoader will create")  # more workers than cores
            loader = DataLoader(
                _Batches(self, group),
                batch_size=None,
                sampler=range(first, last),
                num_workers=workers,
                worker_init_fn=_leave_process_group,
                prefetch_factor=AHEAD if workers else None,
                pin_memory=group.device.type == "cuda",
                generator=torch.Generator(),  # the default one must stay untouched to resume exactly
            )
            batches = iter(loader)
        yield from batches

    def batch(self, update: int, group: ProcessGroup) -> Tensor:
        """This process's part of the batch of one update, [batch / processes, channels, samples]."""
        epoch, number = divmod(update, self._updates)
        part = self._batch // group.size
        start = number * self._batch + group.rank * part
        return torch.stack([torch.from_numpy(self.example(epoch, index)) for index in range(start, start + part)])


class _Batches(Dataset[Tensor]):
    """Batches by the number of the update, for DataLoader."""

    def __init__(self, data: TrainingData, group: ProcessGroup) -> None:
        self._data, self._group = data, group

    def __getitem__(self, update: int) -> Tensor:
        return self._data.batch(update, self._group)


def _leave_process_group(worker: int) -> None:
    """Move a worker to a process group of its own, so that Ctrl-C reaches only the trainer, which finishes its update.

    The trainer still ends its workers by SIGTERM, even in the middle of a batch. Workers whose trainer is gone exit by
    themselves.
    """
    if hasattr(os, "setpgid"):  # not on Windows
        os.setpgid(0, 0)


def identity(shards: Sequence[Shards], split: Split) -> str:
    """Return 32 hexadecimal digits that identify the recordings of a split."""
    digest = hashlib.sha256()
    for part in shards:
        digest.update(f"{part.sample_rate} {part.channels}\n".encode())
        for stored in part.recordings:
            if stored.entry.split == split:
                digest.update(f"{stored.entry.category} {stored.entry.fingerprint} {stored.frames}\n".encode())
    return digest.hexdigest()[:32]
