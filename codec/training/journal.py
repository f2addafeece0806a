"""What a training tells: log.jsonl, TensorBoard, and a line a minute on the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

UPDATES_PER_ENTRY = 50
SECONDS_PER_LINE = 60.0


class Journal:
    """Collects what each update tells and writes its means.

    An entry of log.jsonl is one JSON object with `update`, the number of updates done, and either means over the
    updates since the entry before or, under `validation`, scores.

    Args:
        folder: of the training.
        updates: already done: entries beyond are of updates that will be made again, and are removed.
        total: of the training.
        tensorboard: also write what TensorBoard shows.
    """

    def __init__(self, folder: Path, updates: int, total: int, tensorboard: bool) -> None:
        self._path = folder / "log.jsonl"
        self._total = total
        self._sums: dict[str, list[float | Tensor]] = {}
        self._began, self._began_at = time.monotonic(), updates
        self._said = time.monotonic()
        self._last: dict[str, float] = {}
        self._board = _board(folder / "tensorboard", updates) if tensorboard else None
        if self._path.exists():
            lines = self._path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and json.loads(line)["update"] <= updates]
            self._path.write_text("".join(kept), encoding="utf-8")

    def update(self, number: int, told: Mapping[str, float | Tensor], waited: float) -> None:
        """Take in what update `number`, counted from 1, told, and the share of time waited for data so far."""
        for name, value in told.items():
            self._sums.setdefault(name, []).append(value)
        if number % UPDATES_PER_ENTRY == 0 or number == self._total:
            self._last = {name: _mean(values) for name, values in self._sums.items()}
            self._sums.clear()
            speed = (number - self._began_at) / (time.monotonic() - self._began)
            self._write({"update": number, **self._last, "updates_per_second": speed, "waited": waited})
            if self._board is not None:
                for name, value in self._last.items():
                    self._board.add_scalar(f"training/{name}", value, number)
        if time.monotonic() - self._said >= SECONDS_PER_LINE and self._last:
            self._said = time.monotonic()
            self._say(number, waited)

    def validation(self, number: int, scores: Mapping[str, float], usage: Mapping[str, Any]) -> None:
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
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry, default=float) + "\n")

    def _say(self, number: int, waited: float) -> None:
        elapsed = time.monotonic() - self._began
        speed = (number - self._began_at) / elapsed
        left = (self._total - number) / speed / 3600
        losses = "  ".join(
            f"{name} {value:.3g}" for name, value in self._last.items() if not name.startswith(("fraction_", "kbps"))
        )
        shares = "/".join(f"{v:.2f}" for name, v in self._last.items() if name.startswith("fraction_"))
        click.echo(
            f"{number}/{self._total}  {losses}  gradient {shares}  {speed:.2f} updates/s, {left:.1f} h left, "
            f"waited {100 * waited:.0f} %",
            err=True,
        )


def _mean(values: list[float | Tensor]) -> float:
    return float(torch.stack([torch.as_tensor(value).float().cpu() for value in values]).mean())


def _board(folder: Path, updates: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        click.echo("TensorBoard is not installed, so only log.jsonl is written; pip install tensorboard", err=True)
        return None
    return SummaryWriter(str(folder), purge_step=updates + 1)
