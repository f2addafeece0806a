"""Migration of databases of earlier versions: reads every row, changes it in Python and writes it to new tables.

A migration is one transaction, on SQLite as on PostgreSQL, so one that fails or is killed changes nothing. Rows hold
column values as they are stored: JSON is text here.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Integer, MetaData, func, insert, select, text

from earmark.mushra_app.database.labels import listener_label, new_study_id
from earmark.mushra_app.database.persons import person_key
from earmark.mushra_app.database.tables import SCHEMA_VERSION, Base

Rows = dict[str, list[dict[str, Any]]]  # table -> rows; a row maps columns to values


def _from_1(rows: Rows) -> None:
    """Change rows of version 1 to version 2: listeners get a source, a state and a lease, and sessions become steps."""
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


def _from_2(rows: Rows) -> None:
    """Change rows of version 2 to version 3: names that are unique across studies, times of the server, visits hashed.

    A session that ended without a trial was stored as active or finished; it had not begun.
    """
    settings = {setting["name"]: setting["value"] for setting in rows["setting"]}
    study_id = settings.get("study_id", new_study_id())
    last = max((listener["id"] for listener in rows["listener"]), default=0)
    rows["setting"] += [
        {"name": name, "value": value}
        for name, value in (("study_id", study_id), ("last_listener", str(last)))
        if name not in settings
    ]
    trials, stored = defaultdict(list), defaultdict(list)
    for trial in rows["trial"]:
        trial |= {"served": None, "retired": None}
        if trial["purpose"] == "rating":
            trials[trial["listener_id"]].append(trial)
        if trial["submitted"] is not None:
            stored[trial["listener_id"]].append(trial["submitted"])
    for stimulus in rows["stimulus"]:
        stimulus["fetched"] = None
    rows["admitted"] = []
    for listener in rows["listener"]:
        listener |= {
            "label": listener_label(listener["id"], study_id), "address": "", "begun": listener["started"],
            "progress": max([listener["started"], *stored[listener["id"]]]),
        }  # fmt: skip
        if not trials[listener["id"]] and listener["state"] in ("active", "finished"):
            listener["state"] = "not begun"
        if listener["source"] == "personal" and listener["visit"] is not None:
            listener["visit"] = hashlib.sha256(listener["visit"].encode()).hexdigest()
        if listener["person"] is not None:
            person = person_key(settings["secret_key"], listener["source"], listener["person"])
            rows["admitted"].append({"person": person, "time": listener["started"]})


def _from_3(rows: Rows) -> None:
    """Change rows of version 3 to version 4: signs of a script are stored. Indexes are made with the tables.

    Version 3 judged a listener again if something was stored after `judged`; that is None then from now on.
    """
    for listener in rows["listener"]:
        listener["flags"] = None
        if listener["judged"] is not None and listener["judged"] <= max(listener["seen"], listener["progress"]):
            listener["judged"] = None


def _from_4(rows: Rows) -> None:
    """Change rows of version 4 to version 5, which records devices and listening; nothing is known of earlier ones."""
    for listener in rows["listener"]:
        listener["device"] = "{}"
    for trial in rows["trial"]:
        trial["listening"] = None


def _from_5(rows: Rows) -> None:
    """Change rows of version 5 to version 6, which records what was sent to a platform; nothing was before."""
    rows["sent"] = []


# Version -> function that changes its rows to those of the next version.
CHANGES: Mapping[str, Callable[[Rows], None]] = {"1": _from_1, "2": _from_2, "3": _from_3, "4": _from_4, "5": _from_5}


def can_migrate(version: str) -> bool:
    """Whether a database of this version can be migrated to SCHEMA_VERSION."""
    return version in CHANGES


def migrate(connection: Connection, version: str) -> None:
    """Migrate a database from `version` to SCHEMA_VERSION, within the caller's transaction."""
    old = _stored_tables(connection)
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
    for table in _stored_tables(connection).sorted_tables:
        if rows.get(table.name):
            connection.execute(insert(table), rows[table.name])
    if connection.dialect.name == "postgresql":
        _advance_id_sequences(connection)


def _stored_tables(connection: Connection) -> MetaData:
    """The tables as the database describes them, with the column types of SQL and not those of tables.py."""
    tables = MetaData()
    tables.reflect(connection)
    return tables


def _advance_id_sequences(connection: Connection) -> None:
    """Let PostgreSQL's id sequences continue after the ids that were inserted explicitly."""
    for table in Base.metadata.sorted_tables:
        if "id" in table.columns and isinstance(table.columns["id"].type, Integer):
            highest = connection.scalar(select(func.max(table.columns["id"])))
            if highest is not None:
                sequence = text("SELECT setval(pg_get_serial_sequence(:table, 'id'), :highest)")
                connection.execute(sequence, {"table": table.name, "highest": highest})
