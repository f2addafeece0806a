"""Ratings that one of our own studies collected, as the report reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.database import store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report.page import measured_rates
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.study import study
from earmark.mushra_app.web.downloads import as_csv


def test_ratings_of_a_study(study_folder):
    test = study.load(study_folder)
    with pytest.raises(UserError, match="nobody has taken"):
        study_ratings(study_folder)
    database = store.open_store(test, study_folder)
    with pytest.raises(UserError, match="no listener has finished a trial"):
        study_ratings(study_folder)
    listener = database.enrol("key")
    trial = listener.trials[0]
    answers = {stimulus.token: Answer(10 * place) for place, stimulus in enumerate(trial.conditions)}
    database.submit("key", trial.key, answers, seconds=30)
    ratings = study_ratings(study_folder)
    assert ratings.roles == {condition.name: condition.role for condition in test.conditions}
    assert dict(zip(ratings.frame["condition"], ratings.frame["score"], strict=True)) == {
        stimulus.condition: 10.0 * place for place, stimulus in enumerate(trial.conditions)
    }
    assert set(ratings.frame["item"]) == {trial.item}
    assert ratings.source == test.name


def test_listeners_excluded_by_hand_stay_out_of_the_report(study_folder, tmp_path):
    """Both in the study and in its export. A listener excluded by screening while the study ran is screened again."""
    test = study.load(study_folder)
    database = store.open_store(test, study_folder, rule="paper")
    for key in ("by hand", "by rule"):
        trial = database.enrol(key).trials[0]
        database.submit(key, trial.key, {stimulus.token: Answer(50) for stimulus in trial.conditions}, seconds=30)
        database.leave(key)
    database.exclude(1, "=loudspeakers")
    exported = database.ratings()
    first, second = sorted(exported["listener"].unique())
    assert set(exported["excluded_by"]) == {"experimenter", "screening"}
    (tmp_path / "ratings.csv").write_bytes(as_csv(exported))
    assert study_ratings(study_folder).excluded == {first: "=loudspeakers"}
    assert read_ratings(tmp_path / "ratings.csv").excluded == {first: "'=loudspeakers"}
    without = exported.drop(columns="excluded_by")
    (tmp_path / "ratings.csv").write_bytes(as_csv(without))
    assert set(read_ratings(tmp_path / "ratings.csv").excluded) == {first, second}


def test_headings_have_the_measured_bit_rate():
    """Stereo through a mono codec takes twice the rate in its name; with a language model, the coded rate counts."""
    rates = pd.DataFrame(
        [["mimi@1.1", "all", 2.2, np.nan], ["x@3:lm", "all", np.nan, 2.5], ["reference", "all", np.nan, np.nan]],
        columns=["condition", "category", "kbps", "coded_kbps"],
    )
    roles = {"reference": "hidden reference", "mimi@1.1": "system", "x@3:lm": "system", "other": "system"}
    ratings = Ratings(pd.DataFrame(), roles, "study", rates=rates)
    assert measured_rates(ratings) == {"mimi@1.1": "2.20 kbps", "x@3:lm": "2.50 kbps"}
    assert measured_rates(replace(ratings, rates=None)) == {}
