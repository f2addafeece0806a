"""Averages over categories, against calculation by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.statistics.differences import differences
from earmark.eval.statistics.macro import with_macro
from earmark.eval.tables.difference_grids import difference_grid
from earmark.eval.tables.layout import MACRO_MEANING, lay_out
from earmark.eval.tables.renderers import RENDERERS
from earmark.eval.tables.significance import with_significance

SPEECH, MUSIC = [1.0, 2.0, 3.0, 6.0], [10.0, 12.0, 17.0]
INFO = {"speech_categories": ["speech"]}


def scores(metric: str = "si_snr", **values: list[float | None]) -> pd.DataFrame:
    """Scores of one system, by category; None is undefined. Speech at 6 kbps, all else at 12."""
    return pd.DataFrame(
        {
            "file": f"{category}/{index}", "category": category, "system": "a@6", "metric": metric,
            "value": math.nan if value is None else value, "status": "undefined" if value is None else "ok",
            "reason": "", "kbps_nominal": 6.0, "kbps": 6.0 if category == "speech" else 12.0, "encode_seconds": 1.0,
            "decode_seconds": 1.0, "duration": 1.0,
        }
        for category, row in values.items() for index, value in enumerate(row)
    )  # fmt: skip


def test_mean_and_interval_of_two_categories():
    """Means 3 and 13, so 8 (the mean over all seven files is 7.29). Variances 14 / 3 and 13, divided by n 7 / 6 and
    13 / 3, sum 5.5: standard error sqrt(5.5) / 2 = 1.17260. Degrees of freedom 5.5^2 / ((7 / 6)^2 / 3 + (13 / 3)^2 / 2)
    = 30.25 / (0.453704 + 9.388889) = 3.07338, t(0.975, 3.07338) = 3.13956 by scipy.stats.t.ppf: half width 3.68146."""
    from scipy.stats import t

    rows = with_macro(summarise(scores(speech=SPEECH, music=MUSIC))).set_index("category")
    assert list(rows.index) == ["speech", "music", "all", "macro"]
    row = rows.loc["macro"]
    assert (row["mean"], row["n"], row["kbps"]) == (8.0, 7, 9.0)
    assert rows.loc["all", "mean"] == pytest.approx(51 / 7)
    half_width = t.ppf(0.975, 30.25 / (49 / 108 + 169 / 18)) * math.sqrt(5.5) / 2
    assert row["ci95_high"] - row["mean"] == pytest.approx(half_width, rel=1e-9)
    assert row["mean"] - row["ci95_low"] == pytest.approx(half_width, rel=1e-9)
    assert math.isnan(row["encode_rtf"])


def test_equal_categories_have_the_interval_of_welch_s_test():
    """The mean of two means has a quarter of the variance of their difference, so half the interval of Welch's test."""
    from scipy.stats import ttest_ind

    row = with_macro(summarise(scores(speech=SPEECH, music=MUSIC))).set_index("category").loc["macro"]
    welch = ttest_ind(SPEECH, MUSIC, equal_var=False).confidence_interval(0.95)
    assert row["ci95_high"] - row["ci95_low"] == pytest.approx((welch.high - welch.low) / 2, rel=1e-9)


def test_a_category_without_a_score_or_with_few():
    without = with_macro(summarise(scores(speech=SPEECH, music=[None, None]))).set_index("category").loc["macro"]
    assert (without["n"], without["undefined"], math.isnan(without["mean"])) == (0, 2, True)
    few = with_macro(summarise(scores(speech=SPEECH, music=[10, 12]))).set_index("category").loc["macro"]
    assert (few["mean"], few["n"], math.isnan(few["ci95_low"])) == (7.0, 6, True)
    with pytest.raises(UserError, match="--macro averages several categories; there is only speech"):
        with_macro(summarise(scores(speech=SPEECH)))


def test_the_table_shows_it_below_all_files():
    summary = with_macro(summarise(scores(speech=SPEECH, music=MUSIC)))
    layout = lay_out(summary, ["speech"])
    assert [section.category for section in layout.sections] == ["speech", "music", "all", "macro"]
    assert MACRO_MEANING in layout.notes
    assert layout.sections[-1].rows[0].cells[0].score == "8.00 ± 3.68 (7)"
    assert MACRO_MEANING not in lay_out(summarise(scores(speech=SPEECH, music=MUSIC)), ["speech"]).notes
    mixed = with_macro(summarise(scores("visqol", speech=[4.0] * 3, music=[3.0] * 3)))
    assert lay_out(mixed, ["speech"]).sections[-1].rows[0].cells[0].mark == "†"
    assert "macro,visqol" in RENDERERS["csv"](mixed, INFO)
    assert "mixes two scales" in RENDERERS["csv"](mixed, INFO).splitlines()[-1]


def test_a_star_of_the_average_is_that_of_differences():
    first = scores(speech=SPEECH, music=MUSIC)
    both = pd.concat([first, first.assign(system="b@6", value=first["value"] + [1, 1, 1, 2, 4, 5, 6])])
    summary = with_significance(with_macro(summarise(both)), both, "a@6")
    row = summary[(summary["system"] == "b@6") & (summary["category"] == "macro")].iloc[0]
    (pair,) = [one for one in differences(both, "si_snr", "a@6", macro=True) if one.category == "macro"]
    assert (row["difference"], row["p"]) == (pair.mean, pair.p_holm) == ((1.25 + 5) / 2, pair.p)


def test_speech_in_several_categories_is_one_scale():
    """The average over two categories of speech has no scale of its own."""
    first = scores("visqol", speech=[4.0, 3.0, 3.5], **{"more speech": [3.0, 3.5, 4.5]})
    both = pd.concat([first, first.assign(system="b@6", value=first["value"] + 0.1)])
    speech = ["speech", "more speech"]
    pairs = differences(both, "visqol", speech_categories=speech, macro=True)
    assert "macro" in {pair.category for pair in pairs}
    assert not any("two scales" in note for note in difference_grid(pairs, "visqol", speech).notes)
