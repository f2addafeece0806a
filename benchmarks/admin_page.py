"""Cost of the admin page of a study with a crowd: honest sessions beside abandoned and scripted ones.

    python benchmarks/admin_page.py [--database sqlite|postgresql] [--honest 500] [--hostile 5000]

Fills a database directly, then asks the app for the page several times: CPU time of the process, elapsed time, number
of statements and time in them. The first page also judges all sessions that have ended.
"""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, insert, update

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crowd import Load, postgresql, write_study
from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.labels import listener_label
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener, Rating, Setting, Step, Stimulus, Trial
from earmark.mushra_app.study import pages
from earmark.mushra_app.web import Options, create_app

KINDS = ("finished", "consented", "opened a trial", "scripted")


def fill(store: Store, sessions: dict[str, int], seed: int = 0) -> None:
    """Store sessions as a crowd leaves them, in bulk.

    Args:
        sessions: number by kind, one of KINDS.
    """
    rng, study, now = random.Random(seed), store.study, time.time()
    rows: dict[type, list[dict[str, Any]]] = {one: [] for one in (Listener, Trial, Step, Stimulus, Rating)}
    kinds = [kind for kind, count in sessions.items() for _ in range(count)]
    rng.shuffle(kinds)
    study_id = store.setting("study_id")
    with store.reading() as session:
        first = int(session.get_one(Setting, "last_listener").value) + 1
    trial_id = 10 * first
    for number, kind in enumerate(kinds, start=first):
        started = now - 4000 + number % 3000
        rated = kind in ("finished", "scripted")
        rows[Listener].append({
            "id": number, "label": listener_label(number, study_id), "key": secrets.token_urlsafe(16),
            "started": started, "seen": started, "progress": started, "begun": None if kind == "consented" else started,
            "lease_until": now + (300 if number % 2 else -300), "address": "", "source": "prolific",
            "person": f"{kind}-{number}", "visit": str(number), "arrival": {}, "excluded": "", "excluded_by": "",
            "state": "active",
        })  # fmt: skip
        items = [item.id for item in rng.sample(study.items, study.trials_per_listener)]
        position = 0
        for at, step in enumerate(pages.plan(study.pages, items), start=1):
            done = started + 30 * at if rated or (step.item is None and kind == "opened a trial") else None
            rows[Step].append({
                "key": secrets.token_urlsafe(16), "listener_id": number, "position": at, "type": step.type,
                "settings": dict(step.settings), "trial_id": None, "done": done,
            })  # fmt: skip
            if step.item is None:
                continue
            trial_id, position = trial_id + 1, position + 1
            rows[Step][-1]["trial_id"] = trial_id
            seconds = None if done is None else (42.0 if kind == "scripted" else 20 + 10 * rng.random())
            served = done and done - (0.2 if kind == "scripted" else seconds + 1)
            rows[Trial].append({
                "id": trial_id, "key": secrets.token_urlsafe(16), "listener_id": number, "purpose": "rating",
                "item": step.item, "position": position, "seconds": seconds, "served": served, "submitted": done,
            })  # fmt: skip
            conditions = [condition.name for condition in study.conditions]
            rows[Stimulus] += [
                {"token": secrets.token_urlsafe(16), "trial_id": trial_id, "position": place, "condition": name,
                 "fetched": served if kind == "finished" else None}
                for place, name in enumerate([study.hidden_reference.name, *conditions])
            ]  # fmt: skip
            if done is not None:
                rows[Rating] += [
                    {"trial_id": trial_id, "condition": name, "score": rng.randint(90 if place == 0 else 20, 100),
                     "comment": ""}
                    for place, name in enumerate(conditions)
                ]  # fmt: skip
    with store.writing(exclusive=True) as session:
        for table, found in rows.items():
            if found:
                session.execute(insert(table), found)
        last = str(first + len(kinds) - 1)
        session.execute(update(Setting).where(Setting.name == "last_listener").values(value=last))


@contextmanager
def statements(engine: Engine) -> Iterator[list[float]]:
    """Seconds of each statement during the block."""
    seconds: list[float] = []

    def before(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        context.started = time.perf_counter()

    def after(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        seconds.append(time.perf_counter() - context.started)

    listeners = {"before_cursor_execute": before, "after_cursor_execute": after}
    for name, function in listeners.items():
        event.listen(engine, name, function)
    try:
        yield seconds
    finally:
        for name, function in listeners.items():
            event.remove(engine, name, function)


def measure(folder: Path, url: str | None, sessions: dict[str, int]) -> None:
    """Fill a database and print the cost of several pages."""
    write_study(folder, Load(500, 60, 50, 4, 20, 0))
    app = create_app(folder, Options(database=url, rule="bs1534", refuse_implausible=True))
    store = app.extensions["earmark"].store
    fill(store, sessions)
    admin = app.test_client()
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    for path in ("/admin/", "/admin/", "/admin/", "/admin/?show=suspect", "/admin/listeners.csv", "/"):
        with statements(store.engine) as spent:
            start, cpu = time.perf_counter(), time.process_time()
            size = len(admin.get(path).data)
            took, cpu = time.perf_counter() - start, time.process_time() - cpu
        print(f"{path}: {1000 * cpu:.0f} ms of CPU, {1000 * took:.0f} ms, {len(spent)} statements in "
              f"{1000 * sum(spent):.0f} ms, {size / 1000:.0f} kB", flush=True)  # fmt: skip
    store.engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="default: both")
    parser.add_argument("--honest", type=int, default=500)
    parser.add_argument("--hostile", type=int, default=5000)
    given = parser.parse_args()
    few = round(0.15 * given.hostile)
    numbers = (given.honest, given.hostile - 2 * few, few, few)
    sessions = dict(zip(KINDS, numbers, strict=True))
    for database in given.database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory(prefix="admin-page-") as name:
            print(f"== {database}: {sessions}", flush=True)
            if database == "sqlite":
                measure(Path(name), None, sessions)
            else:
                with postgresql() as url:
                    measure(Path(name), url, sessions)


if __name__ == "__main__":
    main()
