"""The log of a training: log.jsonl, TensorBoard, and one line per minute on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import click
import torch
from torch import Tensor

from earmark.codec.errors import WriteError
from earmark.codec.files import write_text
from earmark.codec.notices import notice
from earmark.codec.training import trackers
from earmark.codec.training.trackers import Tracker

UPDATES_PER_ENTRY = 50
SECONDS_PER_LINE = 60.0
WAITING = "data"  # part of the stopwatch in which updates wait for their batches
SHARE = "fraction_"  # prefix of the shares of the gradient
_NOT_LOSSES = (SHARE, "gradient_norm", "kbps", "seconds_")  # prefixes of means that are not losses

Usage = Mapping[str, list[float]]


class Journal:
    """Collects the metrics of updates and logs their means.

    Each line of log.jsonl is a JSON object with `update`, the number of updates done. Besides that it has either the
    means over the updates since the previous line and the seconds that each part took, or `validation`, the scores.

    Args:
        folder: folder of the training.
        updates: updates already done. Lines beyond them belong to updates that will be repeated, and are removed.
        total: updates of the whole training.
        tensorboard: also write a log for TensorBoard.
        usage: returns the perplexity and the share of used codewords per codebook, if there are codebooks.
        others: further trackers, which are closed with the journal.
        unscored: the validation after `updates` will be repeated too, as its scores had not arrived.

    Raises:
        WriteError: the folder cannot be written or the disk is full; also raised by the methods.
    """

    def __init__(
        self,
        folder: Path,
        updates: int,
        total: int,
        tensorboard: bool,
        usage: Callable[[], Usage] = dict,
        others: Sequence[Tracker] = (),
        unscored: bool = False,
    ) -> None:
        self._path = folder / "log.jsonl"
        self._total = total
        self._usage = usage
        self._entry, self._line = _Means(), _Means()
        self._printed = time.monotonic()
        board = trackers.tensorboard(folder / "tensorboard", updates) if tensorboard else None
        self._trackers = [*others] if board is None else [board, *others]
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
            last = {"validation": updates - 1 if unscored else updates}
            kept = [line for line in lines if 0 <= _update_of(line) <= last.get(_type_of(line), updates)]
            write_text(self._path, "".join(f"{line}\n" for line in kept))

    def update(self, number: int, metrics: Mapping[str, float | Tensor], seconds: Mapping[str, float]) -> None:
        """Add the metrics of an update.

        Args:
            number: number of the update, counted from 1.
            metrics: values by name.
            seconds: time that each part, WAITING included, has taken since the process started.
        """
        for means in (self._entry, self._line):
            means.add(metrics, seconds)
        if number % UPDATES_PER_ENTRY == 0 or number == self._total:
            self._write_entry(number)
        if time.monotonic() - self._printed >= SECONDS_PER_LINE:
            self._printed = time.monotonic()
            self._print(number, self._line.take())

    def skipped(self, number: int, reason: str) -> None:
        """Log an update that was not applied."""
        self._write({"update": number, "skipped": reason})
        click.echo(f"warning: update {number} skipped: {reason}", err=True)

    def validation(self, number: int, scores: Mapping[str, float], usage: Usage) -> None:
        """Log the scores after `number` updates, and the usage of the codebooks."""
        self._write({"update": number, "validation": dict(scores), **usage})
        text = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
        notice(f"{number}/{self._total}  validation: {text}")
        for tracker in self._trackers:
            for name, value in scores.items():
                tracker.add_scalar(f"validation/{name}", value, number)

    def audio(self, name: str, samples: Tensor, sample_rate: int, number: int) -> None:
        """Add audio, [channels, T], and its spectrogram to TensorBoard and the like."""
        if not self._trackers:
            return
        mono = samples.mean(dim=0).float().cpu()
        window = torch.hann_window(1024)
        power = torch.stft(mono, 1024, 256, window=window, return_complex=True).abs().square()
        decibels = (10 * torch.log10(power + 1e-8)).flip(0)
        for tracker in self._trackers:
            tracker.add_audio(name, mono[None].clamp(-1, 1), number, sample_rate)
            tracker.add_image(f"{name}/spectrogram", ((decibels + 80) / 120).clamp(0, 1)[None], number)

    def close(self) -> None:
        """Close TensorBoard's log and those of other trackers."""
        for tracker in self._trackers:
            tracker.close()

    def _write_entry(self, number: int) -> None:
        """Log the means since the previous entry."""
        means, usage = self._entry.take(), self._usage()
        self._write({"update": number, **means, **usage})
        for tracker in self._trackers:
            for name, value in means.items():
                tracker.add_scalar(f"training/{name}", value, number)
            for name, values in usage.items():
                for book, value in enumerate(values):
                    tracker.add_scalar(f"{name}/codebook_{book:02d}", value, number)

    def _write(self, entry: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry, default=float) + "\n")
        except OSError as error:
            raise WriteError(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def _print(self, number: int, means: Mapping[str, float]) -> None:
        """Print the line of a minute."""
        speed = means["updates_per_second"]
        parts = [f"{name} {value:.3g}" for name, value in means.items() if name in _losses(means)]
        if fractions := [name for name in means if name.startswith("fraction_")]:
            parts.append("gradient " + ", ".join(f"{n.removeprefix('fraction_')} {means[n]:.2f}" for n in fractions))
        if usage := self._usage():
            perplexity, used = usage["perplexity"], usage["used"]
            parts.append(
                f"codebooks' perplexity {mean(perplexity):.0f} (least {min(perplexity):.0f}), "
                f"used {100 * mean(used):.0f} % (least {100 * min(used):.0f} %)"
            )
        left = (self._total - number) / speed / 3600
        parts.append(f"{speed:.2f} updates/s, {left:.1f} h left, waited {100 * means['waited']:.0f} %")
        notice(f"{number}/{self._total}  " + "  ".join(parts))


class _Means:
    """Means of metrics, and the time that updates took, since the last call of take()."""

    def __init__(self) -> None:
        self._values: dict[str, list[float | Tensor]] = {}
        self._before: dict[str, float] = {}
        self._seconds: Mapping[str, float] = {}
        self._updates = 0

    def add(self, metrics: Mapping[str, float | Tensor], seconds: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value)
        self._seconds = dict(seconds)
        self._updates += 1

    def take(self) -> dict[str, float]:
        """Return and reset: the means, seconds per part, updates per second, and the share of time spent waiting."""
        found = {name: _mean(values) for name, values in self._values.items()}
        means = {name: mean for name, (mean, count) in found.items() if count}
        # A loss that joined late, or that some updates lack, has no share of the others: the shares add up to one.
        shares = {name: count for name, (_, count) in found.items() if count and name.startswith(SHARE)}
        balanced = max(shares.values(), default=0)
        means |= {name: means[name] * count / balanced for name, count in shares.items()}
        spent = {part: seconds - self._before.get(part, 0.0) for part, seconds in self._seconds.items()}
        whole = max(sum(spent.values()), 1e-9)
        means |= {f"seconds_{part}": seconds for part, seconds in spent.items()}
        means |= {"updates_per_second": self._updates / whole, "waited": spent.get(WAITING, 0.0) / whole}
        self._values, self._before, self._updates = {}, dict(self._seconds), 0
        return means


def _losses(means: Mapping[str, float]) -> list[str]:
    return [name for name in means if not name.startswith(_NOT_LOSSES) and name not in ("updates_per_second", "waited")]


def _mean(values: list[float | Tensor]) -> tuple[float, int]:
    """Mean of those values that are not NaN, as the metrics of skipped updates are, and their number."""
    tensors = [value for value in values if isinstance(value, Tensor)]
    numbers = torch.tensor([float(value) for value in values if not isinstance(value, Tensor)])
    if tensors:  # joined before they are read from their device
        numbers = torch.cat([numbers, torch.stack(tensors).float().cpu()])
    return float(numbers.nanmean()), int((~numbers.isnan()).sum())


def _type_of(line: str) -> str:
    """ "validation", "skipped" or "means"; the line is not damaged."""
    entry = json.loads(line)
    return next((name for name in ("validation", "skipped") if name in entry), "means")


def _update_of(line: str) -> int:
    """The number of updates in a line of the log; -1 if the line is damaged."""
    try:
        number = json.loads(line)["update"]
    except (ValueError, TypeError, KeyError):
        return -1
    return number if isinstance(number, int) else -1
