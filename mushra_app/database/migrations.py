"""Older databases become today's, without loss: every row is read, changed as Python and written to new tables.

All of it is one transaction, on SQLite as on PostgreSQL, so that a migration that fails or is killed changes nothing.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Integer, MetaData, func, insert, select, text

from earmark.mushra_app.database.tables import SCHEMA_VERSION, Base

Rows = dict[str, list[dict[str, Any]]]  # table -> rows, column -> value


def _from_1(rows: Rows) -> None:
    """Version 2: listeners have a source, a state and a lease, and a session is a list of steps."""
    trials = defaultdict(list)
    for trial in rows["trial"]:
        trial["purpose"] = "rating"
        trials[trial["listener_id"]].append(trial)
    rows["step"] = []
    for listener in rows["listener"]:
        own = sorted(trials[listener["id"]], key=lambda trial: trial["position"])
        done = [trial["submitted"] for trial in own]
        listener |= {
            "lease_until": listener["seen"] + 3600, "source": "anonymous", "person": None, "visit": None,
            "arrival": "{}", "state": "active" if None in done else "finished", "excluded": "", "excluded_by": "",
            "judged": None,
        }  # fmt: skip
        begun = listener["started"] if any(done) else None
        steps = [("volume", None, begun), *(("trial", trial["id"], trial["submitted"]) for trial in own)]
        for position, (kind, trial_id, when) in enumerate(steps, start=1):
            rows["step"].append({
                "id": len(rows["step"]) + 1, "key": secrets.token_urlsafe(16), "listener_id": listener["id"],
                "position": position, "kind": kind, "settings": "{}", "trial_id": trial_id, "done": when,
                "answer": None,
            })  # fmt: skip


# Version -> what makes its rows those of the next.
CHANGES: Mapping[str, Callable[[Rows], None]] = {"1": _from_1}


def can_migrate(version: str) -> bool:
    """Whether a database of that version can become one of SCHEMA_VERSION."""
    return version in CHANGES


def migrate(connection: Connection, version: str) -> None:
    """Rewrite the database of `version`, within the caller's transaction."""
    old = MetaData()
    old.reflect(connection)
    rows: Rows = {
        table.name: [dict(row._mapping) for row in connection.execute(select(table))] for table in old.sorted_tables
    }
    while version != SCHEMA_VERSION:
        CHANGES[version](rows)
        version = str(int(version) + 1)
    for setting in rows["setting"]:
        if setting["name"] == "schema_version":
            setting["value"] = SCHEMA_VERSION
    old.drop_all(connection)
    Base.metadata.create_all(connection)
    for table in Base.metadata.sorted_tables:
        if rows.get(table.name):
            connection.execute(insert(table), rows[table.name])
    if connection.dialect.name == "postgresql":
        _continue_numbers(connection)


def _continue_numbers(connection: Connection) -> None:
    """PostgreSQL counts ids apart from the rows; go on behind those that were written with their ids."""
    for table in Base.metadata.sorted_tables:
        if "id" in table.columns and isinstance(table.columns["id"].type, Integer):
            highest = connection.scalar(select(func.max(table.columns["id"])))
            if highest is not None:
                sequence = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest)")
                connection.execute(sequence, {"table": table.name, "highest": highest})
