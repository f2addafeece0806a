"""Means and intervals against worked examples, scipy, and on real files the standard library."""

from __future__ import annotations

import csv
import math
import statistics
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.statistics import summarise

T_0975 = {208: 1.9714347, 285: 1.9683229}  # Student's t for 209 and 286 ratings, from tables


def ratings(scores: dict[str, list[float]], **more: object) -> pd.DataFrame:
    """Make ratings of one item from condition -> scores, each by another listener."""
    rows = [(f"L{index}", "item", name, score) for name, column in scores.items() for index, score in enumerate(column)]
    return pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]).assign(**more)


def test_worked_interval():
    """70, 80, 90: mean 80, s = sqrt((100 + 0 + 100) / 2) = 10, t(0.975, 2) = 4.302653 (tables), so the half width is
    4.302653 * 10 / sqrt(3) = 24.8414. The interval exceeds 100 and is not clipped.
    """
    (row,) = summarise(ratings({"opus@6": [70, 80, 90]})).to_dict("records")
    assert row.pop("ci95_low") == pytest.approx(55.1586, abs=1e-4)
    assert row.pop("ci95_high") == pytest.approx(104.8414, abs=1e-4)
    assert row == {
        "condition": "opus@6", "category": "all", "n": 3, "listeners": 3, "mean": 80, "sd": 10, "median": 80,
        "q1": 75, "q3": 85,
    }  # fmt: skip


@pytest.mark.parametrize("n", [3, 10, 1000])
def test_interval_equals_that_of_scipy(n):
    scores = np.random.default_rng(n).uniform(0, 100, n)
    (row,) = summarise(ratings({"x": list(scores)})).to_dict("records")
    low, high = scipy.stats.t.interval(0.95, n - 1, loc=scores.mean(), scale=scipy.stats.sem(scores))
    assert row["ci95_low"] == pytest.approx(low, rel=1e-12)
    assert row["ci95_high"] == pytest.approx(high, rel=1e-12)
    assert row["median"] == pytest.approx(np.median(scores))


def test_two_ratings_have_no_interval():
    (row,) = summarise(ratings({"x": [20, 80]})).to_dict("records")
    assert (row["mean"], row["n"]) == (50, 2)
    assert np.isnan([row["ci95_low"], row["ci95_high"]]).all()


def test_a_single_rating_has_no_interval():
    (row,) = summarise(ratings({"x": [50]})).to_dict("records")
    assert (row["n"], row["mean"], row["median"]) == (1, 50, 50)
    assert all(math.isnan(row[column]) for column in ("sd", "ci95_low", "ci95_high"))


def test_equal_ratings_have_an_interval_of_width_zero():
    (row,) = summarise(ratings({"reference": [100, 100, 100]})).to_dict("records")
    assert row["ci95_low"] == row["ci95_high"] == row["mean"] == 100


def test_a_listener_with_several_ratings_counts_once():
    frame = pd.DataFrame({"listener": ["a", "a", "b"], "item": ["1", "2", "1"], "condition": "x", "score": [1.0, 2, 6]})
    (row,) = summarise(frame).to_dict("records")
    assert (row["n"], row["listeners"], row["mean"], row["median"]) == (3, 2, 3, 2)


def test_all_categories_come_first_then_each_by_name():
    """Over all: better = (50 + 90 + 70) / 3 = 70, worse = (40 + 30) / 2 = 35.

    Conditions have the order of "all" in every category; a category without ratings of a condition has no row for it.
    """
    frame = pd.concat(
        [
            ratings({"worse": [40], "better": [50]}, category="speech"),
            ratings({"worse": [30], "better": [90]}, category="music"),
            ratings({"better": [70]}, category="noise"),
        ]
    )
    summary = summarise(frame)
    assert list(zip(summary["category"], summary["condition"], summary["mean"], strict=True)) == [
        ("all", "better", 70), ("all", "worse", 35),
        ("music", "better", 90), ("music", "worse", 30),
        ("noise", "better", 70),
        ("speech", "better", 50), ("speech", "worse", 40),
    ]  # fmt: skip


def test_a_category_called_all_does_not_add_rows():
    summary = summarise(ratings({"x": [10, 20]}, category="all"))
    assert summary["category"].tolist() == ["all"]
    assert summary["n"].tolist() == [2]


def test_no_ratings_give_an_empty_table():
    summary = summarise(ratings({"x": [1]}, category="speech").iloc[:0])
    assert summary.empty
    assert "ci95_low" in summary


def test_real_webmushra_file_against_the_standard_library(shared):
    path = shared / "mushra/ambisonics_webmushra/webmushra_results.csv"
    scores = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            scores[row["rating_stimulus"]].append(float(row["rating_score"]))
    assert {len(column) for column in scores.values()} == {286}
    _require_equal(summarise(read_ratings(path).frame), scores, listeners=22)


def test_real_golisten_file_against_the_standard_library(shared):
    path = shared / "mushra/s4_golisten/mushra.csv"
    with path.open(newline="") as file:
        head, *lines = csv.reader(file)
    scores = defaultdict(list)
    for line in lines:
        for name, score in zip(head[6:], line[6:], strict=True):
            scores[name.removesuffix(".wav").split("-", 1)[1]].append(float(score))
    assert {len(column) for column in scores.values()} == {209}
    _require_equal(summarise(read_ratings(path).frame), scores, listeners=19)


def _require_equal(summary: pd.DataFrame, scores: dict[str, list[float]], listeners: int) -> None:
    assert set(summary["condition"]) == set(scores)
    assert summary["mean"].is_monotonic_decreasing
    for row in summary.to_dict("records"):
        column = scores[row["condition"]]
        half_width = T_0975[len(column) - 1] * statistics.stdev(column) / math.sqrt(len(column))
        assert (row["n"], row["listeners"]) == (len(column), listeners)
        assert row["mean"] == pytest.approx(statistics.fmean(column))
        assert row["sd"] == pytest.approx(statistics.stdev(column))
        assert row["median"] == statistics.median(column)
        assert row["ci95_low"] == pytest.approx(statistics.fmean(column) - half_width, abs=1e-5)
        assert row["ci95_high"] == pytest.approx(statistics.fmean(column) + half_width, abs=1e-5)
