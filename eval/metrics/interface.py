"""`Metric`: a function of two signals, with unit, direction and sample rate; and `Score`, which it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "undefined", "error"]
Better = Literal["higher", "lower"]
Channels = Literal["mono", "all"]
UNAVAILABLE = "unavailable:"  # how the reason that `Metric.available` returns begins


@dataclass(frozen=True)
class Score:
    """Result of one metric for one pair of signals.

    Args:
        value: the number; None unless status is "ok".
        status: "undefined" if the metric has no value for these signals (silence, too short), "error" if it failed or
            cannot run here. Only "ok" enters a mean.
        reason: why there is no value, in a few words; beside a value, the warnings of the library.
    """

    value: float | None
    status: Status = "ok"
    reason: str = ""


def undefined(reason: str) -> Score:
    """The score of a metric that has no value for these signals."""
    return Score(None, "undefined", reason)


def failed(reason: str) -> Score:
    """The score of a metric that failed or cannot run here."""
    return Score(None, "error", reason)


Function = Callable[..., Score | float]


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Args:
        function: (reference, decoded) -> score; called with [time] for "mono" metrics and [channels, time] for "all",
            float32. `earmark.eval.metrics.evaluation.evaluate` calls it, and never with silence, NaN or unequal shapes.
        sample_rate: rate in Hz to which both signals are resampled first; None keeps the recording's own.
        channels: "mono" averages the channels first, "all" passes them on.
        version: returns the version of the metric or of its library; part of the cache key of every score.
        available: returns why the metric cannot run here, None if it can.
        source: paper or recommendation that defines the metric, and the library that computes it.
        licence: licence of the code that computes it.
        external: added by `register_metric`, so worker processes have to be given it (see `transport.pack`).
        takes_rate: whether `function` takes the sample rate of the signals in Hz as `sample_rate`.
        needs_reference: False for a metric that uses the decoded signal alone.
        speech_only: whether it is made for speech, so that scores of other recordings get a mark.
        imports: modules that take long to load; a pool of workers loads them once.
    """

    name: str
    title: str
    unit: str
    better: Better
    value_range: str
    function: Function
    sample_rate: int | None
    channels: Channels
    version: Callable[[], str]
    available: Callable[[], str | None]
    source: str
    licence: str
    external: bool = False
    takes_rate: bool = False
    needs_reference: bool = True
    speech_only: bool = False
    imports: tuple[str, ...] = ()

    @property
    def input_format(self) -> str:
        """Format of the signals that the metric gets: "at 16 kHz, channels averaged"."""
        rate = f"at {self.sample_rate / 1000:g} kHz" if self.sample_rate else "at the recording's own rate"
        return f"{rate}, {'channels averaged' if self.channels == 'mono' else 'all channels'}"
