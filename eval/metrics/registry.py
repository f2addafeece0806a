"""The metrics' one registry: each metric is a function with a declared rate, and every answer is a Score."""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import resample
from earmark.codec.errors import UserError
from earmark.eval.metrics.silence import silent_one

Status = Literal["ok", "undefined", "error"]
Better = Literal["higher", "lower"]
UNAVAILABLE = "unavailable:"  # how `Metric.available` begins its reason


@dataclass(frozen=True)
class Score:
    """One metric's answer for one pair of signals.

    Args:
        value: the number, None unless status is "ok".
        status: "undefined" where the metric has no value for these signals (silence, too short), "error" where it
            failed or cannot run here. Neither ever enters a mean.
        reason: why there is no value, in a few words; beside a value, what the library warned of.
    """

    value: float | None
    status: Status = "ok"
    reason: str = ""


def undefined(reason: str) -> Score:
    """The metric has no value for these signals."""
    return Score(None, "undefined", reason)


def failed(reason: str) -> Score:
    """The metric could not be computed here."""
    return Score(None, "error", reason)


Function = Callable[[NDArray[np.float32], NDArray[np.float32]], Score]


@dataclass(frozen=True)
class Metric:
    """A registered metric.

    Args:
        function: (reference, decoded) -> Score; [time] for "mono" metrics, [channels, time] for "all"; called by
            score(), which keeps silence, NaN and unequal shapes from it.
        sample_rate: rate in Hz at which the function hears both signals, None for the source's own.
        channels: "mono" averages the channels first, "all" passes them on.
        version: bumped by hand or taken from the library, part of the cache key of every score.
        available: returns why the metric cannot run here, None when it can.
        source: the paper or recommendation that defines it, and the library that computes it if that is not ours.
        licence: of the code that computes it.
    """

    name: str
    title: str
    unit: str
    better: Better
    value_range: str
    function: Function
    sample_rate: int | None
    channels: Literal["mono", "all"]
    version: Callable[[], str]
    available: Callable[[], str | None]
    source: str
    licence: str

    @property
    def heard(self) -> str:
        """How the signals reach it: "at 16 kHz, channels averaged"."""
        rate = f"at {self.sample_rate / 1000:g} kHz" if self.sample_rate else "at the recording's own rate"
        return f"{rate}, {'channels averaged' if self.channels == 'mono' else 'all channels'}"


_REGISTRY: dict[str, Metric] = {}
_MODULES = (
    "si_snr",
    "si_sdr",
    "visqol",
    "pesq",
    "stoi",
    "spectral",
    "loudness",
    "dnsmos",
)  # under eval.metrics; imported at first use


def metric(
    *,
    name: str,
    title: str,
    source: str,
    licence: str,
    unit: str = "",
    better: Better = "higher",
    value_range: str = "",
    sample_rate: int | None = None,
    channels: Literal["mono", "all"] = "mono",
    version: Callable[[], str] = lambda: "1",
    available: Callable[[], str | None] = lambda: None,
) -> Callable[[Function], Function]:
    """Register the decorated function as metric `name`."""

    def register(function: Function) -> Function:
        _REGISTRY[name] = Metric(
            name, title, unit, better, value_range, function, sample_rate, channels, version, available,
            source, licence,
        )  # fmt: skip
        return function

    return register


@functools.cache
def library(distribution: str) -> str:
    """Name and version of an installed library, "pystoi 0.4.1"; what `version` returns for a metric made from one."""
    try:
        return f"{distribution} {installed_version(distribution)}"
    except PackageNotFoundError:
        return f"{distribution} missing"


def registered() -> dict[str, Metric]:
    """All metrics by name, in order of registration."""
    for module in _MODULES:
        importlib.import_module(f"earmark.eval.metrics.{module}")
    return dict(_REGISTRY)


# `visqol` is the metric a reader expects for the category: speech mode for speech, audio mode for the rest.
BY_CATEGORY = {"visqol": ("visqol_speech", "visqol_audio")}


def find(name: str, *, speech: bool = False) -> Metric:
    """The metric called `name`; one that depends on the category is resolved by `speech`.

    Raises:
        UserError: there is no such metric.
    """
    metrics = registered()
    if name in BY_CATEGORY:
        name = BY_CATEGORY[name][0 if speech else 1]
    if name not in metrics:
        known = ", ".join([*BY_CATEGORY, *metrics])
        raise UserError(f"--metrics: there is no metric {name!r}; there are {known}")
    return metrics[name]


def score(chosen: Metric, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int) -> Score:
    """Check, convert and compare one aligned pair.

    Args:
        reference, decoded: [channels, time] at `sample_rate` Hz, aligned, of equal shape.

    Returns:
        The metric's answer; undefined if a signal is silent, or silent in the metric's band; "error" for input that
        is no such pair and for whatever a library raises.
    """
    if reference.ndim != 2:
        return failed(f"signals must be [channels, time], not {reference.shape}")
    if reference.shape != decoded.shape:
        return failed(f"shapes differ: reference {reference.shape}, decoded {decoded.shape}")
    if reference.size == 0:
        return undefined("empty signal")
    if not (np.isfinite(reference).all() and np.isfinite(decoded).all()):
        return failed("NaN or infinite samples")
    reason = chosen.available()
    if reason is not None:
        return failed(reason)
    source = heard = (reference, decoded)
    if chosen.channels == "mono":
        source = heard = (reference.mean(axis=0), decoded.mean(axis=0))
    if chosen.sample_rate is not None:
        heard = (
            resample(source[0], sample_rate, chosen.sample_rate),
            resample(source[1], sample_rate, chosen.sample_rate),
        )
    # Twice, as resampling makes clicks of an offset's ends, and removes what lies above the new band.
    name = silent_one(*source) or silent_one(*heard)
    if name is not None:
        return undefined(f"the {name} is silent")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a division deep in a library; the checks find what they hint at
            result = chosen.function(*heard)
    except Exception as error:  # a third-party metric may raise anything, and one cell must not cost the run
        return failed(" ".join(f"{type(error).__name__}: {error}".split()))
    if result.status == "ok" and (result.value is None or not math.isfinite(result.value)):
        return failed(f"{chosen.name} returned {result.value}")
    return result
