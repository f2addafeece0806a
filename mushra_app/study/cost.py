"""Cost of a study on a crowd platform. Amounts are integers of the currency's minor unit (cents, pence)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from earmark.codec.errors import UserError

DROPPED_SHARE = Fraction(1, 10)  # of the sessions; a usual share of listeners whom screening drops
# Shares of the pay, as the platforms published them in 2025. The admin page asks to check them there.
FEES = {
    "Prolific": Fraction(1, 3),
    "Mechanical Turk, HITs of up to 9 assignments": Fraction(1, 5),
    "Mechanical Turk, larger HITs": Fraction(2, 5),
}


@dataclass(frozen=True)
class Cost:
    """Cost of a study.

    Args:
        sessions: number of paid sessions.
        hours: of all sessions.
        reward: for one session, in the minor unit, as pay and fee are.
        pay: for all sessions.
        fee: of the platform, rounded to a cent.
    """

    sessions: int
    hours: float
    reward: int
    pay: int
    fee: int

    @property
    def total(self) -> int:
        return self.pay + self.fee


def reward(minutes: int, hourly: float) -> int:
    """Pay for a session in the minor unit, rounded up.

    Args:
        hourly: pay per hour, with at most two decimals.
    """
    return -(-round(100 * hourly) * minutes // 60)


def cost(
    items: int, annotations: int, trials: int, minutes: int, hourly: float, *, fee: Fraction,
    dropped: Fraction = Fraction(0),
) -> Cost:  # fmt: skip
    """Cost of `items` x `annotations` ratings, with `trials` of them in each session of `minutes`.

    Args:
        hourly: pay per hour.
        fee: of the platform, as a share of the pay.
        dropped: share of the sessions that are paid but do not count.

    Raises:
        UserError: if `dropped` is negative, or 1 or more.
    """
    if not 0 <= dropped < 1:
        raise UserError("the share of sessions that do not count must be at least 0 and below 1")
    sessions = math.ceil(Fraction(items * annotations, trials) / (1 - dropped))
    each = reward(minutes, hourly)
    pay = sessions * each
    return Cost(sessions, sessions * minutes / 60, each, pay, math.floor(pay * fee + Fraction(1, 2)))
