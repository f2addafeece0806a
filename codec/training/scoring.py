"""Scores of decoded excerpts by the metrics of a validation, here or in a process beside the training.

It loads no PyTorch, which that process would have to load too.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from earmark.codec import plugins
from earmark.codec.parallel import begin_worker, sigint_blocked, thread_limit

Scores = dict[str, float]


class Scorer(Protocol):
    """A metric of a validation.

    One whose lower scores are better has an attribute `better` = "lower"; one that another process can compute, after
    unpickling it, has `elsewhere` = True.
    """

    def __call__(
        self, category: str, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int, /
    ) -> float:
        """Score of two signals, [time] each, of a recording of a category; NaN if undefined."""


class PluginScorer:
    """A validation metric of a plug-in as a scorer. Other processes load the plug-in as this one does."""

    elsewhere = True

    def __init__(self, name: str) -> None:
        self._name, self._function = name, plugins.find("metric", name)
        self.better = getattr(self._function, "better", "higher")

    def __call__(
        self, category: str, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int
    ) -> float:
        return float(self._function(reference, decoded, sample_rate))

    def __reduce__(self) -> tuple[type[PluginScorer], tuple[str]]:
        return PluginScorer, (self._name,)


def plugin_scorers(names: Iterable[str]) -> dict[str, Scorer]:
    """Scorers of those metrics that plug-ins have registered."""
    known = plugins.known("metric")
    return {name: PluginScorer(name) for name in names if name in known}


@dataclass(frozen=True)
class Decoded:
    """A decoded excerpt of a validation.

    Args:
        category: category of the recording.
        kbps: bit rate in kbps.
        reference, decoded: means of the channels, [time] each.
        sample_rate: in Hz.
        si_snr: its SI-SNR in dB, over all channels.
    """

    category: str
    kbps: float
    reference: NDArray[np.float32]
    decoded: NDArray[np.float32]
    sample_rate: int
    si_snr: float


def mean_scores(scorers: Mapping[str, Scorer], excerpts: Sequence[Decoded]) -> Scores:
    """Mean scores under names such as "si_snr@6" for all categories and "si_snr@6 speech" for one; NaN if undefined."""
    scores: dict[str, list[float]] = {}
    for each in excerpts:
        found = {"si_snr": each.si_snr}
        for name, scorer in scorers.items():
            found[name] = scorer(each.category, each.reference, each.decoded, each.sample_rate)
        for name, score in found.items():
            for key in (f"{name}@{each.kbps:g}", f"{name}@{each.kbps:g} {each.category}"):
                scores.setdefault(key, []).append(score)
    return {key: _mean(values) for key, values in scores.items()}


def _mean(values: list[float]) -> float:
    defined = [value for value in values if value == value]
    return sum(defined) / len(defined) if defined else float("nan")


class Beside:
    """One process that scores excerpts while this one goes on.

    Args:
        scorers: metrics by name. Unless all can be computed elsewhere, `available` is False.
    """

    def __init__(self, scorers: Mapping[str, Scorer]) -> None:
        self._score = partial(mean_scores, dict(scorers))
        self.available = bool(scorers) and all(getattr(each, "elsewhere", False) for each in scorers.values())
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, excerpts: Sequence[Decoded]) -> Future[Scores]:
        """Start to score excerpts."""
        with thread_limit(1), sigint_blocked():  # the training needs the other cores
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(1, context, initializer=begin_worker)
            return self._pool.submit(self._score, excerpts)

    def result(self, future: Future[Scores], excerpts: Sequence[Decoded]) -> Scores:
        """Wait for scores. If their process was killed, they are computed here."""
        try:
            return future.result()
        except BrokenProcessPool:
            self._pool = None
            return self._score(excerpts)

    def close(self) -> None:
        """End the process, also in the middle of its work."""
        if self._pool is not None:
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
