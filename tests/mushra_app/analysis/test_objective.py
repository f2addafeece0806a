"""Metrics against ratings, for a study built from a run: each function by hand, and in a whole report."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from earmark.mushra_app.analysis.objective import correlate, few_conditions, metric_scores, pairs
from earmark.mushra_app.database import store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.report.writing import write_report
from earmark.mushra_app.study import study


def write_run(folder: Path, test: study.Study, values: dict[str, float]) -> None:
    """Write RUN/scores.parquet with a metric for every condition and recording, and one undefined score."""
    rows = [
        {"file": item.file, "system": name, "metric": "visqol", "value": value + 0.01 * number, "status": "ok"}
        for number, item in enumerate(test.items)
        for name, value in values.items()
    ]
    rows.append(
        {"file": test.items[0].file, "system": "opus@6", "metric": "pesq", "value": np.nan, "status": "undefined"}
    )
    folder.mkdir()
    others = {"category": "speech", "kbps_nominal": np.nan, "kbps": np.nan, "coded_seconds": 1.0, "encode_seconds": 1.0,
              "decode_seconds": 1.0, "duration": 1.0}  # fmt: skip
    pd.DataFrame(rows).assign(**others).to_parquet(folder / "scores.parquet")


@pytest.fixture
def rated(study_folder: Path) -> Path:
    """The study of conftest, as if built from STUDY/../RUN; three listeners rate 20 times the metric."""
    test = replace(study.load(study_folder), provenance={"run": "somewhere/RUN"})
    study.save(test, study_folder)
    values = {"hidden-original": 5.0, "anchor@3.5k": 1.5, "opus@6": 3.0, "mp3@64": 4.5}
    write_run(study_folder.parent / "RUN", test, values)
    database = store.open_store(test, study_folder)
    for key in "abc":
        for trial in database.enrol(key).trials:
            answers = {one.token: Answer(round(20 * values[one.condition])) for one in trial.conditions}
            database.submit(key, trial.key, answers, seconds=60)
    return study_folder


def test_items_get_the_scores_of_their_recordings(rated):
    """The run lies beside the study; scores of the hidden reference and undefined scores are dropped."""
    test = study.load(rated)
    metrics, note = metric_scores(test, rated)
    assert "run RUN" in note
    assert set(metrics["condition"]) == {"anchor@3.5k", "opus@6", "mp3@64"}
    assert set(metrics["metric"]) == {"visqol"}
    assert len(metrics) == 3 * len(test.items)


def test_a_missing_run_is_noted(rated):
    (rated.parent / "RUN/scores.parquet").unlink()
    (rated.parent / "RUN").rmdir()
    ratings = study_ratings(rated)
    assert ratings.metrics is None
    assert any("somewhere/RUN) is missing" in note for note in ratings.notes)


def test_a_study_without_a_run_has_no_metrics(study_folder):
    assert metric_scores(replace(study.load(study_folder), provenance={}), study_folder) == (None, "")


def test_report_of_a_study_built_from_a_run(rated, tmp_path):
    """Every rating is 20 times the metric, except that the items' metrics differ by 0.01: r is 1 to three digits."""
    report = write_report(study_ratings(rated), "none", tmp_path / "report")
    with (tmp_path / "report/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["metric"], row["category"], row["over"]) for row in rows} == {
        ("visqol", category, over) for category in ("all", "musical", "speechlike") for over in ("conditions", "items")
    }
    assert all(float(row["pearson"]) == pytest.approx(1, abs=1e-3) for row in rows)
    assert all(float(row["spearman"]) > 0.9 for row in rows)
    page = report.page.read_text()
    assert "Do the metrics agree with the listeners?" in page
    assert page.count("<svg") == 3
    assert {path.name for path in (tmp_path / "report").glob("metrics.*")} == {
        "metrics.csv", "metrics.svg", "metrics.pdf", "metrics.png"
    }  # fmt: skip


def test_correlations_equal_those_of_scipy():
    rng = np.random.default_rng(0)
    joined = pd.DataFrame(
        {
            "metric": "m", "category": ["a", "b"] * 20, "item": np.repeat([f"i{n}" for n in range(8)], 5),
            "condition": [f"c{n}" for n in range(5)] * 8, "score": rng.uniform(0, 100, 40),
            "value": rng.normal(size=40),
        }
    )  # fmt: skip
    rows = {(row["category"], row["over"]): row for row in correlate(joined).to_dict("records")}
    items = rows["all", "items"]
    expected = scipy.stats.pearsonr(joined["value"], joined["score"])
    assert (items["n"], items["pearson"]) == (40, pytest.approx(expected.statistic))
    assert items["pearson95_low"] < items["pearson"] < items["pearson95_high"]
    assert items["conditions"] == 5
    assert items["spearman"] == pytest.approx(scipy.stats.spearmanr(joined["value"], joined["score"]).statistic)
    means = joined.groupby("condition")[["score", "value"]].mean()
    assert rows["all", "conditions"]["n"] == 5
    assert rows["all", "conditions"]["pearson"] == pytest.approx(np.corrcoef(means["score"], means["value"])[0, 1])
    assert rows["a", "items"]["n"] == 20


def test_three_points_have_no_interval_and_a_constant_no_correlation():
    joined = pd.DataFrame({"metric": "m", "category": "all", "item": "i", "condition": list("abc"),
                           "score": [1.0, 2, 4], "value": [1.0, 2, 3]})  # fmt: skip
    (row, _) = correlate(joined).to_dict("records")
    assert row["pearson"] == pytest.approx(np.corrcoef([1, 2, 4], [1, 2, 3])[0, 1])
    assert np.isnan(row["pearson95_low"])
    assert correlate(joined.assign(value=7.0))["pearson"].isna().all()
    assert correlate(joined.iloc[:2]).empty


def test_fewer_than_ten_conditions_are_said_to_say_little():
    table = pd.DataFrame({"conditions": [5, 5]})
    assert few_conditions(table).startswith("The correlations are over 5 conditions.")
    assert few_conditions(pd.DataFrame({"conditions": [10]})) == ""


def test_pairs_are_means_over_listeners():
    frame = pd.DataFrame(
        {"listener": ["a", "b", "a"], "item": ["1", "1", "2"], "condition": "x", "score": [10.0, 30, 7]}
    )
    metrics = pd.DataFrame({"item": ["1", "3"], "condition": "x", "metric": "m", "value": [0.5, 0.6]})
    (row,) = pairs(frame, metrics).to_dict("records")
    assert (row["item"], row["score"], row["value"], row["category"]) == ("1", 20, 0.5, "all")
