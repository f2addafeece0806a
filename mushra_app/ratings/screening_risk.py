"""Risk of screening: how easily a rule drops listeners who did nothing wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from earmark.codec.text import counted
from earmark.mushra_app.ratings.screening import RULES, Clause, Screening, bs1534_outliers, outside_quartiles
from earmark.mushra_app.ratings.table import Ratings

SLIP = 0.03  # share of trials in which a listener who does the task is assumed to click a wrong slider
OUTLIERS = RULES["bs1534-iqr"].clauses[-1]


def warnings(ratings: Ratings, screening: Screening) -> tuple[str, ...]:
    """Sentences on listeners whom a single slip drops.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
    """
    return tuple(filter(None, (_slips(ratings, clause) for clause in screening.applied)))


def outliers_by_chance(ratings: Ratings, screening: Screening) -> str:
    """A sentence on how many listeners the rule on outliers drops, and would drop by chance; "" if it is not applied.

    Args:
        ratings: ratings of all listeners.
        screening: result of screening them.
    """
    systems = ratings.with_role("system")
    if OUTLIERS not in screening.applied or systems.empty:
        return ""
    dropped = int(bs1534_outliers(systems)["violated"].sum())
    return (
        f"The rule on outliers drops {counted(dropped, 'listener')}; if outliers fell on listeners at random, it "
        f"would drop {expected_by_chance(systems):.1f}."
    )


def trials_to_survive_a_slip(clause: Clause) -> int:
    """Least number of ratings of which a single one may be a hit without dropping the listener."""
    return next(n for n in range(1, 101) if not clause.too_many(1, n))


def expected_by_chance(systems: pd.DataFrame) -> float:
    """Number of listeners whom the outlier criterion would drop if outliers fell on listeners at random.

    In each item and condition every listener gets the same probability, the share of its ratings that are outliers. A
    listener's number of outliers then has a Poisson binomial distribution.

    Args:
        systems: ratings of the systems: listener, item, condition, score.
    """
    outside = outside_quartiles(systems)
    rows = systems.loc[outside.index]
    share = outside.groupby([rows["item"], rows["condition"]]).transform("mean")
    expected = 0.0
    for _, shares in share.groupby(rows["listener"]):
        n = len(shares)
        too_many = np.array([bool(OUTLIERS.too_many(hits, n)) for hits in range(n + 1)])
        expected += float(_poisson_binomial(shares.to_numpy(float))[too_many].sum())
    return expected


def _poisson_binomial(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each number of successes, 0 to n, in independent trials with these probabilities."""
    distribution = np.ones(1)
    for probability in probabilities:
        distribution = np.convolve(distribution, [1 - probability, probability])
    return distribution


def _slips(ratings: Ratings, clause: Clause) -> str:
    """A warning if some listeners rated so few trials that one slip drops them; otherwise ""."""
    if clause == OUTLIERS:
        return ""
    trials = ratings.with_role(clause.role).groupby("listener").size()
    enough = trials_to_survive_a_slip(clause)
    few = trials[trials < enough]
    if few.empty or enough == 2:  # a single trial: nobody expects to be judged by it
        return ""
    most = int(few.max())
    risk = 1 - (1 - SLIP) ** most
    return (
        f"{len(few)} of {counted(len(trials), 'listener')} rated the {clause.role} in at most "
        f"{counted(most, 'trial')}, where one slip drops a listener: with slips in {100 * SLIP:.0f} % "
        f"of trials, {100 * risk:.0f} % of honest listeners are dropped. Give every listener {enough} trials or more."
    )
