"""Means, intervals, bit rates and speeds, against hand-worked and published numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from earmark.eval.statistics.aggregate import summarise


def cell(
    file: str, value: float | None, system: str = "opus@6", category: str = "speech", **other: Any
) -> dict[str, Any]:
    """One row of scores.parquet; a value of None is undefined."""
    score = {"value": value, "status": "ok"} if value is not None else {"value": np.nan, "status": "undefined"}
    row = {
        "file": file, "category": category, "system": system, "metric": "visqol", "reason": "",
        "kbps_nominal": 6.0, "kbps": 6.0, "lag": 0, "encode_seconds": 1.0, "decode_seconds": 0.5, "duration": 10.0,
    }  # fmt: skip
    return row | score | other


def summary_of(*cells: dict[str, Any]) -> pd.DataFrame:
    return summarise(pd.DataFrame(cells)).set_index(["system", "category", "metric"])


def test_interval_of_one_two_three():
    """s = 1, t(0.975, 2) = 4.302653, so the half width is 4.302653 / sqrt(3) = 2.484138."""
    row = summary_of(cell("a", 1), cell("b", 2), cell("c", 3)).loc["opus@6", "speech", "visqol"]
    assert row["mean"] == pytest.approx(2)
    assert row["ci95_low"] == pytest.approx(2 - 2.484138, abs=1e-6)
    assert row["ci95_high"] == pytest.approx(2 + 2.484138, abs=1e-6)


def test_interval_published_by_nist():
    """NIST/SEMATECH e-Handbook 1.3.5.2, ZARR13: N 195, mean 9.261460, s 0.02278881; limits 9.258242 and 9.264679."""
    sample = np.random.default_rng(1).normal(size=195)
    sample = 9.261460 + 0.02278881 * (sample - sample.mean()) / sample.std(ddof=1)
    row = summary_of(*(cell(str(index), value) for index, value in enumerate(sample))).loc["opus@6", "speech", "visqol"]
    assert row["n"] == 195
    assert row["ci95_low"] == pytest.approx(9.258242, abs=1e-6)
    assert row["ci95_high"] == pytest.approx(9.264679, abs=1e-6)


def test_undefined_and_failed_cells_are_counted_and_never_enter_a_mean():
    row = summary_of(
        cell("a", 1), cell("b", 3), cell("c", None), cell("d", None), cell("e", 1e9, status="error"),
    ).loc["opus@6", "speech", "visqol"]  # fmt: skip
    assert row["mean"] == 2
    assert list(row[["n", "undefined", "failed"]]) == [2, 2, 1]


def test_one_file_has_a_mean_and_no_interval():
    row = summary_of(cell("a", 4.2)).loc["opus@6", "speech", "visqol"]
    assert row["mean"] == 4.2
    assert np.isnan(row["ci95_low"])
    assert np.isnan(row["ci95_high"])


def test_no_score_at_all_gives_no_mean():
    row = summary_of(cell("a", None)).loc["opus@6", "speech", "visqol"]
    assert (row["n"], row["undefined"]) == (0, 1)
    assert np.isnan(row["mean"])


def test_all_is_over_files_not_over_categories():
    """Three speech files at 1 and one music file at 5: (3 x 1 + 5) / 4 = 2, not (1 + 5) / 2."""
    summary = summary_of(*(cell(file, 1) for file in "abc"), cell("d", 5, category="music"))
    assert summary.loc["opus@6", "all", "visqol"]["mean"] == 2
    assert summary.loc["opus@6", "all", "visqol"]["n"] == 4


def test_real_time_factor_is_total_audio_over_total_time():
    """10 s in 1 s and 30 s in 9 s: 40 / 10 = 4, not the mean of 10 and 3.33."""
    rows = [cell("a", 1, encode_seconds=1.0, duration=10.0), cell("b", 1, encode_seconds=9.0, duration=30.0)]
    row = summary_of(*rows).loc["opus@6", "speech", "visqol"]
    assert row["encode_rtf"] == pytest.approx(4)
    assert row["decode_rtf"] == pytest.approx(40)


def test_a_file_that_failed_counts_neither_its_audio_nor_its_time():
    """10 s in 1 s: the failed file has 30 s of audio that nobody encoded."""
    failed = cell("b", 1, status="error", encode_seconds=np.nan, decode_seconds=np.nan, kbps=np.nan, duration=30.0)
    row = summary_of(cell("a", 1), failed).loc["opus@6", "speech", "visqol"]
    assert row["encode_rtf"] == pytest.approx(10)
    assert row["kbps"] == 6


def test_bit_rate_and_speed_count_a_file_once_however_many_metrics_it_has():
    """Files at 5 and 8 kbps, the first with two metrics: (5 + 8) / 2 = 6.5."""
    summary = summary_of(
        cell("a", 1, kbps=5.0), cell("a", 1, kbps=5.0, metric="pesq"), cell("b", 1, kbps=8.0),
    )  # fmt: skip
    assert summary.loc["opus@6", "speech", "visqol"]["kbps"] == 6.5
    assert summary.loc["opus@6", "speech", "pesq"]["kbps"] == 6.5
    assert summary.loc["opus@6", "speech", "visqol"]["encode_rtf"] == pytest.approx(20 / 2)


def test_a_reference_has_no_bit_rate():
    unrated = cell("a", 4.7, "reference", kbps=np.nan, kbps_nominal=np.nan, encode_seconds=0.0, decode_seconds=0.0)
    row = summary_of(unrated).loc["reference", "speech", "visqol"]
    assert row[["kbps", "kbps_nominal", "encode_rtf", "decode_rtf"]].isna().all()


def test_systems_categories_and_metrics_keep_the_order_of_the_run():
    rows = [
        cell(file, 1, system, category, metric=metric)
        for file, category in (("b", "speech"), ("a", "music"))
        for system in ("opus@12", "opus@6", "mp3@64")
        for metric in ("visqol", "si_snr")
    ]
    summary = summarise(pd.DataFrame(rows))
    assert list(summary["system"].unique()) == ["opus@12", "opus@6", "mp3@64"]
    assert list(summary["category"].unique()) == ["speech", "music", "all"]
    assert list(summary["metric"].unique()) == ["visqol", "si_snr"]
    assert len(summary) == 3 * 3 * 2


def test_the_scores_are_left_as_they_were():
    scores = pd.DataFrame([cell("a", 1), cell("b", None)])
    before = scores.copy()
    summarise(scores)
    pd.testing.assert_frame_equal(scores, before)


def test_the_bit_rate_of_several_files_is_all_bits_over_all_seconds():
    """10 s at 64 kbps and 5 ms at 900 kbps are 640 + 4.5 kbit in 10.005 s: 64.42 kbps, not their mean 482."""
    row = {"category": "a", "system": "mp3@64", "metric": "si_snr", "value": 1.0, "status": "ok", "kbps_nominal": 64.0,
           "encode_seconds": 1.0, "decode_seconds": 1.0}  # fmt: skip
    files = [
        {"file": "long.wav", "kbps": 64.0, "duration": 10.0},
        {"file": "click.wav", "kbps": 900.0, "duration": 0.005},
    ]
    summary = summarise(pd.DataFrame([row | file for file in files]))
    assert summary["kbps"].to_list() == pytest.approx([64.4178] * 2, abs=1e-4)
