"""The one clock of a study: the database's, since the clocks of several servers differ and must not be compared.

An SQLite database has all its processes on one machine, and takes that machine's clock. Any clock may be set back. No
decision rests on that either: a lease that was given in what is now the future counts as held for at most its own
length (see leases.is_held), and a trial that was stored before it was sent has no duration (timing.py).
"""

from __future__ import annotations

import time

from sqlalchemy import func, select
from sqlalchemy.orm import Session


def now(session: Session) -> float:
    """Seconds since 1970, UTC, by the clock of the database; within a transaction it goes on."""
    if session.get_bind().dialect.name != "postgresql":
        return time.time()
    return float(session.scalars(select(func.extract("epoch", func.clock_timestamp()))).one())
