"""Notes on the domain of metrics: the modes of ViSQOL, and metrics made for speech that scored other recordings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from earmark.codec.errors import UserError
from earmark.eval.metrics import registry
from earmark.eval.statistics.macro import OVER_CATEGORIES
from earmark.eval.statistics.scales import modes_of
from earmark.eval.tables.columns import describe

DAGGER, DOUBLE_DAGGER = "†", "‡"
MODE_OPTION = "`earmark compare --speech` names the categories of speech"


def mode_notes(
    metrics: Iterable[str], categories: Collection[str], speech_categories: Collection[str]
) -> dict[str, str]:
    """Notes on the modes of metrics that have some; with a dagger if the mean over all files mixes two."""
    notes = {}
    for name in metrics:
        modes = modes_of(name, categories, speech_categories)
        if len(modes) > 1:
            notes[name] = (
                f"{DAGGER} {describe(name).title} over all files mixes two scales: {_listed(modes)}; {MODE_OPTION}."
            )
        elif modes:
            notes[name] = f"{describe(name).title}: {_listed(modes)}; {MODE_OPTION}."
    return notes


def separate_scales_note(metric: str, categories: Collection[str], speech_categories: Collection[str]) -> list[str]:
    """Explain why a metric with two scales has no row over all files; [] for a metric with one scale."""
    single = [category for category in categories if category not in OVER_CATEGORIES]
    modes = modes_of(metric, single, speech_categories)
    if len(modes) < 2:
        return []
    return [f"{describe(metric).title} has two scales, {_listed(modes)}, so there is no row over all files."]


def _listed(modes: Mapping[str, Sequence[str]]) -> str:
    return " and ".join(f"{mode} mode ({', '.join(members)})" for mode, members in modes.items())


@dataclass(frozen=True)
class OutsideSpeech:
    """Metrics made for speech that scored other categories, these categories, and a note on them."""

    metrics: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def outside_speech(
    metrics: Iterable[str], categories: Collection[str], speech_categories: Collection[str]
) -> OutsideSpeech:
    """Find out which scores are of recordings for which their metric was not made."""
    others = tuple(category for category in categories if category not in speech_categories)
    named = tuple(name for name in metrics if _is_for_speech(name))
    if not others or not named:
        return OutsideSpeech()
    titles = " and ".join(filter(None, (", ".join(titles_of(named[:-1])), *titles_of(named[-1:]))))
    return OutsideSpeech(named, others, (
        f"{DOUBLE_DAGGER} {titles}: made for speech, so that scores of {', '.join(others)} say little; {MODE_OPTION}.",
    ))  # fmt: skip


def titles_of(metrics: Iterable[str]) -> list[str]:
    """Titles of metrics in tables."""
    return [describe(name).title for name in metrics]


def _is_for_speech(name: str) -> bool:
    try:
        return registry.find(name).speech_only
    except UserError:  # not installed here
        return False


def remarked(summary: pd.DataFrame, speech_categories: Collection[str]) -> pd.DataFrame:
    """The rows with a column `remark`, if there is anything to remark: modes, and metrics made for speech.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`.
    """
    categories = [str(name) for name in summary["category"].unique() if name not in OVER_CATEGORIES]
    members = {name: [name] for name in categories} | dict.fromkeys(OVER_CATEGORIES, categories)
    remarks = {
        (metric, category): _remark(str(metric), members[str(category)], speech_categories)
        for metric, category in summary[["metric", "category"]].drop_duplicates().itertuples(index=False)
    }
    if not any(remarks.values()):
        return summary
    pairs = zip(summary["metric"], summary["category"], strict=True)
    return summary.assign(remark=pd.Series([remarks[pair] for pair in pairs], index=summary.index, dtype="str"))


def _remark(metric: str, categories: Collection[str], speech_categories: Collection[str]) -> str:
    if modes := modes_of(metric, categories, speech_categories):
        return f"{next(iter(modes))} mode" if len(modes) == 1 else "mixes two scales"
    return "made for speech" if outside_speech([metric], categories, speech_categories).notes else ""
