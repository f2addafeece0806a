"""The results of a run while it goes on, in arrays: millions of scores in little memory, which become a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.eval.alignment.result import Alignment
from earmark.eval.comparison.alignment import Consensus
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import REFERENCE
from earmark.eval.comparison.work import Outcome, cell
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Score, failed

STATUS = ("ok", "undefined", "error")
# Attributes of Record that are columns of the table; the rows of all metrics of a recording in a system repeat them.
REPEATED = (
    "kbps", "payload_bytes", "coded_seconds", "file_bytes", "lag", "lag_left", "encode_seconds", "decode_seconds",
    "duration",
)  # fmt: skip

# Column -> its value in an alignment; "marks", the findings as text, is a column, too.
ALIGNED: dict[str, Callable[[Alignment], float | None]] = {
    "delay": lambda one: one.removed,
    "sign": lambda one: one.sign,
    "gain_db": lambda one: one.gain_db,
    "peak": lambda one: one.peak,
    "drift_ppm": lambda one: one.drift_ppm,
    "missing": lambda one: one.missing_seconds,
    "extra": lambda one: one.extra / one.sample_rate,
    "true_peak_db": lambda one: one.true_peak_db,
    "beyond_full_scale": lambda one: one.beyond_full_scale,
}


class Tally:
    """Scores of recordings x systems x metrics, and the format of each recording.

    Args:
        metrics: all metrics; a system is scored by those that `metrics_of` has for it.
        metrics_of: system and category -> Task.metrics.

    Attributes:
        formats: recording -> sample rate, channels and seconds as scored, or why the recording cannot be used.
        notes: remarks on recordings, for the report.
        consensus: the delays that most files of a system share.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        systems: Sequence[System],
        metrics: Sequence[str],
        metrics_of: Callable[[str, str], dict[str, str]],
    ) -> None:
        self.sources, self.systems, self.metrics, self.metrics_of = sources, systems, metrics, metrics_of
        self.formats: dict[str, tuple[int, int, float] | str] = {}
        self.notes: set[str] = set()
        self._files = {source.file: number for number, source in enumerate(sources)}
        self._columns = {system.text: number for number, system in enumerate(systems)}
        pairs = (len(sources), len(systems))
        self.consensus = Consensus()
        self._repeated = {name: np.full(pairs, np.nan) for name in (*REPEATED, *ALIGNED)}
        self._marks = np.full(pairs, "", dtype=object)
        self._values = np.full((*pairs, len(metrics)), np.nan)
        self._status = np.zeros(self._values.shape, np.uint8)
        self._absent = np.zeros(self._values.shape, bool)
        for number, system in enumerate(systems):
            names = metrics_of(system.text, sources[0].category) if sources else {}
            self._absent[:, number] = [name not in names for name in metrics]
        self._cells: dict[str, str] = {}  # metric -> name of its scores in records
        self._reasons: dict[tuple[int, int, int], str] = {}
        self._unique_reasons: dict[str, str] = {}  # one copy of each text

    def add(self, file: str, system: str, outcome: Outcome) -> None:
        """Add the result of one recording in one system, or in the reference, which need not be in the plan."""
        if isinstance(outcome, Record):
            self.notes.update(outcome.notes)
        if system == REFERENCE:
            self.formats[file] = _format(outcome)
        if system not in self._columns:
            return
        row, column = self._files[file], self._columns[system]
        if isinstance(outcome, Record):
            values = {name: getattr(outcome, name) for name in REPEATED}
            if (alignment := outcome.alignment) is not None:
                values |= {name: value_of(alignment) for name, value_of in ALIGNED.items()}
                self._marks[row, column] = "; ".join(mark.text for mark in alignment.marks)
                self.consensus.add(system, alignment)
            for name, value in values.items():
                self._repeated[name][row, column] = np.nan if value is None else value
        computed = self.metrics_of(system, self.sources[row].category)
        for number, name in enumerate(self.metrics):
            if name in computed:
                self._set((row, column, number), self._score(outcome, computed[name]))

    def leave_out(self, file: str, system: str) -> None:
        """Give a recording no rows in a system, as there is no decoded audio of it."""
        self._absent[self._files[file], self._columns[system]] = True

    def _score(self, outcome: Outcome, metric: str) -> Score:
        if not isinstance(outcome, Record):
            return failed(outcome)
        if (name := self._cells.get(metric)) is None:
            name = self._cells[metric] = cell(registry.find(metric))
        if (score := outcome.scores.get(name)) is None:  # from another machine of a cluster
            return failed(f"scored by another version than {name}; install the same on every machine")
        return score

    def _set(self, cell_index: tuple[int, int, int], score: Score) -> None:
        self._values[cell_index] = np.nan if score.value is None else score.value
        self._status[cell_index] = STATUS.index(score.status)
        if score.reason:
            self._reasons[cell_index] = self._unique_reasons.setdefault(score.reason, score.reason)

    def table(self) -> pd.DataFrame:
        """Return the rows of RUN/scores.parquet, by recording, system and metric in the order of the plan.

        Pairs of recording and system that are left out have none.

        Columns: file, category, system, metric, value, status ("ok", "undefined" or "error"), reason, kbps_nominal, and
        those of REPEATED and ALIGNED: lag (whole samples removed), lag_left, delay (samples removed, with their
        fraction), sign (-1 if the polarity was inverted), gain_db, peak (normalised correlation), drift_ppm, missing
        and extra (seconds), true_peak_db (dBTP) and beyond_full_scale (samples) of the decoded signal; and marks, what
        a reader of the scores must know about the alignment. All of them are empty for the scores of earlier versions.
        """
        files, _, metrics = self._values.shape

        def over_cells(values: Sequence[Any], axis: int) -> Any:
            shape = [1, 1, 1]
            shape[axis] = -1
            return np.broadcast_to(np.array(values, dtype=object).reshape(shape), self._values.shape).ravel()

        reasons = np.full(self._values.shape, "", dtype=object)
        for cell_index, reason in self._reasons.items():
            reasons[cell_index] = reason
        nominal = [family_of(system).kbps(system) for system in self.systems]
        table = {
            "file": over_cells([source.file for source in self.sources], 0),
            "category": over_cells([source.category for source in self.sources], 0),
            "system": over_cells([system.text for system in self.systems], 1),
            "metric": over_cells(self.metrics, 2),
            "value": self._values.ravel(),
            "status": np.array(STATUS, dtype=object)[self._status.ravel()],
            "reason": reasons.ravel(),
            "kbps_nominal": np.tile(np.repeat(np.array(nominal, float), metrics), files),
            **{name: np.repeat(values.ravel(), metrics) for name, values in self._repeated.items()},
            "marks": np.repeat(self._marks.ravel(), metrics),
        }
        if self._absent.any():
            present = ~self._absent.ravel()
            table = {name: column[present] for name, column in table.items()}
        types = dict.fromkeys(("file", "category", "system", "metric", "status", "reason", "marks"), "str")
        return pd.DataFrame({name: pd.Series(table.pop(name), dtype=types.get(name)) for name in tuple(table)}).astype(
            {"lag": "Int64", "sign": "Int64", "beyond_full_scale": "Int64", "file_bytes": "Int64"}
        )


def _format(outcome: Outcome) -> tuple[int, int, float] | str:
    if isinstance(outcome, Record):
        return outcome.sample_rate, outcome.channels, outcome.duration
    return outcome
