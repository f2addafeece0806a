"""The matrix of differences between many systems, and a page that holds many systems and metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from earmark.eval.report import plots
from earmark.eval.report.matrix import MatrixCell, matrices
from earmark.eval.report.page import write_report
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.differences import differences
from earmark.eval.statistics.scales import bounds

METRICS = (
    "pesq", "visqol", "si_snr", "stoi", "estoi", "mel_distance", "stft_distance", "loudness_difference", "si_sdr",
)  # fmt: skip


def scores(systems: int, metrics: Sequence[str] = ("pesq",), files: int = 3) -> pd.DataFrame:
    """Rows of a run: system s<k>@<k> scores k (0.1 + number / 1000) on file <number>."""
    return pd.DataFrame(
        {
            "file": f"speech/{number}.wav", "category": "speech", "system": f"s{index}@{index}", "metric": metric,
            "value": index * (0.1 + number / 1000), "status": "ok", "reason": "", "kbps_nominal": float(index),
            "kbps": float(index), "lag": 0, "encode_seconds": 0.1, "decode_seconds": 0.1, "duration": 1.0,
        }
        for metric in metrics
        for index in range(1, systems + 1)
        for number in range(files)
    )  # fmt: skip


def test_the_best_system_comes_first_and_a_cell_is_row_minus_column():
    (matrix,) = matrices(differences(scores(7), "pesq"))
    assert matrix.systems == tuple(f"s{index}@{index}" for index in range(7, 0, -1))
    gaps = [f"{gap * 0.101:.3f}" for gap in range(1, 7)]  # the mean of 0.1, 0.101 and 0.102 is 0.101
    assert [cell.text for cell in matrix.rows[0]] == ["", *(f"+{gap}" for gap in gaps)]
    assert [row[0].text for row in matrix.rows] == ["", *(f"−{gap}" for gap in gaps)]
    assert matrix.rows[0][1].detail.startswith("s7@7 − s6@6: ")
    assert "n = 3, wins 100 %, p" in matrix.rows[0][1].detail
    assert "n = 3, wins 0 %, p" in matrix.rows[1][0].detail


def test_where_less_is_better_the_lowest_comes_first():
    (matrix,) = matrices(differences(scores(7, ["mel_distance"]), "mel_distance"))
    assert matrix.systems[0] == "s1@1"
    assert matrix.rows[0][1].text == "−0.101"


def test_significant_differences_are_coloured():
    """With 12 files the gaps are many standard errors; a single file has no test."""
    (matrix,) = matrices(differences(scores(7, files=12), "pesq"))
    assert matrix.rows[0][0] == MatrixCell("", "", "")
    assert {cell.tone for cell in matrix.rows[0][1:]} == {"better"}
    assert {row[0].tone for row in matrix.rows[1:]} == {"worse"}
    (few,) = matrices(differences(scores(7, files=1), "pesq"))
    assert {cell.tone for row in few.rows for cell in row} == {""}


def test_few_systems_are_listed_with_intervals():
    assert matrices(differences(scores(6), "pesq")) == []


@pytest.mark.parametrize(
    ("metric", "ends"),
    [
        ("stoi", (0, 1)), ("estoi", (-1, 1)), ("pesq", (1.04, 4.64)), ("visqol", (1, 5)),
        ("stft_distance", (0, math.inf)), ("si_snr", (-math.inf, math.inf)), ("not_installed", (-math.inf, math.inf)),
    ],
)  # fmt: skip
def test_bounds_of_metrics(metric: str, ends: tuple[float, float]):
    assert bounds(metric) == ends


@pytest.mark.parametrize(("metric", "values"), [("stoi", (0.90, 0.95, 1.0)), ("mel_distance", (0.0, 4.0, 9.0))])
def test_axes_end_where_the_metric_does(metric: str, values: tuple[float, ...]):
    """A margin of 2 % holds the marker of a perfect score; intervals beyond the bound do not stretch the axis."""
    rows = scores(3, [metric])
    rows["value"] = rows["system"].str[1].astype(int).map(dict(enumerate(values, 1)))
    summary = summarise(rows)
    summary["ci95_low"], summary["ci95_high"] = summary["mean"] - 2, summary["mean"] + 2
    shared = plots.limits(summary, metric)
    assert shared is not None
    margin = 0.03 * (shared.score[1] - shared.score[0])
    low, high = bounds(metric)
    assert shared.score[0] >= low - margin
    assert shared.score[1] <= high + margin
    assert shared.score[0] < min(values)
    assert shared.score[1] > max(values)


def test_means_of_two_files_have_no_interval_in_plots_either():
    """Their t is 12.7; tables print a dash."""
    wild = scores(3, files=2)
    wild["value"] += (wild["file"] == "speech/0.wav") * 3.0
    shared = plots.limits(summarise(wild), "pesq")
    assert shared is not None
    means = summarise(wild)["mean"]
    assert shared.score[1] - shared.score[0] < 1.5 * (means.max() - means.min())


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A report of 10 systems and 9 metrics."""
    recordings = [
        {
            "file": f"speech/{number}.wav", "category": "speech", "sha256": "ab" * 32, "error": None, "seconds": 1.0,
            "sample_rate": 16000, "channels": 1,
        }
        for number in range(3)
    ]  # fmt: skip
    info: dict[str, Any] = {
        "earmark": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "command": "earmark compare", "versions": {},
        "metrics": list(METRICS), "speech_categories": ["speech"],
        "systems": [f"s{index}@{index}" for index in range(1, 11)],
        "sample_rate": None, "mono": False, "notes": [], "recordings": recordings,
    }  # fmt: skip
    return write_report(tmp_path, scores(10, METRICS), info)


@pytest.mark.browser
def test_every_column_can_be_reached_on_wide_and_narrow_screens(browser, crowded: Path):
    """The bar that moves a table sideways is on the screen with the table's heading, and reaches the last column."""
    browser.get(crowded.as_uri())
    for width, height in ((1400, 1000), (400, 800)):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        for table in ("table.scores", "table.matrix"):
            seen = browser.execute_script(
                """
                const table = document.querySelector(arguments[0]);
                const frame = table.closest(".scroll");
                frame.scrollIntoView();
                frame.scrollLeft = frame.scrollWidth;
                frame.scrollTop = frame.scrollHeight;
                const heading = [...table.tHead.rows[0].cells].at(-1).getBoundingClientRect();
                const outer = frame.getBoundingClientRect();
                return [
                  outer.bottom <= innerHeight,
                  outer.left <= heading.left && heading.right <= outer.right + 1,
                  outer.top <= heading.top + 1,
                ];
                """,
                table,
            )  # fmt: skip
            assert seen == [True] * 3, (width, table)
