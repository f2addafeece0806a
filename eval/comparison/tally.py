"""What a run has found so far, in arrays: millions of scores in little memory, until they become a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import REFERENCE
from earmark.eval.comparison.work import Outcome, cell
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Score, failed

STATUS = ("ok", "undefined", "error")
# Columns of the table that a recording in a system has once, and every metric's row repeats; attributes of Record.
ONCE = ("kbps", "lag", "lag_left", "encode_seconds", "decode_seconds", "duration")


class Tally:
    """Scores of recordings x systems x metrics, and the form of each recording.

    Args:
        metrics_of: category -> metrics as requested and as computed (Task.metrics); all have the same requested ones.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        systems: Sequence[System],
        metrics: Sequence[str],
        metrics_of: Callable[[str], dict[str, str]],
    ) -> None:
        self.sources, self.systems, self.metrics, self.metrics_of = sources, systems, metrics, metrics_of
        self.forms: dict[str, tuple[int, int, float] | str] = {}  # of each source as judged, or why there is none
        self.notes: set[str] = set()
        self._files = {source.file: number for number, source in enumerate(sources)}
        self._columns = {system.text: number for number, system in enumerate(systems)}
        pairs = (len(sources), len(systems))
        self._once = {name: np.full(pairs, np.nan) for name in ONCE}
        self._values = np.full((*pairs, len(metrics)), np.nan)
        self._status = np.zeros(self._values.shape, np.uint8)
        self._reasons: dict[tuple[int, int, int], str] = {}
        self._same: dict[str, str] = {}  # one copy of each reason

    def add(self, file: str, system: str, outcome: Outcome) -> None:
        """Count what came of one recording in one system, which may be the reference that nobody asked for."""
        form: tuple[int, int, float] | str
        if isinstance(outcome, Record):
            self.notes.update(outcome.notes)
            form = outcome.sample_rate, outcome.channels, outcome.duration
        else:
            form = outcome
        if system == REFERENCE:
            self.forms[file] = form
        if system not in self._columns:
            return
        row, column = self._files[file], self._columns[system]
        if isinstance(outcome, Record):
            for name, values in self._once.items():
                value = getattr(outcome, name)
                values[row, column] = np.nan if value is None else value
        for number, computed in enumerate(self.metrics_of(self.sources[row].category).values()):
            self._set((row, column, number), _score(outcome, computed))

    def _set(self, place: tuple[int, int, int], score: Score) -> None:
        self._values[place] = np.nan if score.value is None else score.value
        self._status[place] = STATUS.index(score.status)
        if score.reason:
            self._reasons[place] = self._same.setdefault(score.reason, score.reason)

    def table(self) -> pd.DataFrame:
        """The rows of RUN/scores.parquet, by recording, system and metric in the order in which they were given."""
        files, _, metrics = self._values.shape

        def over_cells(values: Sequence[Any], axis: int) -> Any:
            shape = [1, 1, 1]
            shape[axis] = -1
            return np.broadcast_to(np.array(values, dtype=object).reshape(shape), self._values.shape).ravel()

        reasons = np.full(self._values.shape, "", dtype=object)
        for place, reason in self._reasons.items():
            reasons[place] = reason
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
            **{name: np.repeat(values.ravel(), metrics) for name, values in self._once.items()},
        }
        words = dict.fromkeys(("file", "category", "system", "metric", "status", "reason"), "str")
        return pd.DataFrame({name: pd.Series(table.pop(name), dtype=words.get(name)) for name in tuple(table)}).astype(
            {"lag": "Int64"}
        )


def _score(outcome: Outcome, metric: str) -> Score:
    if not isinstance(outcome, Record):
        return failed(outcome)
    name = cell(registry.find(metric))
    if (score := outcome.scores.get(name)) is None:  # of a machine of a cluster
        return failed(f"scored by another version than {name}; install the same on every machine")
    return score
