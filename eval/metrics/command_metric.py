"""A metric of the user's own as a shell command: ``polqa {reference} {decoded}`` prints a number."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.baselines import program_files, programs
from earmark.codec.audio import write
from earmark.codec.errors import UserError
from earmark.codec.text import without_temporary_paths
from earmark.eval.metrics.interface import UNAVAILABLE, Score, failed

FILES = {"{reference}": "reference.wav", "{decoded}": "decoded.wav"}
NUMBER = r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w|\.\d)"  # not a part of a word or of a version
# Programs may print decimal commas in other locales.
PLAIN_NUMBERS = "LC_ALL=C; export LC_ALL\n"


@dataclass(frozen=True)
class CommandMetric:
    """Score that a command prints for two WAV files; the function of a `Metric`.

    Args:
        command: for `sh -c`. {reference} and {decoded} become the names of WAV files, {rate} their sample rate in Hz.
        pattern: regular expression of the score in what the command prints on standard output: its first group, or
            the whole match; the last match counts. None: the last number.
        limits: lowest and highest possible score; None if it has none.
        files: further files whose content identifies the metric.
        sample_type: of the WAV files, "PCM_16", "PCM_24" or "FLOAT".
        timeout: seconds after which the command is ended; None for the default (`earmark.baselines.programs`).
    """

    name: str
    command: str
    pattern: str | None = None
    limits: tuple[float, float] | None = None
    files: tuple[Path, ...] = ()
    sample_type: str = "PCM_16"
    timeout: float | None = None

    def __call__(
        self, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int
    ) -> Score:  # fmt: skip
        """Run the command on two signals, [time] or [channels, time]."""
        with tempfile.TemporaryDirectory(prefix="earmark-") as name:
            folder = Path(name)
            for file, signal in zip(FILES.values(), (reference, decoded), strict=True):
                write(folder / file, np.atleast_2d(signal), sample_rate, self.sample_type)
            limit = programs.time_limit(reference.shape[-1] / sample_rate, self.timeout)
            command = PLAIN_NUMBERS + self._filled(sample_rate)
            try:
                printed = programs.run(
                    ["sh", "-c", command], folder, limit, self.name, "its command", errors_apart=True
                )  # fmt: skip
            except UserError as error:
                return failed(without_temporary_paths(str(error).removeprefix(f"{self.name}: ")))
        return self.read(printed)

    def read(self, printed: str) -> Score:
        """The score in what the command printed."""
        matches = list(re.finditer(self.pattern or NUMBER, printed, re.MULTILINE))
        last_line = (printed.strip().splitlines() or [""])[-1][:200]
        if not matches:
            wanted = "no number" if self.pattern is None else f"nothing that matches {self.pattern}"
            return failed(f"its command printed {wanted}{f'; its last line is: {last_line}' if last_line else ''}")
        text = matches[-1][1] if matches[-1].re.groups else matches[-1][0]
        try:
            value = float(text)
        except (TypeError, ValueError):  # an optional group has no text
            return failed(f"its command printed {text!r}, which is no number; correct the pattern {self.pattern}")
        if self.limits is not None and not self.limits[0] <= value <= self.limits[1]:
            low, high = self.limits
            return failed(f"its command printed {value:g}, outside its range {low:g} to {high:g}; check its pattern")
        return Score(value)

    @property
    def needs_reference(self) -> bool:
        return "{reference}" in self.command

    def version(self) -> str:
        """Hash of the command, the pattern, and the content of the programs and files that it names."""
        settings = f"{self.pattern}\n{self.limits}\n{self.sample_type}"
        return f"command {program_files.identity(self.command, self.files, settings)}"

    def unavailable(self) -> str | None:
        """Why the command cannot run here, with the remedy; None if it can."""
        if relative := program_files.relative_file(self.command):
            full = Path(relative).resolve()
            return f"{UNAVAILABLE} its command runs in another folder; write {relative} as {full}"
        absent = program_files.missing_program(self.command)
        if absent is None:
            return None
        return f"{UNAVAILABLE} there is no program {absent}; put it on PATH or write its path in full"

    def _filled(self, sample_rate: int) -> str:
        values = FILES | {"{rate}": str(sample_rate)}
        return re.sub(r"{\w+}", lambda match: values.get(match[0], match[0]), self.command)
