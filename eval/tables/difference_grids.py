"""Tables of paired differences between systems, and of Bjontegaard deltas between codecs."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict

from earmark.codec.text import counted
from earmark.eval.statistics import curve_bootstrap
from earmark.eval.statistics.aggregate import FEWEST_FOR_INTERVAL
from earmark.eval.statistics.bjontegaard import Delta
from earmark.eval.statistics.differences import LEVEL, Difference, lowest_p, resamples_for
from earmark.eval.statistics.macro import MACRO
from earmark.eval.statistics.sign_flip import units_needed
from earmark.eval.statistics.studentized import FEW, FEW_IF_SKEWED, SEED
from earmark.eval.tables.columns import describe
from earmark.eval.tables.domain import separate_scales_note
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH, p_statement, probability, signed

MOST_WARNINGS = 5


def difference_grid(pairs: Sequence[Difference], metric: str, speech_categories: Collection[str] = ()) -> Grid:
    """Table of the differences between systems, one row per pair and category.

    Args:
        pairs: from `earmark.eval.statistics.differences.differences`, all by `metric`.
    """
    column = describe(metric)
    unit = f" ({column.unit})" if column.unit else ""
    better = "higher" if column.arrow == "↑" else "lower"
    units = "groups of files" if _are_grouped(pairs) else "files"
    return Grid(
        f"{column.title}{unit}: paired differences over files",
        ("Category", "System", "against", "files", "difference", "95 % interval", "wins", "p"),
        tuple(map(_difference_row, pairs)),
        (
            f"Difference: mean over files of the first system's score minus the second's; {better} scores are better. "
            f"Interval: bootstrap-t over {units} ({resamples_for(len(compared(pairs)))} resamples, seed {SEED}), on no "
            "side shorter than Student's t. Wins: share of files on which the first system is better; ties count half.",
            f"p: bootstrap-t test of the mean difference over {units}, by inversion of the interval, two-sided"
            f"{_correction(pairs)}; * marks p below {LEVEL:g}.",
            *_grouped(pairs),
            *_disagreements(pairs),
            *_too_few_files(pairs),
            *_small_samples(pairs),
            *separate_scales_note(metric, dict.fromkeys(pair.category for pair in pairs), speech_categories),
        ),
        left=3,
        data=tuple({key: value for key, value in asdict(pair).items() if key != "decimals"} for pair in pairs),
    )


def interval_text(pair: Difference) -> str:
    """ "−0.43 to −0.15"; a dash for fewer than three files, or groups of them, whose interval says little."""
    if (pair.clusters or pair.n) < FEWEST_FOR_INTERVAL or not math.isfinite(pair.ci95_low):
        return DASH
    return f"{signed(pair.ci95_low, pair.decimals)} to {signed(pair.ci95_high, pair.decimals)}"


def _difference_row(pair: Difference) -> tuple[str, ...]:
    return (
        pair.category,
        pair.a,
        pair.b,
        f"{pair.n}",
        signed(pair.mean, pair.decimals),
        interval_text(pair),
        f"{100 * pair.win_rate:.0f} %" if pair.n else DASH,
        probability(pair.p_holm) + (" *" if pair.significant else ""),
    )


def _are_grouped(pairs: Sequence[Difference]) -> bool:
    return any(pair.clusters < pair.n for pair in pairs)


def _grouped(pairs: Sequence[Difference]) -> list[str]:
    """Sentences on groups of files, and on the category that averages the categories."""
    notes = []
    if _are_grouped(pairs):
        groups = ", ".join(
            f"{category}: {max(pair.clusters for pair in pairs if pair.category == category)}"
            for category in dict.fromkeys(pair.category for pair in pairs)
        )
        notes.append(f"Groups of files that are not independent count as one unit ({groups}).")
    if any(pair.category == MACRO for pair in pairs):
        notes.append(f"{MACRO}: the average of the categories' mean differences, each category with the same weight.")
    return notes


def _disagreements(pairs: Sequence[Difference]) -> list[str]:
    """A warning for each pair whose mean and median have opposite signs; beyond `MOST_WARNINGS` they are counted."""
    warnings = [
        f"Warning: {pair.a} against {pair.b} ({pair.category}): the mean difference is "
        f"{signed(pair.mean, pair.decimals)} and the median {signed(pair.median, pair.decimals)}, so a few files "
        f"decide the mean. Wilcoxon's test, which they do not decide, has {p_statement(pair.p_wilcoxon)}."
        for pair in pairs
        if pair.disagrees
    ]
    more = len(warnings) - MOST_WARNINGS
    rest = [f"In {counted(more, 'more pair')} too, mean and median have opposite signs."] if more > 0 else []
    return warnings[:MOST_WARNINGS] + rest


def _correction(pairs: Sequence[Difference]) -> str:
    count = len(compared(pairs))
    return f", after Holm's correction over the {count} pairs of each category" if count > 1 else ""


def compared(pairs: Sequence[Difference]) -> set[tuple[str, str]]:
    """The pairs of systems, without categories."""
    return {(pair.a, pair.b) for pair in pairs}


def _small_samples(pairs: Sequence[Difference]) -> list[str]:
    """Note on the assumptions of interval and p where the files are few."""
    noun = "groups" if _are_grouped(pairs) else "files"
    units = {
        category: max(pair.clusters or pair.n for pair in pairs if pair.category == category)
        for category in dict.fromkeys(pair.category for pair in pairs)
    }
    few = [f"{category}: {count}" for category, count in units.items() if 2 <= count < FEW_IF_SKEWED]
    if not few:
        return []
    return [
        f"With few {noun} ({', '.join(few)}) interval and p hold for differences that are about normally distributed: "
        f"with 8 strongly skewed ones p is below 0.05 by chance in 10 % of the cases. Below {FEW} {noun} they are "
        "Student's t."
    ]


def _too_few_files(pairs: Sequence[Difference]) -> list[str]:
    """A sentence for each category in which no difference can be significant, whatever the scores."""
    sentences = []
    for category in dict.fromkeys(pair.category for pair in pairs):
        members = [pair for pair in pairs if pair.category == category]
        lowest = lowest_p(members)
        if lowest >= LEVEL:
            tested = [pair for pair in members if not math.isnan(pair.p)]
            noun = "group" if _are_grouped(members) else "file"
            if not tested:
                sentences.append(
                    f"{category}: too few {noun}s for significance; at least {FEWEST_FOR_INTERVAL} are needed."
                )
                continue
            units = counted(max(pair.clusters for pair in tested), noun)
            sentences.append(
                f"{category}: too few {noun}s for significance; the differences of {units} are the same, and p, that "
                f"of a sign test, is at least {probability(lowest)}. At least "
                f"{counted(units_needed(len(tested)), noun)} are needed."
            )
    return sentences


def delta_grid(deltas: Sequence[Delta], metric: str, speech_categories: Collection[str] = ()) -> Grid:
    """Table of Bjontegaard deltas, one row per pair of codecs and category.

    Args:
        deltas: from `earmark.eval.statistics.bjontegaard.deltas`, all by `metric`.
    """
    column = describe(metric)
    unit = f" ({column.unit})" if column.unit else ""
    missing = ("missing because",) if any(delta.reason for delta in deltas) else ()
    return Grid(
        f"{column.title}{unit}: Bjontegaard deltas",
        ("Category", "Codec", "against", "files", "points", "overlap", "bit rate", "quality", *missing),
        tuple(_delta_row(delta)[: 8 + len(missing)] for delta in deltas),
        (
            "Bit rate: how much more (+) or less (−) the first codec needs, averaged over the qualities that both "
            "reach. Quality: how much higher (+) or lower (−) the first codec scores, averaged over the measured bit "
            "rates that both cover. Piecewise cubic interpolation over the logarithm of the bit rate (VCEG-M33, "
            "JCTVC-L1100); the curves are means over the files that both codecs coded at all their bit rates. "
            "Overlap: share of qualities / of bit rates (logarithmic) that the curves have in common, of those they "
            "cover together. In brackets: 95 % intervals, by a bootstrap over files "
            f"({curve_bootstrap.RESAMPLES} resamples, seed {curve_bootstrap.SEED}).",
            *_weak_deltas(deltas),
            *separate_scales_note(metric, dict.fromkeys(delta.category for delta in deltas), speech_categories),
        ),
        left=3,
        data=tuple(
            {
                "metric": delta.metric, "category": delta.category, "a": delta.a, "b": delta.b,
                "rate_percent": delta.rate, "quality": delta.quality, "reason": delta.reason, "n": delta.n,
                "points_a": delta.points[0], "points_b": delta.points[1], "rate_percent_low": delta.rate_low,
                "rate_percent_high": delta.rate_high, "quality_low": delta.quality_low,
                "quality_high": delta.quality_high, "overlap_quality": delta.overlap_quality,
                "overlap_rate": delta.overlap_rate, "warning": "; ".join(delta.weaknesses),
            }
            for delta in deltas
        ),
    )  # fmt: skip


def _delta_row(delta: Delta) -> tuple[str, ...]:
    """The cells, in two lines where an interval stands below a delta."""
    overlaps = (delta.overlap_quality, delta.overlap_rate)
    known = all(map(math.isfinite, overlaps))
    decimals = delta.decimals
    return (
        delta.category, delta.a, delta.b, f"{delta.n}", f"{delta.points[0]}, {delta.points[1]}",
        f"{100 * overlaps[0]:.0f} / {100 * overlaps[1]:.0f} %" if known else DASH,
        (f"{signed(delta.rate, 1)} %" if math.isfinite(delta.rate) else DASH)
        + _below(delta.rate_low, delta.rate_high, 1),
        signed(delta.quality, decimals) + _below(delta.quality_low, delta.quality_high, decimals),
        delta.reason,
    )  # fmt: skip


def _below(low: float, high: float, decimals: int) -> str:
    return f"\n({signed(low, decimals)} to {signed(high, decimals)})" if math.isfinite(low) else ""


def _weak_deltas(deltas: Sequence[Delta]) -> list[str]:
    """One warning for each reason why deltas are unreliable, with the pairs it concerns."""
    pairs: dict[str, list[str]] = {}
    for delta in deltas:
        for weakness in delta.weaknesses:
            pairs.setdefault(weakness, []).append(f"{delta.a} against {delta.b} ({delta.category})")
    return [f"Warning, unreliable: {', '.join(names)}: {weakness}." for weakness, names in pairs.items()]
