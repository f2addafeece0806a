"""Cost of a study, to the cent."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.building.estimate import estimate
from earmark.mushra_app.building.preflight import session
from earmark.mushra_app.crowd_money_cli import _offer
from earmark.mushra_app.study.cost import cost, reward
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study


def test_cost_by_hand():
    """200 items x 10 ratings / 12 per session = 166.7; with one in ten dropped 185.2: 186 sessions of 20 min = 62 h.

    A third of 12.00 an hour is 4.00 a session: 744.00, and a third of that as fee 248.00.
    """
    result = cost(200, 10, 12, 20, 12.0, fee=Fraction(1, 3), dropped=Fraction(1, 10))
    assert (result.sessions, result.hours, result.reward, result.pay) == (186, pytest.approx(62), 400, 744_00)
    assert (result.fee, result.total) == (248_00, 992_00)


@pytest.mark.parametrize(
    ("minutes", "hourly", "cents"),
    [
        (3, 12.0, 60), (7, 12.0, 140), (13, 12.0, 260), (14, 12.0, 280), (20, 12.0, 400),  # 20 cents a minute
        (3, 9.6, 48), (25, 9.6, 400), (9, 8.4, 126), (21, 7.2, 252),  # 16, 14 and 12 cents a minute
        (1, 10.0, 17), (1, 0.01, 1), (20, 0.0, 0),  # 16.7 and 0.017 cents are rounded up
    ],
)  # fmt: skip
def test_the_pay_of_a_session_is_exact_and_rounded_up_to_a_cent(minutes, hourly, cents):
    assert reward(minutes, hourly) == cents


def test_every_whole_price_per_minute_is_paid_exactly():
    """At 60 c cents an hour, m minutes are worth m x c cents, no cent more."""
    assert all(reward(m, 60 * c / 100) == m * c for m in range(1, 61) for c in range(1, 60))


def test_the_number_of_sessions_is_exact():
    """n sessions that count are 0.7 of n / 0.7 paid ones: 21 of 30, 42 of 60."""
    for counting, paid in ((7, 10), (21, 30), (42, 60), (63, 90), (84, 120)):
        assert cost(counting, 1, 1, 1, 6.0, fee=Fraction(0), dropped=Fraction(3, 10)).sessions == paid


def test_all_sessions_cannot_be_dropped():
    with pytest.raises(UserError, match="below 1"):
        cost(1, 1, 1, 1, 10.0, fee=Fraction(0), dropped=Fraction(1))


def test_build_check_and_publish_tell_the_same_length_and_pay():
    """Two signals of 4 s, heard twice, are 16 s; 2 trials take 32 s, rounded up with 3 minutes for the other pages 4.

    9 items x 2 ratings / 2 per session / 0.9 = 10 sessions: 40 minutes. 4 minutes at 12.00 are 0.80; 10 cost 8.00, with
    a third 10.67.
    """
    stimulus = Stimulus("x.wav", 0.0, -23.0)
    items = tuple(Item(f"i{number}", "music", "x.wav", 0.0, 4.0, {"c": stimulus}) for number in range(9))
    study = Study("test", 48_000, 2, 2, (Condition("c", "system"),), items, {})
    assert estimate(study, 12.0) == (
        "10 sessions of about 4 minutes, 0.7 hours, if screening drops 10 %; at 12.00 per hour 8.00, with the fee of "
        "Prolific 10.67"
    )
    assert session(study, {}).evidence == "about 4 minutes for 2 trials"
    store = SimpleNamespace(study=study, crowd=Crowd(hourly=12.0))
    defaults = dict.fromkeys(("minutes", "reward", "title", "description")) | {"days": 7}
    offer = _offer(store, 10, "", defaults)
    assert (offer.minutes, offer.reward) == (4, 80)
    assert "About 4 minutes;" in offer.description
