"""Estimate of a study before it opens: sessions, hours and cost."""

from __future__ import annotations

from earmark.codec.text import counted
from earmark.mushra_app.platforms.money import decimal
from earmark.mushra_app.study.cost import DROPPED_SHARE, FEES, cost
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.study import Study


def estimate(study: Study, hourly: float) -> str:
    """A line on the sessions, hours and cost of a study whose listeners come from a platform.

    Args:
        hourly: pay per hour, in any currency.
    """
    minutes = session_minutes(study)
    (platform, fee), *_ = FEES.items()
    costs = cost(len(study.items), study.annotations, study.trials_per_listener, minutes, hourly, fee=fee,
                 dropped=DROPPED_SHARE)  # fmt: skip
    return (
        f"{counted(costs.sessions, 'session')} of about {counted(minutes, 'minute')}, {costs.hours:.1f} hours, if "
        f"screening drops {round(100 * DROPPED_SHARE)} %; at {hourly:.2f} per hour {decimal(costs.pay)}, with the fee "
        f"of {platform} {decimal(costs.total)}"
    )
