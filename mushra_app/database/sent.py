"""Journal of what was sent to a platform, written before and after each request.

An entry that is begun and not done means that the command ended in between, or that the platform's answer was lost. The
platform may have done what was asked or not; the command that is repeated looks there first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import delete, select, update

from earmark.mushra_app.database import clock
from earmark.mushra_app.database.tables import Sent
from earmark.mushra_app.database.transactions import Database


class Journal:
    """The table `sent` of a study's database. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self, prefix: str) -> dict[str, Sent]:
        """Entries whose keys begin with `prefix`, by key."""
        with self._database.reading() as session:
            found = session.scalars(select(Sent).where(Sent.key.startswith(prefix, autoescape=True)))
            return {entry.key: entry for entry in found}

    def begin(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Record what is about to be sent: details by key. An entry with the same key is replaced."""
        with self._database.writing() as session:
            now = clock.now(session)
            for key, details in entries.items():
                session.merge(Sent(key=key, begun=now, done=None, details=dict(details)))

    def finish(self, keys: Iterable[str]) -> None:
        """Record that the platform has done it."""
        with self._database.writing() as session:
            these = update(Sent).where(Sent.key.in_(list(keys)))
            session.execute(these.values(done=clock.now(session)))

    def withdraw(self, keys: Iterable[str]) -> None:
        """Remove entries of requests that had no effect, which the platform has refused or never received."""
        with self._database.writing() as session:
            session.execute(delete(Sent).where(Sent.key.in_(list(keys)), Sent.done.is_(None)))
