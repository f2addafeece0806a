"""Compute one metric for one aligned pair of signals: check, mix to mono, resample, call."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import NDArray

from earmark.codec.audio import resample
from earmark.codec.text import without_temporary_paths
from earmark.eval.metrics.interface import Metric, Score, failed, undefined
from earmark.eval.metrics.silence import cancels, is_faint, silent_one

Pair = tuple[NDArray[np.float32], NDArray[np.float32]]  # reference, decoded


def evaluate(
    metric: Metric, reference: NDArray[np.float32], decoded: NDArray[np.float32], sample_rate: int
) -> Score:  # fmt: skip
    """Compute a metric; never raises.

    Args:
        reference, decoded: [channels, time] at `sample_rate` Hz, aligned, of equal shape.

    Returns:
        The metric's score; "undefined" if a signal is silent, or silent in the metric's band. For metrics that average
        the channels, "undefined" as well if the channels of the reference cancel, or if it is nothing but the dither
        of 16-bit PCM. "error" for other shapes, NaN samples, a metric that cannot run here, and whatever its library
        raises.
    """
    problem = _problem(metric, reference, decoded)
    if problem is not None:
        return problem
    source: Pair = (reference, decoded)
    if metric.channels == "mono":
        if metric.needs_reference and cancels(reference) and silent_one(reference, decoded) is None:
            return undefined("the channels of the reference cancel in the average")
        source = (reference.mean(axis=0), decoded.mean(axis=0))
    prepared = source
    if metric.sample_rate is not None:
        prepared = (
            resample(source[0], sample_rate, metric.sample_rate),
            resample(source[1], sample_rate, metric.sample_rate),
        )
    # Checked twice, as resampling turns the ends of an offset into clicks and removes what lies above the new band.
    silent = silent_one(*source) or silent_one(*prepared)
    if silent is not None:
        return undefined(f"the {silent} is silent")
    rate = metric.sample_rate or sample_rate
    if metric.channels == "mono" and metric.needs_reference and is_faint(prepared[0], rate):
        return undefined("the reference lies below -90 dBFS")
    return _call(metric, prepared, rate)


def _problem(metric: Metric, reference: NDArray[np.float32], decoded: NDArray[np.float32]) -> Score | None:
    """The score of signals that no metric accepts, or of a metric that cannot run here; None otherwise."""
    if reference.ndim != 2:
        return failed(f"signals must be [channels, time], not {reference.shape}")
    if reference.shape != decoded.shape:
        return failed(f"shapes differ: reference {reference.shape}, decoded {decoded.shape}")
    if reference.size == 0:
        return undefined("empty signal")
    if not (np.isfinite(reference).all() and np.isfinite(decoded).all()):
        return failed("NaN or infinite samples")
    reason = metric.available()
    return None if reason is None else failed(reason)


def _call(metric: Metric, signals: Pair, sample_rate: int) -> Score:
    rate = {"sample_rate": sample_rate} if metric.takes_rate else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a division deep in a library; the check below finds its NaN
            answer = metric.function(*signals, **rate)
        score = answer if isinstance(answer, Score) else Score(float(answer))
    except Exception as error:  # a third-party metric may raise anything, and one cell must not cost the run
        return failed(without_temporary_paths(" ".join(f"{type(error).__name__}: {error}".split())))
    if score.status == "ok" and (score.value is None or not math.isfinite(score.value)):
        return failed(f"{metric.name} returned {score.value}")
    return score
