"""`earmark.score`: metrics for a pair of arrays, with the numbers that `earmark compare` gives for the same pair."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from earmark.codec.audio import Audio, fit_length, resample
from earmark.codec.errors import UserError
from earmark.codec.text import counted, split_list
from earmark.eval.comparison.alignment import advance, estimate_lag
from earmark.eval.comparison.corpus import ReferenceFormat
from earmark.eval.metrics import registry
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Score

DEFAULT = ("si_snr", "visqol")
MOST_CHANNELS = 2


def score(
    reference: Any,
    decoded: Any,
    sample_rate: int,
    metrics: Iterable[str] = DEFAULT,
    *,
    speech: bool = False,
) -> dict[str, Score]:
    """Score a decoded signal against its reference.

    The signals are prepared as by `earmark compare`, which gives the same scores for the same pair: rates above 48 kHz
    are resampled to 48 kHz, `decoded` is cut or padded at its end to the length of the reference and aligned by up to
    10 samples, and each metric gets both signals at its own sample rate, mono if it needs that.

    Args:
        reference, decoded: NumPy arrays or torch tensors of floating-point samples with full scale at +-1, [time] or
            [channels, time] with one or two channels.
        sample_rate: rate of both signals in Hz.
        metrics: names as `earmark metrics` lists them.
        speech: compute `visqol` in speech mode instead of audio mode.

    Returns:
        For each name in `metrics` a score with `value`, `status` ("ok", "undefined" or "error") and `reason`. The
        value is None unless the status is "ok".

    Raises:
        UserError: a metric is not known, the sample rate is not positive, or an array has another shape or type.

    Examples:
        >>> scores = earmark.score(reference, decoded, 24000, metrics=["si_snr", "pesq"])
        >>> scores["si_snr"].value
        12.4
    """
    names = split_list(metrics) if isinstance(metrics, str) else tuple(dict.fromkeys(metrics))
    chosen = {name: registry.find(name, speech=speech) for name in names}
    source, result = _samples(reference, "reference"), _samples(decoded, "decoded")
    if source.shape[0] != result.shape[0]:
        raise UserError(
            f"score: reference has {counted(source.shape[0], 'channel')} and decoded has {result.shape[0]}; pass "
            "the same number"
        )
    if int(sample_rate) != sample_rate or sample_rate <= 0:
        raise UserError(f"score: sample_rate={sample_rate} is not a rate in Hz, e.g. 24000")
    rate = ReferenceFormat().rate_for(int(sample_rate))
    source, result = (resample(samples, int(sample_rate), rate) for samples in (source, result))
    result = fit_length(result, source.shape[-1])
    if source.shape[-1] and np.isfinite(source).all() and np.isfinite(result).all():
        result = advance(result, estimate_lag(source, result))
    return {name: evaluate(metric, source, result, rate) for name, metric in chosen.items()}


def _samples(array: Any, name: str) -> Audio:
    """A signal as [channels, time] in float32.

    Raises:
        UserError: it has another shape or type.
    """
    if hasattr(array, "detach"):  # a torch tensor, perhaps on a GPU
        array = array.detach().cpu()
    samples = np.asarray(array)
    if not np.issubdtype(samples.dtype, np.floating):
        raise UserError(f"score: {name} has samples of type {samples.dtype}; pass floating-point samples within +-1")
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or samples.shape[0] > MOST_CHANNELS:
        raise UserError(
            f"score: {name} has shape {np.shape(array)}; pass [time] or [channels, time] with one or two channels"
        )
    return samples.astype(np.float32)
