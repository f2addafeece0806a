"""Metrics of eval.metrics as scorers for the validations of a training."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from earmark.codec.datasets.manifest import CATEGORIES
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earmark.codec.training.scoring import Scorer
    from earmark.eval.metrics.interface import Metric


class MetricScorer:
    """A metric, or two modes of one: that for speech, and that for everything else.

    Attributes:
        better: "higher" or "lower".
    """

    elsewhere = True  # another process finds the metrics by their names

    def __init__(self, speech: Metric, other: Metric) -> None:
        self._speech, self._other = speech, other
        self.better = other.better

    def __call__(
        self, category: str, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int
    ) -> float:
        """Score of two signals, [time] each; NaN if undefined."""
        from earmark.eval.metrics.evaluation import evaluate

        metric = self._speech if category == "speech" else self._other
        value = evaluate(metric, reference[None], decoded[None], sample_rate).value
        return math.nan if value is None else value

    def __reduce__(self) -> tuple[Callable[[str, str], MetricScorer], tuple[str, str]]:
        return _of_names, (self._speech.name, self._other.name)


def _of_names(speech: str, other: str) -> MetricScorer:
    """A scorer as its process of origin had it."""
    from earmark.eval.metrics import registry

    return MetricScorer(registry.find(speech), registry.find(other))


def visqol_scorer() -> Scorer:
    """Scorer that applies ViSQOL's speech mode to speech and its audio mode to everything else."""
    return _scorer("visqol", "; or leave it out by --no-visqol")


def metric_scorers(names: Iterable[str]) -> dict[str, Scorer]:
    """Scorers of the metrics that a recipe names in validation.metrics, those of plug-ins included.

    Raises:
        UserError: there is no such metric, or it cannot run here.
    """
    from earmark.codec.training.scoring import plugin_scorers

    names = list(names)
    own = plugin_scorers(names)
    return {name: own.get(name) or _scorer(name, "; or take it out of validation.metrics") for name in names}


def require_score(name: str, rates: Collection[float], scorers: Mapping[str, Scorer]) -> None:
    """Check that a validation will have the score that validation.best names; empty for none.

    Raises:
        UserError: it will not.
    """
    known = [f"{metric}@{kbps:g}" for metric in ("si_snr", *scorers) for kbps in rates]
    if name and name not in [*known, *(f"{score} {category}" for score in known for category in CATEGORIES)]:
        raise UserError(
            f"recipe: validation.best {name!r} is no score of the validation; there are {', '.join(known)}, each also "
            f"for one category, as {known[0]!r} and {CATEGORIES[0]!r} separated by a space{did_you_mean(name, known)}"
        )


def _scorer(name: str, remedy: str) -> MetricScorer:
    from earmark.eval.metrics import registry

    (exact,) = registry.names([name])
    modes = registry.BY_CATEGORY.get(exact, (exact, exact))
    speech, other = (registry.find(mode) for mode in modes)
    if missing := next((reason for metric in (speech, other) if (reason := metric.available())), None):
        raise UserError(f"{name}: {missing}{remedy}")
    return MetricScorer(speech, other)
