"""The scores of one pair of files as a table: one line per metric, and below it what alignment and conversion did."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from earmark.eval.alignment.result import MARKS, Alignment
from earmark.eval.comparison.pair import Pair
from earmark.eval.metrics.interface import Metric, Score
from earmark.eval.scoring import Scores
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH

SMALLEST_GAIN = 0.1  # dB that a sentence tells
TOLD = ("converted", "inverted", "unaligned")  # marks that the other sentences tell
HEADINGS = ("Metric", "Better", "Score", "Unit")


def pair_grid(scores: Scores, reference: Path | None, decoded: Path, notes: Iterable[str] = ()) -> Grid:
    """Arrange the scores of a pair of files.

    CSV and JSON have the columns metric, value, unit, better, status, reason, reference, decoded, lag_samples, lag_ms,
    lag_left, sign, gain_db, drift_ppm, missing_ms, longer_ms and notes.

    Args:
        reference: None if the decoded file was scored alone.
        notes: further sentences.
    """
    pair = scores.pair
    about: dict[str, Any] = {"reference": "" if reference is None else str(reference), "decoded": str(decoded)}
    about |= {} if reference is None else _numbers(pair)
    rows, records = [], []
    remarks: list[str] = []
    for name, score in scores.items():
        metric = scores.metrics[name]
        rows.append((name, metric.better, _value(score), metric.unit))
        remarks += _remarks(name, metric, score)
        value = math.nan if score.value is None else score.value
        record = {"metric": metric.name, "value": value, "unit": metric.unit, "better": metric.better}
        records.append(record | {"status": score.status, "reason": score.reason} | about)
    sentences = (*(() if reference is None else _sentences(pair)), *remarks, *notes)
    title = str(decoded) if reference is None else f"{decoded} against {reference}"
    return Grid(title, HEADINGS, tuple(rows), sentences, left=2, data=tuple(records))


def alignment_text(alignment: Alignment) -> str:
    """The finding and the action of the alignment, in a sentence."""
    if "unaligned" in alignment.names:
        return "Alignment: no delay found."
    removed, rate = alignment.removed, alignment.sample_rate
    size = f"{abs(removed):.1f}".removesuffix(".0")
    late = f"{size} samples ({1000 * abs(removed) / rate:.2f} ms) {'late' if removed > 0 else 'early'}, removed"
    parts = [late if removed else "no delay"]
    if alignment.sign < 0:
        parts.append("polarity inverted, corrected")
    if alignment.gain_db is not None and abs(alignment.gain_db) >= SMALLEST_GAIN:
        parts.append(f"level {alignment.gain_db:+.1f} dB, left as it is")
    return f"Alignment: {'; '.join(parts)}."


def _sentences(pair: Pair) -> Iterator[str]:
    """Notes on the alignment, on conversions, and on the meaning of each mark."""
    marks = pair.alignment.marks
    yield alignment_text(pair.alignment)
    texts = {mark.text for mark in marks}
    for note in pair.notes:
        if note not in texts:
            yield f"Decoded audio: {note}."
    if pair.longer:
        size = f"{1000 * abs(pair.longer):.3g} ms {'longer' if pair.longer > 0 else 'shorter'} than the reference"
        yield f"Decoded audio: {size}; {'its end was cut' if pair.longer > 0 else 'scored where it is there'}."
    for mark in marks:
        if mark.name not in TOLD:
            yield f"{mark.text[:1].upper()}{mark.text[1:]}: {MARKS[mark.name]}."


def _numbers(pair: Pair) -> dict[str, Any]:
    """The alignment in numbers, for CSV and JSON."""
    found = pair.alignment
    numbers = {
        "lag_samples": int(found.removed) if found.removed.is_integer() else found.removed,
        "lag_ms": 1000 * found.removed / found.sample_rate,
        "lag_left": pair.lag_left,
        "sign": found.sign,
        "gain_db": found.gain_db,
        "drift_ppm": found.drift_ppm,
        "missing_ms": 1000 * found.missing_seconds,
        "longer_ms": 1000 * pair.longer,
    }
    plain = {name: math.nan if value is None else value for name, value in numbers.items()}
    return plain | {"notes": "; ".join(pair.notes)}


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
