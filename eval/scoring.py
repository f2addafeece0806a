"""`earmark.score`: metrics for a pair of arrays, with the numbers that `earmark compare` gives for the same pair."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from earmark.codec.audio import Audio, Recording, resample
from earmark.codec.errors import UserError
from earmark.eval.comparison.corpus import ReferenceFormat
from earmark.eval.comparison.pair import Pair, matched
from earmark.eval.comparison.pair import scored as scored_metric
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Function, Metric, Score

DEFAULT = ("si_snr", "visqol")
MOST_CHANNELS = 2
INTEGER_TYPES = ("uint8", "int16", "int32")  # samples of WAV files


class Scores(dict[str, Score]):
    """Metric -> score of one pair of signals.

    Attributes:
        pair: the decoded signal as it was scored: aligned, with what the alignment did and what was converted.
        metrics: name -> metric that computed it, e.g. "visqol" -> ViSQOL in speech mode.
        sample_rate: rate in Hz of the reference as it was scored, and of the numbers of samples in `pair`.
    """

    def __init__(
        self, scores: Mapping[str, Score], pair: Pair, metrics: Mapping[str, Metric], sample_rate: int
    ) -> None:  # fmt: skip
        super().__init__(scores)
        self.pair, self.metrics, self.sample_rate = pair, dict(metrics), sample_rate


def score(
    reference: Any,
    decoded: Any,
    sample_rate: int,
    metrics: str | Iterable[str | Metric | Function] = DEFAULT,
    *,
    decoded_rate: int | None = None,
    speech: bool = False,
) -> Scores:
    """Score a decoded signal against its reference.

    The signals are prepared as by `earmark compare` and `earmark score`, which give the same scores for the same pair:
    rates above 48 kHz are resampled to 48 kHz, `decoded` is converted to the sample rate, channel count and length of
    the reference and aligned with it, and each metric gets both signals at its own sample rate, mono if it needs that.

    Args:
        reference, decoded: NumPy arrays or torch tensors of floating-point samples with full scale at +-1, [time] or
            [channels, time] with one or two channels. Samples of the types uint8, int16 and int32, as WAV files have
            them, are scaled to +-1.
        sample_rate: rate of the reference in Hz.
        metrics: names as `earmark metrics` lists them, what `register_metric` returned, or functions of two arrays.
        decoded_rate: rate of `decoded` in Hz; default: `sample_rate`.
        speech: compute `visqol` in speech mode instead of audio mode.

    Returns:
        For each name in `metrics` a score with `value`, `status` ("ok", "undefined" or "error") and `reason`. The
        value is None unless the status is "ok". The attribute `pair` tells what the alignment did (`pair.lag` in
        samples at the rate of the reference) and what was converted (`pair.notes`).

    Raises:
        UserError: a metric is not known, a sample rate is not positive, or an array has another shape or type.

    Examples:
        >>> scores = earmark.score(reference, decoded, 24000, metrics=["si_snr", "pesq"])
        >>> scores["si_snr"].value
        12.4
        >>> scores.pair.lag
        3
    """
    names = registry.names_of(metrics)
    chosen = {name: registry.find(name, speech=speech) for name in names}
    source = Recording(_samples(reference, "reference"), _rate(sample_rate, "sample_rate"))
    given = sample_rate if decoded_rate is None else decoded_rate
    result = Recording(_samples(decoded, "decoded"), _rate(given, "decoded_rate"))
    rate = ReferenceFormat().rate_for(source.sample_rate)
    return scored(Recording(resample(source.samples, source.sample_rate, rate), rate), result, chosen)


def scored(reference: Recording, decoded: Recording, metrics: Mapping[str, Metric]) -> Scores:
    """Score a pair of recordings.

    Args:
        reference: as it is scored, at 48 kHz at most.
        decoded: in any format.
        metrics: name in the result -> metric.
    """
    pair = matched(reference, decoded)
    scores = {name: scored_metric(metric, reference, pair.decoded, pair.alignment) for name, metric in metrics.items()}
    return Scores(scores, pair, metrics, reference.sample_rate)


def _rate(rate: int, name: str) -> int:
    if int(rate) != rate or rate <= 0:
        raise UserError(f"score: {name}={rate} is not a rate in Hz, e.g. 24000")
    return int(rate)


def _samples(array: Any, name: str) -> Audio:
    """A signal as [channels, time] in float32.

    Raises:
        UserError: it has another shape or type.
    """
    if hasattr(array, "detach"):  # a torch tensor, perhaps on a GPU
        array = array.detach().cpu()
    samples = np.asarray(array)
    if samples.dtype in INTEGER_TYPES:
        largest = np.iinfo(samples.dtype).max + 1
        samples = samples.astype(np.float64) / largest if samples.dtype != np.uint8 else samples / 128 - 1.0
    if not np.issubdtype(samples.dtype, np.floating):
        types = ", ".join(INTEGER_TYPES)
        raise UserError(
            f"score: {name} has samples of type {samples.dtype}; pass {types}, or floating-point samples within +-1"
        )
    samples = np.atleast_2d(samples)
    if samples.ndim != 2 or samples.shape[0] > MOST_CHANNELS:
        raise UserError(
            f"score: {name} has shape {np.shape(array)}; pass [time] or [channels, time] with one or two channels"
        )
    return samples.astype(np.float32)
