"""Training speed of a recipe: updates per second, the share of time waiting for data, and the shares of the parts.

    python benchmarks/training_speed.py [RECIPE] [--set KEY=VALUE ...] [--updates 50] [--device cpu] [--threads 1]

The corpus is an hour of noise as shards, twenty minutes per category, so that reading, mixing and reverberation cost as
much as for real recordings. The first updates do not count, because they initialise codebooks and libraries. On a GPU
the updates are timed twice: once as in training, and once waiting for the GPU after each part, which is necessary to
time the parts.

Where audiocraft can be imported, updates by its modules are timed in the same process, on the same batches (see
audiocraft_update.py), and compared with Earmark's without the time that these waited for data.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import soundfile
import torch
from audiocraft_update import audiocraft_update
from torch import Tensor

from earmark.codec.datasets import manifest
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import single_process
from earmark.codec.training.examples import shards
from earmark.codec.training.examples.batches import TrainingData
from earmark.codec.training.examples.reverb import SimulatedRooms
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.export import device_name
from earmark.codec.training.journal import WAITING
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.run import default_workers, training_data
from earmark.codec.training.stopwatch import Stopwatch
from earmark.codec.training.trainer import Trainer

WARM_UP = 10  # updates


def corpus(folder: Path, recipe: Recipe) -> Shards:
    """Write six files of 200 s of noise per category, as shards."""
    rate, channels = recipe.model.sample_rate, recipe.model.channels
    entries = []
    for number, category in enumerate(category for category in manifest.CATEGORIES for _ in range(6)):
        path = folder / f"{number}.wav"
        noise = np.random.default_rng(number).uniform(-0.3, 0.3, (200 * rate, channels))
        soundfile.write(path, noise, rate)
        entries.append(
            manifest.Entry(
                path=path.name, dataset="noise", category=category, split="train", creator=None, licence="CC0-1.0",
                seconds=200.0, sample_rate=rate, channels=channels, fingerprint=manifest.fingerprint(path),
            )
        )  # fmt: skip
    manifest.write(folder / "manifest.jsonl", entries)
    shards.write([folder / "manifest.jsonl"], folder / "shards", sample_rate=rate, channels=channels)
    return Shards(folder / "shards")


def measure(trainer: Trainer, data: TrainingData, updates: int, workers: int, exact: bool) -> tuple[float, Stopwatch]:
    """Seconds that `updates` updates take after WARM_UP others, in total and by part."""
    trainer.stopwatch = Stopwatch(trainer.group.device, exact)
    last = trainer.updates + WARM_UP + updates
    began = 0.0
    with contextlib.closing(data.batches(trainer.updates, last, trainer.group, workers)) as batches:
        for number in range(WARM_UP + updates):
            if number == WARM_UP:
                _settle(trainer)
                began = time.perf_counter()
                trainer.stopwatch.seconds.clear()
            with trainer.stopwatch(WAITING):
                batch = next(batches)
            trainer.update(batch.to(trainer.group.device, non_blocking=True))
        _settle(trainer)
    return time.perf_counter() - began, trainer.stopwatch


def measure_other(update: Callable[[Tensor], None], trainer: Trainer, data: TrainingData, updates: int) -> float:
    """Seconds that `updates` updates by another trainer take after WARM_UP others, on batches that are made before."""
    batches = [data.batch(number, trainer.group).to(trainer.group.device) for number in range(min(updates, WARM_UP))]
    began = 0.0
    for number in range(WARM_UP + updates):
        if number == WARM_UP:
            _settle(trainer)
            began = time.perf_counter()
        update(batches[number % len(batches)])
    _settle(trainer)
    return time.perf_counter() - began


def _settle(trainer: Trainer) -> None:
    """Wait for the GPU, if there is one."""
    if trainer.group.device.type == "cuda":
        torch.cuda.synchronize()


@click.command()
@click.argument("recipe", default="tiny")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE")
@click.option("--updates", type=click.IntRange(min=1), default=50, show_default=True)
@click.option("--device")
@click.option("--threads", type=click.IntRange(min=1))
@click.option("--workers", type=click.IntRange(min=0))
def main(
    recipe: str, settings: tuple[str, ...], updates: int, device: str | None, threads: int | None, workers: int | None
) -> None:
    """Print a row of docs/how-to/train.md for each way of timing."""
    if threads:
        torch.set_num_threads(threads)
    chosen = recipe_files.load(recipe, ("discriminators.start=0", *settings))
    group = single_process("training_speed", device)
    rooms = SimulatedRooms(chosen.model.sample_rate, chosen.data.rt60)
    count = default_workers(group) if workers is None else workers
    with tempfile.TemporaryDirectory() as folder:
        data = training_data(chosen, [corpus(Path(folder), chosen)], rooms)
        trainer = Trainer(chosen, group)
        ours = 0.0  # seconds without waiting
        for exact in (False, True) if group.device.type == "cuda" else (False,):
            took, stopwatch = measure(trainer, data, updates, count, exact)
            ours = ours or took - stopwatch.seconds[WAITING]
            parts = ", ".join(f"{name} {100 * part / took:.1f} %" for name, part in stopwatch.seconds.items())
            print(
                f"{chosen.name}, batch {chosen.data.batch} x {chosen.data.seconds:g} s, {chosen.training.precision}, "
                f"{device_name(group)}, {count} worker(s){', parts apart' if exact else ''}: "
                f"{updates / took:.2f} updates/s; {parts}"
            )
        uses_bfloat16 = not isinstance(trainer._autocast(), contextlib.nullcontext)
        if (other := audiocraft_update(chosen, group.device, uses_bfloat16)) is not None:
            took = measure_other(other, trainer, data, updates)
            print(
                f"audiocraft's modules, the same batches, none waited for: {updates / took:.2f} updates/s; "
                f"Earmark's are {took / ours:.2f} times as fast"
            )


if __name__ == "__main__":
    main()
