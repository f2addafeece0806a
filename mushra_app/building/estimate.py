"""Estimate of a study before it opens: sessions, hours and cost."""

from __future__ import annotations

from earmark.codec.text import counted
from earmark.mushra_app.study.crowd import DROPPED_SHARE, FEES, cost
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.study import Study


def estimate(study: Study, hourly: float) -> str:
    """A line on the sessions, hours and cost of a study whose listeners come from a platform.

    Args:
        hourly: pay per hour, in any currency.
    """
    minutes = max(1, round(session_minutes(study)))
    (platform, fee), *_ = FEES.items()
    costs = cost(len(study.items), study.annotations, study.trials_per_listener, minutes, hourly, fee=fee,
                 dropped=DROPPED_SHARE)  # fmt: skip
    return (
        f"{counted(costs.sessions, 'session')} of about {counted(minutes, 'minute')}, {costs.hours:.1f} hours, if "
        f"screening drops {100 * DROPPED_SHARE:.0f} %; at {hourly:.2f} per hour {costs.pay:.2f}, with the fee of "
        f"{platform} {costs.total:.2f}"
    )
