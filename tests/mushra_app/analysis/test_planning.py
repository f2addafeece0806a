"""Listeners needed, against tables of power, the power of simulated tests, and published ratings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from statsmodels.stats.power import TTestPower

from earmark.codec.errors import UserError
from earmark.mushra_app.analysis.planning import TYPICAL, Spread, plan, simulate, spread_of
from earmark.mushra_app.cli import study_group


def test_for_these_items_it_is_the_paired_t_test():
    """Standard deviation of a listener's mean over 12 trials: sqrt(8^2 + 12^2 / 12) = 8.718; effect 5 / 8.718."""
    spread = Spread(8, 6, 12)
    effect = 5 / (8**2 + 12**2 / 12) ** 0.5
    expected = np.ceil(TTestPower().solve_power(effect_size=effect, power=0.8, alpha=0.05))
    result = plan(5, 0.8, 12, 12, spread, other_items=False)
    assert result.listeners == pytest.approx(expected, abs=2)
    assert result.power == pytest.approx(0.8, abs=0.04)


def test_items_limit_the_power_for_other_items():
    """With 8 items of spread 7.1, a difference of 5 is at most 5 / (7.1 / sqrt(8)) = 2.0 standard errors."""
    assert plan(5, 0.8, 8, 8, TYPICAL, other_items=True).listeners is None
    enough = plan(5, 0.8, 48, 12, TYPICAL, other_items=True)
    assert enough.listeners is not None
    assert 0.77 < enough.power < 0.9
    these = plan(5, 0.8, 48, 12, TYPICAL, other_items=False)
    assert these.listeners is not None
    assert these.listeners < enough.listeners


def test_without_a_difference_the_power_is_half_the_size():
    """Of tests of equal systems 5 % are significant, half of them in each direction."""
    for others in (False, True):
        assert simulate(0, 20, 12, 12, TYPICAL, 0.05, other_items=others) == pytest.approx(0.025, abs=0.015)


def test_more_pairs_need_more_listeners():
    one, six = (plan(8, 0.8, 12, 12, TYPICAL, other_items=False, pairs=pairs).listeners for pairs in (1, 6))
    assert one is not None
    assert six is not None
    assert six > one


def test_the_spread_of_a_pilot():
    """Sixty listeners and 60 items: the standard deviations come back within a few percent."""
    rng = np.random.default_rng(0)
    gaps = rng.normal(0, 6, (60, 1)) + rng.normal(0, 5, (1, 60)) + rng.normal(0, 10, (60, 60))
    listener, item = (index.ravel() for index in np.indices(gaps.shape))
    frame = pd.concat(
        [pd.DataFrame({"listener": listener, "item": item, "condition": name, "score": score})
         for name, score in (("a", 50 + gaps.ravel()), ("b", 50.0))]
    )  # fmt: skip
    spread = spread_of(frame, ["a", "b"])
    assert spread is not None
    assert (spread.listener, spread.item, spread.error) == pytest.approx((6, 5, 10), rel=0.2)
    assert spread_of(frame, ["a"]) is None


def test_the_command(shared):
    ratings = shared / "mushra/ambisonics_webmushra/webmushra_results.csv"
    arguments = ["plan", "--difference", "15", "--items", "12", "--pilot", str(ratings)]
    result = CliRunner().invoke(study_group, arguments, standalone_mode=False)
    assert result.exception is None, result.exception
    assert "between listeners" in result.output
    assert "other items too" in result.output
    short = CliRunner().invoke(study_group, [*arguments, "--trials", "4", "--minutes", "0.5"], standalone_mode=False)
    (row,) = (line.split() for line in short.output.splitlines() if line.split()[:2] == ["12", "4"])
    listeners, cost = int(row[2]), int(row[6])  # 4 x 0.5 + 3 minutes at 12.00 an hour are 1.00 a listener
    assert listeners == cost
    wrong = CliRunner().invoke(study_group, ["plan", "--difference", "5", "--items", "1"], standalone_mode=False)
    assert isinstance(wrong.exception, UserError)
    assert "must be whole numbers of at least 2" in str(wrong.exception)
