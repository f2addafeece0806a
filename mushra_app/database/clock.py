"""The one clock of a study: the database's, since the clocks of several servers differ and must not be compared.

An SQLite database has all its processes on one machine, and takes that machine's clock. Any clock may be set back. No
decision rests on that either: a lease that was given in what is now the future counts as held for at most its own
length (see leases.is_held), and a trial that was stored before it was sent has no duration (timing.py).
"""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

Now = float | ColumnElement[Any]


def now(session: Session) -> float:
    """Seconds since 1970, UTC, by the clock of the database; within a transaction it goes on."""
    present = expression(session)
    return present if isinstance(present, float) else float(session.scalars(select(present)).one())


def expression(session: Session) -> Now:
    """The same as a value for a statement, which saves asking the database first."""
    if session.get_bind().dialect.name != "postgresql":
        return time.time()
    return func.extract("epoch", func.clock_timestamp())
