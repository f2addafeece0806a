"""How easily a rule drops honest listeners, against hand calculation and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from earmark.mushra_app.ratings.screening import RULES, bs1534_outliers, screen
from earmark.mushra_app.ratings.screening_risk import (
    expected_by_chance,
    outliers_by_chance,
    trials_to_survive_a_slip,
    warnings,
)
from earmark.mushra_app.ratings.table import Ratings

ROLES = {"ref": "hidden reference", "codec": "system"}


def ratings_of(trials: int) -> Ratings:
    rows = [(f"L{one}", f"i{item}", name, score) for one in range(8) for item in range(trials)
            for name, score in (("ref", 100.0), ("codec", 50.0 + one))]  # fmt: skip
    return Ratings(pd.DataFrame(rows, columns=["listener", "item", "condition", "score"]), ROLES, "test")


def test_the_number_of_trials_that_survives_a_slip():
    """1 of 5 is 20 %: dropped; 1 of 6 is 16.7 %: dropped by "more than 15 %", kept by "at least 20 %"; 1 of 7: kept."""
    assert trials_to_survive_a_slip(RULES["paper"].clauses[0]) == 6
    assert trials_to_survive_a_slip(RULES["bs1534"].clauses[0]) == 7


def test_five_items_drop_14_percent_of_honest_listeners():
    """With slips in 3 % of trials, 1 - 0.97^5 = 14.1 % of listeners slip at least once in five."""
    ratings = ratings_of(5)
    (warning,) = warnings(ratings, screen(ratings, "bs1534"))
    assert warning == (
        "8 of 8 listeners rated the hidden reference in at most 5 trials, where one slip drops a listener: with slips "
        "in 3 % of trials, 14 % of honest listeners are dropped. Give every listener 7 trials or more."
    )
    assert warnings(ratings_of(7), screen(ratings_of(7), "bs1534")) == ()
    assert warnings(ratings, screen(ratings, "none")) == ()


def test_outliers_by_chance_by_hand():
    """Four items, each with one outlier among ten listeners: p = 0.1 in each of a listener's four ratings.

    One outlier of four, 25 %, drops a listener: 10 (1 - 0.9^4) = 3.439 listeners. In the data they fell on one.
    """
    rows = [
        (f"L{one}", f"i{item}", "codec", 100.0 if one == 0 else 40.0 + one) for one in range(10) for item in range(4)
    ]
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])
    assert bs1534_outliers(frame)["violated"].sum() == 1
    assert expected_by_chance(frame) == pytest.approx(3.439)
    ratings = Ratings(frame, {"codec": "system"}, "test")
    screening = screen(ratings, "bs1534-iqr")
    assert outliers_by_chance(ratings, screening) == (
        "The rule on outliers drops 1 listener; if outliers fell on listeners at random, it would drop 3.4."
    )
    assert warnings(ratings, screening) == ()
    assert outliers_by_chance(ratings, screen(ratings, "bs1534")) == ""


def test_outliers_by_chance_against_independent_ratings():
    """Of 2,000 listeners with independent ratings, the criterion drops about as many as it says chance would."""
    listener, item = (index.ravel() for index in np.indices((2000, 6)))
    scores = np.random.default_rng(5).normal(50, 10, listener.size)
    frame = pd.DataFrame({"listener": listener, "item": item, "condition": "codec", "score": scores})
    dropped = bs1534_outliers(frame)["violated"].sum()
    assert expected_by_chance(frame) == pytest.approx(dropped, rel=0.2)
    assert dropped > 50
