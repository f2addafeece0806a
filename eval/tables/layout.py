"""Layout of a run's table: a column per metric, a section per category, every mean with its interval and n."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from earmark.eval.alignment.result import MARKS
from earmark.eval.statistics.aggregate import ALL, FEWEST_FOR_INTERVAL
from earmark.eval.statistics.macro import MACRO, OVER_CATEGORIES
from earmark.eval.statistics.rates import tested
from earmark.eval.statistics.scales import decimals_of, modes_of
from earmark.eval.tables.columns import Column, describe
from earmark.eval.tables.domain import DAGGER, DOUBLE_DAGGER, mode_notes, outside_speech
from earmark.eval.tables.numbers import DASH
from earmark.eval.tables.published import is_published, published_note
from earmark.eval.tables.significance import STAR, is_significant, significance_note

SECTION_SIGN = "§"
MEANING = (
    "Mean ± half width of its 95 % confidence interval (Student t over files), in brackets the number of files with a "
    "score. Fewer than three files have no interval, but a dash. Undefined and failed cells never enter a mean."
)
MACRO_MEANING = (
    "macro: the average of the categories' means, each category with the same weight; a dash where a category has no "
    "score, and no interval where one has fewer than three files."
)
SPEED_MEANING = (
    "Real-time factor: audio duration over processing time, higher is faster; measured during this run, in parallel "
    "with its other work."
)


@dataclass(frozen=True)
class Cell:
    """One mean with the numbers that belong beside it.

    Args:
        half_width: half width of the 95 % confidence interval, NaN for fewer than three files.
        n: number of files with a score; None for a published figure that does not state it.
        undefined, failed: number of files without a score. If n > 0, files that a note counts for the whole category
            are subtracted.
        mark: footnote mark, or "".
    """

    mean: float
    half_width: float
    n: int | None
    undefined: int
    failed: int
    decimals: int
    mark: str

    @property
    def mean_text(self) -> str:
        return DASH if self.n == 0 else f"{self.mean:.{self.decimals}f}"

    @property
    def half_width_text(self) -> str:
        """Half width of the interval; a dash for fewer than three files, whose interval says little or nothing."""
        enough = (self.n is None or self.n >= FEWEST_FOR_INTERVAL) and math.isfinite(self.half_width)
        return f"{self.half_width:.{self.decimals}f}" if enough else DASH

    @property
    def score(self) -> str:
        """ "4.12 ± 0.15 (12)", "4.12 ± – (2)" for fewer than three files, a dash without any score."""
        if self.n == 0:
            return DASH
        return f"{self.mean_text} {self.detail}".rstrip()

    @property
    def detail(self) -> str:
        """The text behind the mean: "± 0.15 (12)"; "± 0.15" or "" for a published figure without n."""
        if self.n is None:
            return f"± {self.half_width_text}" if math.isfinite(self.half_width) else ""
        return f"± {self.half_width_text} ({self.n}){self.mark}" if self.n else ""

    @property
    def missing(self) -> str:
        """ "2 undefined, 1 failed", or "" if every file has a score."""
        return _counts(self.undefined, self.failed)

    @property
    def text(self) -> str:
        if not self.missing:
            return self.score
        return f"{self.score}, {self.missing}" if self.n else f"{DASH} ({self.missing})"


def _counts(undefined: int, failed: int) -> str:
    return ", ".join(f"{count} {word}" for count, word in ((undefined, "undefined"), (failed, "failed")) if count)


@dataclass(frozen=True)
class Row:
    """One system in one category: nominal and measured bit rate in kbps, NaN if it has none; one cell per column.

    `marked` tells that alignment found something, which a note explains.
    """

    system: str
    kbps_nominal: float
    kbps: float
    cells: tuple[Cell, ...]
    marked: bool = False

    @property
    def label(self) -> str:
        """The system, with the mark of its note."""
        return f"{self.system} {SECTION_SIGN}" if self.marked else self.system


@dataclass(frozen=True)
class Section:
    """The systems of one category.

    `modes` maps each metric whose mode differs by category to that of this one, "visqol" to "speech mode".
    """

    category: str
    rows: tuple[Row, ...]
    modes: Mapping[str, str] = field(default_factory=dict)

    @property
    def remark(self) -> str:
        """ "ViSQOL: speech mode", or ""."""
        return ", ".join(f"{describe(name).title}: {mode}" for name, mode in self.modes.items())

    @property
    def label(self) -> str:
        """The category with the remark on it."""
        return f"{self.category} ({self.remark})" if self.remark else self.category


@dataclass(frozen=True)
class Speed:
    """One codec's real-time factors over all files."""

    system: str
    encode: float
    decode: float


@dataclass(frozen=True)
class Layout:
    """The content that every rendering of the table shows.

    Args:
        sections: one per category, then "all" if there are several categories, and "macro" if chosen.
        notes: footnotes, the general one first.
    """

    columns: tuple[Column, ...]
    sections: tuple[Section, ...]
    speeds: tuple[Speed, ...]
    notes: tuple[str, ...]


def lay_out(summary: pd.DataFrame, speech_categories: Collection[str] = ()) -> Layout:
    """Arrange the means of a run.

    Args:
        summary: from `earmark.eval.statistics.aggregate.summarise`, or with published figures from
            `earmark.eval.tables.published.with_published`.
        speech_categories: categories that a metric with modes scored in speech mode. If the run has others too, the
            means over all files get a footnote.
    """
    categories = [category for category in summary["category"].unique() if category not in OVER_CATEGORIES]
    metrics, macro = list(summary["metric"].unique()), MACRO in set(summary["category"])
    ours = summary[~is_published(summary)]
    own_categories = [category for category in ours["category"].unique() if category not in OVER_CATEGORIES]
    modes = mode_notes(ours["metric"].unique(), own_categories, speech_categories)
    mixed = {name for name, note in modes.items() if note.startswith(DAGGER)}
    outside = outside_speech(ours["metric"].unique(), own_categories, speech_categories)
    own_modes = {name: modes_of(name, own_categories, speech_categories) for name in metrics}
    columns = tuple(
        replace(describe(name), mode=f"{next(iter(own_modes[name]))} mode" if len(own_modes[name]) == 1 else "")
        for name in metrics
    )
    decimals = {name: decimals_of(summary.loc[summary["metric"] == name, "mean"]) for name in metrics}
    shown = categories if len(categories) < 2 else [*categories, ALL, *([MACRO] if macro else [])]
    sections, common = [], []
    for category in shown:
        block = summary[summary["category"] == category]
        own = ours[ours["category"] == category]
        undefined, failed = (int(own[name].min()) if len(own) else 0 for name in ("undefined", "failed"))
        marks = dict.fromkeys(mixed if category in OVER_CATEGORIES else (), DAGGER)
        if category in OVER_CATEGORIES or category in outside.categories:
            marks |= dict.fromkeys(outside.metrics, DOUBLE_DAGGER)
        differing = {} if category in OVER_CATEGORIES else _modes_here(category, mixed, own_modes)
        sections.append(Section(category, _section_rows(block, decimals, marks, undefined, failed), differing))
        if undefined or failed:
            common.append(f"{category}: in every cell {_counts(undefined, failed)}.")

    over_all = ours[ours["category"] == ALL].drop_duplicates("system")
    coded = over_all[over_all["kbps"].notna() & over_all[["encode_rtf", "decode_rtf"]].notna().any(axis=1)]
    speeds = tuple(Speed(row.system, row.encode_rtf, row.decode_rtf) for row in _tuples(coded))
    details = [f"{column.title}: {column.detail}." for column in columns if column.detail]
    notes = (
        MEANING,
        *([MACRO_MEANING] if macro else []),
        *alignment_notes(ours),
        *common,
        *_rate_notes(ours),
        *details,
        *modes.values(),
        *outside.notes,
        *significance_note(summary),
        *published_note(summary),
    )
    return Layout(columns, tuple(sections), speeds, notes)


def alignment_notes(summary: pd.DataFrame) -> list[str]:
    """A note per system whose alignment found something, and one that says what the words mean."""
    if "marks" not in summary:
        return []
    over_all = summary[(summary["category"] == ALL) & (summary["marks"] != "")].drop_duplicates("system")
    found = {str(row.system): str(row.marks) for row in _tuples(over_all)}
    names = {part.rpartition(" ")[0] for marks in found.values() for part in marks.split(", ")}
    counts = [f"{system}: {marks}" for system, marks in found.items()]
    meanings = [f"{name}: {meaning}" for name, meaning in MARKS.items() if name in names]
    if not counts:
        return []
    return [f"{SECTION_SIGN} Alignment (number of files): {'; '.join(counts)}. {'. '.join(meanings)}."]


def _rate_notes(summary: pd.DataFrame) -> list[str]:
    """Say which bit rates are stated by a name instead of measured, and which are unknown."""
    unmeasured = tested(summary[(summary["n"] > 0) & (summary["category"] == ALL) & summary["kbps"].isna()])
    stated = unmeasured.loc[unmeasured["kbps_nominal"].notna(), "system"].unique().tolist()
    unknown = unmeasured.loc[unmeasured["kbps_nominal"].isna(), "system"].unique().tolist()
    notes = [f"{', '.join(stated)}: the bit rate is stated, not measured."] if stated else []
    notes += [f"{', '.join(unknown)}: the bit rate is unknown."] if unknown else []
    if "file_bytes" in summary:
        files = summary.loc[summary["file_bytes"].eq(True) & (summary["category"] == ALL), "system"].unique().tolist()
        notes += [f"{', '.join(files)}: the bit rate is of file bytes, container included."] if files else []
    return notes


def _modes_here(
    category: str, mixed: Collection[str], modes: Mapping[str, Mapping[str, Sequence[str]]]
) -> dict[str, str]:  # fmt: skip
    """The modes in which a category was scored by the metrics that have two in this table."""
    return {
        name: f"{mode} mode"
        for name in modes if name in mixed
        for mode, members in modes[name].items() if category in members
    }  # fmt: skip


def _section_rows(
    block: pd.DataFrame, decimals: Mapping[str, int], marks: Mapping[str, str], undefined: int, failed: int
) -> tuple[Row, ...]:
    """The rows of one category: a row per system, a cell per metric in the order of `decimals`."""
    by_cell = {(row.system, row.metric): row for row in _tuples(block)}
    return tuple(
        Row(
            first.system, first.kbps_nominal, first.kbps,
            tuple(
                _cell(by_cell.get((first.system, name)), undefined, failed, decimals[name], marks.get(name, ""))
                for name in decimals
            ),
            marked=bool(getattr(first, "marks", "")),
        )
        for first in _tuples(block.drop_duplicates("system"))
    )  # fmt: skip


def _tuples(frame: pd.DataFrame) -> Iterable[Any]:
    """Rows as named tuples, whose types no checker knows."""
    return frame.itertuples(index=False)


def _cell(row: Any, common_undefined: int, common_failed: int, decimals: int, mark: str) -> Cell:
    if row is None:
        return Cell(math.nan, math.nan, 0, 0, 0, decimals, "")
    half_width = (row.ci95_high - row.ci95_low) / 2
    mark += STAR if is_significant(row) else ""
    if getattr(row, "source", ""):
        return Cell(row.mean, half_width, None if pd.isna(row.n) else int(row.n), 0, 0, decimals, "")
    if row.n == 0:  # a dash alone would hide the number of files
        return Cell(row.mean, half_width, 0, row.undefined, row.failed, decimals, "")
    undefined, failed = row.undefined - common_undefined, row.failed - common_failed
    return Cell(row.mean, half_width, row.n, undefined, failed, decimals, mark)
