"""Which listeners each rule drops, at and beside its thresholds, and the evidence given."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.screening import RULES, screen
from earmark.mushra_app.ratings.table import Ratings

ROLES = {"ref": "hidden reference", "low": "low anchor", "mid": "mid anchor", "codec": "system"}


def panel(**listeners: dict[str, list[float]]) -> Ratings:
    """Make ratings from listener -> condition -> scores of items 0, 1, 2, ..."""
    rows = [
        (listener, str(item), condition, float(score))
        for listener, scores in listeners.items()
        for condition, column in scores.items()
        for item, score in enumerate(column)
    ]
    frame = pd.DataFrame(rows, columns=["listener", "item", "condition", "score"])
    return Ratings(frame, {name: ROLES[name] for name in frame["condition"].unique()}, "test")


def dropped(ratings: Ratings, rule: str) -> dict[str, str]:
    """Listener -> reason; also checks that exactly the other listeners' ratings are kept."""
    screening = screen(ratings, rule)
    gone = dict(zip(screening.dropped["listener"], screening.dropped["reason"], strict=True))
    kept = ratings.frame[~ratings.frame["listener"].isin(gone)]
    pd.testing.assert_frame_equal(screening.kept, kept)
    return gone


def times(hits: int, of: int, hit: float, other: float) -> list[float]:
    """Make `of` scores: `hit` for the first `hits` of them, `other` for the rest."""
    return [hit] * hits + [other] * (of - hits)


def test_paper_drops_listeners_who_rate_the_hidden_reference_below_90_in_at_least_20_percent_of_cases():
    """2 of 10 is 20 %: dropped. 1 of 10 and 3 of 16 (18.75 %): kept. A score of exactly 90 is not below 90."""
    ratings = panel(
        two={"ref": times(2, 10, 89.9, 95)},
        one={"ref": times(1, 10, 0, 95)},
        three={"ref": times(3, 16, 0, 95)},
        exact={"ref": [90] * 10},
    )
    assert dropped(ratings, "paper") == {"two": "hidden reference below 90 in 2 of 10 ratings (20.0 %)"}


@pytest.mark.parametrize("cases", [5, 10, 15, 20, 25, 35, 45, 55, 70, 95, 110])
def test_the_threshold_of_20_percent_is_exact_for_every_number_of_cases(cases):
    assert "just" in dropped(panel(just={"ref": times(cases // 5, cases, 0, 100)}), "paper")
    assert not dropped(panel(fewer={"ref": times(cases // 5 - 1, cases, 0, 100)}), "paper")


def test_paper_drops_listeners_who_rate_the_low_anchor_above_80_in_more_than_half_of_cases():
    """5 of 10 is 50 %, not more: kept. 6 of 10: dropped. A score of exactly 80 is not above 80."""
    ratings = panel(half={"low": times(5, 10, 80.1, 20)}, more={"low": times(6, 10, 81, 20)}, exact={"low": [80] * 10})
    assert dropped(ratings, "paper") == {"more": "low anchor above 80 in 6 of 10 ratings (60.0 %)"}


def test_bs1534_drops_listeners_who_rate_the_hidden_reference_below_90_for_more_than_15_percent_of_items():
    """3 of 20 is 15 %, not more: kept. 4 of 20 and 2 of 13 (15.4 %): dropped."""
    ratings = panel(
        three={"ref": times(3, 20, 89, 100)}, four={"ref": times(4, 20, 89, 100)}, two={"ref": times(2, 13, 89, 100)}
    )
    assert dropped(ratings, "bs1534") == {
        "four": "hidden reference below 90 in 4 of 20 ratings (20.0 %)",
        "two": "hidden reference below 90 in 2 of 13 ratings (15.4 %)",
    }


def test_bs1534_drops_listeners_who_rate_the_mid_anchor_above_90_for_more_than_15_percent_of_items():
    """3 of 20 is 15 %: kept; 4 of 20: dropped. Exactly 90 is not above. With ten listeners, no item exceeds 25 %."""
    others = {f"other{number}": {"mid": [50] * 20} for number in range(7)}
    ratings = panel(
        three={"mid": times(3, 20, 91, 60)}, four={"mid": [60] * 16 + [91] * 4}, exact={"mid": [90] * 20}, **others
    )
    assert dropped(ratings, "bs1534") == {"four": "mid anchor above 90 in 4 of 20 ratings (20.0 %)"}


def test_bs1534_does_not_count_items_whose_mid_anchor_more_than_a_quarter_rate_above_90():
    """Two of five listeners (40 %) rate item 0 of 8 above 90, so it does not count. One of five (20 %) is no exemption.

    A: items 0 and 1, so 1 of 7 that count, 14.3 %: kept (with item 0 it would be 2 of 8, 25 %: dropped).
    B: items 0, 2 and 3, so 2 of 7, 28.6 %: dropped.
    """
    rated = {"A": {"mid": [95, 95, *[40] * 6]}, "B": {"mid": [95, 40, 95, 95, *[40] * 4]}}
    calm = {name: {"mid": [40] * 8} for name in "CDE"}
    assert dropped(panel(**rated, **calm), "bs1534") == {
        "B": "mid anchor above 90 in 2 of 7 ratings (28.6 %); "
        "items not counted because more than 25 % of the listeners do so: 1"
    }


@pytest.mark.parametrize(("high", "listeners"), [(1, 4), (2, 8), (3, 12)])
def test_exactly_a_quarter_of_the_listeners_is_no_exemption(high, listeners):
    """BS.1534-3, 4.1.2, exempts an item if "more than 25 %" do so: with exactly 25 % those listeners are dropped."""
    names = [f"L{number}" for number in range(listeners)]
    rated = {name: {"mid": [95 if index < high else 40] * 6} for index, name in enumerate(names)}
    assert set(dropped(panel(**rated), "bs1534")) == set(names[:high])


def test_bs1534_drops_nobody_if_everybody_rates_the_mid_anchor_above_90():
    ratings = panel(A={"ref": [100] * 3, "mid": [95] * 3}, B={"ref": [100] * 3, "mid": [95] * 3})
    assert dropped(ratings, "bs1534") == {}


def test_the_reason_names_every_violated_clause():
    (reason,) = dropped(panel(A={"ref": [50] * 4, "low": [90] * 4}), "paper").values()
    assert reason == (
        "hidden reference below 90 in 4 of 4 ratings (100.0 %); low anchor above 80 in 4 of 4 ratings (100.0 %)"
    )


def test_listeners_table_has_evidence_for_everybody():
    screening = screen(panel(A={"ref": [100] * 4, "low": [10] * 4}, B={"codec": [50]}), "paper")
    a, b = screening.listeners.to_dict("records")
    assert a == {
        "listener": "A",
        "kept": True,
        "reason": "",
        "evidence": "hidden reference below 90 in 0 of 4 ratings (0.0 %); "
        "low anchor above 80 in 0 of 4 ratings (0.0 %)",
        "n": 8,
    }
    assert (b["kept"], b["n"]) == (True, 1)
    assert b["evidence"] == "no hidden reference to judge by; no low anchor to judge by"


def test_a_clause_without_a_condition_of_its_role_is_skipped_with_a_note():
    screening = screen(panel(A={"ref": [50] * 4, "codec": [50] * 4}), "paper")
    assert list(screening.dropped["listener"]) == ["A"]  # by the other clause
    assert len(screening.applied) == 1
    assert screening.skipped == (
        "Not applied: dropping listeners who rate the low anchor above 80 in more than 50 % of cases; "
        "no condition is the low anchor.",
    )


def test_no_rule_keeps_everybody():
    screening = screen(panel(A={"ref": [0] * 4}), "none")
    assert screening.listeners["kept"].all()
    assert screening.applied == screening.skipped == ()


def test_everybody_may_be_dropped():
    screening = screen(panel(A={"ref": [0] * 4}, B={"ref": [0] * 4}), "paper")
    assert screening.kept.empty
    assert len(screening.dropped) == 2


def test_unknown_rule():
    with pytest.raises(UserError, match="--screen itu: no such rule; there are paper, bs1534, bs1534-iqr, none"):
        screen(panel(A={"ref": [0]}), "itu")
    assert set(RULES) == {"paper", "bs1534", "bs1534-iqr", "none"}


@pytest.mark.parametrize("rule", ["paper", "bs1534"])
def test_real_file_against_a_count_without_pandas(shared, rule):
    """Each of 22 listeners rated the hidden reference and the low anchor ("Mono") 13 times."""
    path = shared / "mushra/ambisonics_webmushra/webmushra_results.csv"
    reference, anchor = Counter(), Counter()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            listener, score = row["session_uuid"], float(row["rating_score"])
            reference[listener] += row["rating_stimulus"] == "reference" and score < 90
            anchor[listener] += row["rating_stimulus"] == "Mono" and score > 80
    if rule == "paper":
        expected = {name for name in reference if reference[name] / 13 >= 0.2 or anchor[name] / 13 > 0.5}
    else:
        expected = {name for name in reference if reference[name] / 13 > 0.15}
    assert set(dropped(read_ratings(path, low_anchor="Mono"), rule)) == expected
    assert 0 < len(expected) < len(reference) == 22


def test_outliers_lie_more_than_one_and_a_half_interquartile_ranges_outside_the_quartiles():
    """Eight listeners give 40, 42, ..., 54; `near` gives 32 and another listener gives 90 once.

    The ten scores 32, 40, 42, ..., 54, 90 have quartiles 42.5 and 51.5 (linear interpolation), so that scores below 29
    or above 65 are outside: 90 is, 32 is not. `far` is outside in 1 of 4 items, 25 %: dropped; `rare` in 1 of 7: kept.
    """
    calm = {f"L{index}": {"codec": [40 + 2 * index] * 7} for index in range(8)}
    ratings = panel(**calm, near={"codec": [32] * 7}, rare={"codec": [90] + [47] * 6})
    assert dropped(ratings, "bs1534-iqr") == {}
    ratings = panel(**calm, near={"codec": [32] * 7}, far={"codec": [90] + [47] * 3})
    assert dropped(ratings, "bs1534-iqr") == {
        "far": "system outside 1.5 interquartile ranges in 1 of 4 ratings (25.0 %)"
    }


def test_outliers_need_four_listeners():
    ratings = panel(A={"codec": [50] * 5}, B={"codec": [50] * 5}, C={"codec": [0] * 5})
    assert dropped(ratings, "bs1534-iqr") == {}
    assert set(screen(ratings, "bs1534-iqr").listeners["evidence"]) == {"no system to judge by"}


def test_no_rating_is_an_outlier_where_the_interquartile_range_is_zero():
    """Five of six give 50, so both quartiles are 50: without a range, 51 would be an outlier, and F be dropped."""
    calm = {name: {"codec": [50] * 5} for name in "ABCDE"}
    assert dropped(panel(**calm, F={"codec": [51] * 5}), "bs1534-iqr") == {}


def test_outliers_against_numpy_on_the_real_file(shared):
    ratings = read_ratings(shared / "mushra/ambisonics_webmushra/webmushra_results.csv")
    outside, systems = Counter(), ratings.with_role("system")
    for _, cell in systems.groupby(["item", "condition"]):
        low, high = np.quantile(cell["score"], [0.25, 0.75])
        far = (cell["score"] < low - 1.5 * (high - low)) | (cell["score"] > high + 1.5 * (high - low))
        far &= high > low
        outside.update(cell["listener"][far])
    gone = dropped(ratings, "bs1534-iqr")
    for listener, reason in gone.items():
        share = f"system outside 1.5 interquartile ranges in {outside[listener]} of 91 ratings"
        assert (share in reason) == (outside[listener] / 91 > 0.15)
    assert {name for name, count in outside.items() if count / 91 > 0.15} <= set(gone)


def test_no_rule_keeps_a_listener_excluded_by_hand():
    ratings = panel(A={"ref": [100] * 4}, B={"ref": [100] * 4})
    ratings = replace(ratings, excluded={"B": "loudspeakers"})
    for rule in RULES:
        assert dropped(ratings, rule) == {"B": "loudspeakers"}


def test_listeners_excluded_by_hand_do_not_influence_the_others():
    """Two of seven rate the mid anchor above 90, over a quarter, so no item counts. Without B, one of six: A is out."""
    calm = {name: {"mid": [40] * 4} for name in "CDEFG"}
    ratings = panel(A={"mid": [95] * 4}, B={"mid": [95] * 4}, **calm)
    assert dropped(ratings, "bs1534") == {}
    assert set(dropped(replace(ratings, excluded={"B": "loudspeakers"}), "bs1534")) == {"A", "B"}


def test_everybody_may_be_excluded_by_hand():
    ratings = replace(panel(A={"ref": [100], "codec": [50]}), excluded={"A": "loudspeakers"})
    assert all(dropped(ratings, rule) == {"A": "loudspeakers"} for rule in RULES)
