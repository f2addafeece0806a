"""The scores of one pair of files as a table: one line per metric, and below it what alignment and conversion did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from earmark.codec.text import counted
from earmark.eval.comparison.pair import Pair
from earmark.eval.metrics.interface import Metric, Score
from earmark.eval.scoring import Scores
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH

HEADINGS = ("Metric", "Better", "Score", "Unit")


def pair_grid(scores: Scores, reference: Path | None, decoded: Path, notes: Iterable[str] = ()) -> Grid:
    """Arrange the scores of a pair of files.

    CSV and JSON have the columns metric, value, unit, better, status, reason, reference, decoded, lag_samples, lag_ms,
    lag_left, longer_ms and notes.

    Args:
        reference: None if the decoded file was scored alone.
        notes: further sentences.
    """
    pair, rate = scores.pair, scores.sample_rate
    about: dict[str, Any] = {"reference": "" if reference is None else str(reference), "decoded": str(decoded)}
    about |= {} if reference is None else _numbers(pair, rate)
    rows, records = [], []
    remarks: list[str] = []
    for name, score in scores.items():
        metric = scores.metrics[name]
        rows.append((name, metric.better, _value(score), metric.unit))
        remarks += _remarks(name, metric, score)
        value = math.nan if score.value is None else score.value
        record = {"metric": metric.name, "value": value, "unit": metric.unit, "better": metric.better}
        records.append(record | {"status": score.status, "reason": score.reason} | about)
    done = (alignment_text(pair, rate), *(f"Decoded audio: {note}." for note in pair.notes))
    sentences = (*(() if reference is None else done), *remarks, *notes)
    title = str(decoded) if reference is None else f"{decoded} against {reference}"
    return Grid(title, HEADINGS, tuple(rows), sentences, left=2, data=tuple(records))


def alignment_text(pair: Pair, sample_rate: int) -> str:
    """What the alignment did, in a sentence."""
    if not pair.lag:
        return "Alignment: no delay."
    late = "late" if pair.lag > 0 else "early"
    return (
        f"Alignment: {counted(abs(pair.lag), 'sample')} ({1000 * abs(pair.lag) / sample_rate:.2f} ms) {late}, removed."
    )


def _numbers(pair: Pair, sample_rate: int) -> dict[str, Any]:
    """The alignment in numbers, for CSV and JSON."""
    return {
        "lag_samples": pair.lag,
        "lag_ms": 1000 * pair.lag / sample_rate,
        "lag_left": math.nan if pair.lag_left is None else pair.lag_left,
        "longer_ms": 1000 * pair.longer,
        "notes": "; ".join(pair.notes),
    }


def _remarks(name: str, metric: Metric, score: Score) -> Iterator[str]:
    """The mode of a metric that has several, and why there is no score."""
    if metric.name != name:
        yield f"{name}: {metric.name.removeprefix(f'{name}_')} mode."
    if score.reason:
        yield f"{name}: {'' if score.status == 'ok' else f'{score.status}: '}{score.reason}."


def _value(score: Score) -> str:
    """Three decimals within +-1, otherwise two; a dash without a value."""
    if score.value is None:
        return DASH
    return f"{score.value:.{3 if abs(score.value) <= 1 else 2}f}"
