"""What a training tells: log.jsonl, TensorBoard, and a line a minute on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from torch import Tensor

from earmark.codec.errors import WriteError
from earmark.codec.files import write_text

UPDATES_PER_ENTRY = 50
SECONDS_PER_LINE = 60.0
WAITING = "data"  # the part of a stopwatch in which updates wait for their batches
_APART = ("fraction_", "kbps", "seconds_")  # what a line does not tell among the losses

Usage = Mapping[str, list[float]]


class Journal:
    """Collects what each update tells and writes its means.

    An entry of log.jsonl is one JSON object with `update`, the number of updates done, and either means over the
    updates since the entry before, with the seconds that the parts of an update took, or, under `validation`, scores.

    Args:
        folder: of the training.
        updates: already done: entries beyond are of updates that will be made again, and are removed.
        total: of the training.
        tensorboard: also write what TensorBoard shows.
        usage: tells the perplexity of each codebook and the share of its entries in use, if there are any.

    Raises:
        WriteError: the folder cannot be written or the disk is full; so do the methods.
    """

    def __init__(
        self, folder: Path, updates: int, total: int, tensorboard: bool, usage: Callable[[], Usage] = dict
    ) -> None:
        self._path = folder / "log.jsonl"
        self._total = total
        self._usage = usage
        self._entry, self._line = _Means(), _Means()
        self._said = time.monotonic()
        self._board = _board(folder / "tensorboard", updates) if tensorboard else None
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            write_text(self._path, "".join(line + "\n" for line in lines if 0 <= _number(line) <= updates))

    def update(self, number: int, told: Mapping[str, float | Tensor], seconds: Mapping[str, float]) -> None:
        """Take in what update `number`, counted from 1, told.

        Args:
            seconds: that its parts took, WAITING among them, from the process's beginning on.
        """
        for means in (self._entry, self._line):
            means.add(told, seconds)
        if number % UPDATES_PER_ENTRY == 0 or number == self._total:
            entry, usage = self._entry.take(), self._usage()
            self._write({"update": number, **entry, **usage})
            if self._board is not None:
                for name, value in entry.items():
                    self._board.add_scalar(f"training/{name}", value, number)
                for name, values in usage.items():
                    for book, value in enumerate(values):
                        self._board.add_scalar(f"{name}/codebook_{book:02d}", value, number)
        if time.monotonic() - self._said >= SECONDS_PER_LINE:
            self._said = time.monotonic()
            self._say(number, self._line.take())

    def validation(self, number: int, scores: Mapping[str, float], usage: Usage) -> None:
        """Write scores of the fixed set after `number` updates, and how the codebooks are used."""
        self._write({"update": number, "validation": dict(scores), **usage})
        said = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        click.echo(f"{number}/{self._total}  validation: {said}", err=True)
        if self._board is not None:
            for name, value in scores.items():
                self._board.add_scalar(f"validation/{name}", value, number)

    def sound(self, name: str, audio: Tensor, sample_rate: int, number: int) -> None:
        """Add a recording, [channels, T], and its spectrogram to TensorBoard."""
        if self._board is None:
            return
        mono = audio.mean(dim=0).float().cpu()
        self._board.add_audio(name, mono[None].clamp(-1, 1), number, sample_rate)
        window = torch.hann_window(1024)
        power = torch.stft(mono, 1024, 256, window=window, return_complex=True).abs().square()
        decibels = (10 * torch.log10(power + 1e-8)).flip(0)
        self._board.add_image(f"{name}/spectrogram", ((decibels + 80) / 120).clamp(0, 1)[None], number)

    def close(self) -> None:
        if self._board is not None:
            self._board.close()

    def _write(self, entry: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, default=float) + "\n")
        except OSError as error:
            raise WriteError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def _say(self, number: int, means: Mapping[str, float]) -> None:
        speed = means["updates_per_second"]
        said = [f"{name} {value:.3g}" for name, value in means.items() if name in _losses(means)]
        if fractions := [name for name in means if name.startswith("fraction_")]:
            said.append("gradient " + ", ".join(f"{n.removeprefix('fraction_')} {means[n]:.2f}" for n in fractions))
        if usage := self._usage():
            perplexity, used = usage["perplexity"], usage["used"]
            said.append(
                f"codebooks' perplexity {mean(perplexity):.0f} (least {min(perplexity):.0f}), "
                f"used {100 * mean(used):.0f} % (least {100 * min(used):.0f} %)"
            )
        left = (self._total - number) / speed / 3600
        said.append(f"{speed:.2f} updates/s, {left:.1f} h left, waited {100 * means['waited']:.0f} %")
        click.echo(f"{number}/{self._total}  " + "  ".join(said), err=True)


class _Means:
    """Means of what updates tell, and the time that they took, since they were last taken."""

    def __init__(self) -> None:
        self._values: dict[str, list[float | Tensor]] = {}
        self._before: dict[str, float] = {}
        self._seconds: Mapping[str, float] = {}
        self._updates = 0

    def add(self, told: Mapping[str, float | Tensor], seconds: Mapping[str, float]) -> None:
        for name, value in told.items():
            self._values.setdefault(name, []).append(value)
        self._seconds = dict(seconds)
        self._updates += 1

    def take(self) -> dict[str, float]:
        """Means by name, seconds of each part, updates per second of all parts, and the share of them that waited."""
        means = {name: _mean(values) for name, values in self._values.items()}
        spent = {part: seconds - self._before.get(part, 0.0) for part, seconds in self._seconds.items()}
        whole = max(sum(spent.values()), 1e-9)
        means |= {f"seconds_{part}": seconds for part, seconds in spent.items()}
        means |= {"updates_per_second": self._updates / whole, "waited": spent.get(WAITING, 0.0) / whole}
        self._values, self._before, self._updates = {}, dict(self._seconds), 0
        return means


def _losses(means: Mapping[str, float]) -> list[str]:
    return [name for name in means if not name.startswith(_APART) and name not in ("updates_per_second", "waited")]


def _mean(values: list[float | Tensor]) -> float:
    return float(torch.stack([torch.as_tensor(value).float().cpu() for value in values]).mean())


def _number(line: str) -> int:
    """Of the update that a line of the log tells of; -1 if it is damaged."""
    try:
        number = json.loads(line)["update"]
    except (ValueError, TypeError, KeyError):
        return -1
    return number if isinstance(number, int) else -1


def _board(folder: Path, updates: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        click.echo("TensorBoard is not installed, so only log.jsonl is written; pip install tensorboard", err=True)
        return None
    return SummaryWriter(str(folder), purge_step=updates + 1)
