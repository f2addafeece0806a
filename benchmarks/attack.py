"""A simulated attack beside honest listeners, on the server that serves both.

    python benchmarks/attack.py [--database sqlite|postgresql] [--seconds 600] [--honest 500] [--hostile 5000] ...

Honest listeners load each sound, listen, rate, and come again later if all places are taken. Hostile sessions come from
many network addresses: most consent and leave, some open the first trial and leave, and some rate every trial at once
without fetching a sound, claim 42 s each, and ask for the completion code. An experimenter looks at the admin page all
the time and frees, once in a while, the places of those who have rated nothing. The server runs behind `--url`, so that
addresses come from X-Forwarded-For, and with `--implausible refuse`.

Checks that every honest session finishes and gets the completion code, that no hostile one does, that all scripted
sessions are flagged and no honest one, and that the admin page answers within a second. Exits with status 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.crowd import Browser, Load, Observations, Server, _attribute, _field, postgresql, write_study
from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import warm_up
from earmark.mushra_app.web.listener_rows import all_listeners

FORM = "application/x-www-form-urlencoded"
CODE = b"C1DONE"
MOST_ADMIN_SECONDS = 1.0
TRIALS = 4
SOUND_SECONDS = 7.0  # six conditions and the reference of one second each


@dataclass
class Attack:
    """Size of the attack.

    Args:
        seconds: during which sessions begin.
        honest, hostile: number of sessions.
        addresses: network addresses of the hostile ones.
        think: mean seconds of an honest listener per trial.
    """

    seconds: float
    honest: int
    hostile: int
    addresses: int
    think: float


@dataclass
class Outcome:
    """Responses that the visitors received."""

    finished: int = 0
    honest_codes: int = 0
    hostile_codes: int = 0
    begun: dict[str, int] = field(default_factory=dict)  # hostile sessions by what they did
    refused: int = 0
    waited: int = 0
    scripted: set[str] = field(default_factory=set)  # their Prolific ids
    admin_seconds: list[float] = field(default_factory=list)
    honest_seconds: list[float] = field(default_factory=list)  # of requests without ratings
    lag_seconds: list[float] = field(default_factory=list)  # by which this program was late


class Visitor(Browser):
    """A browser behind an address of its own."""

    def __init__(self, port: int, seen: Observations, rng: random.Random, address: str) -> None:
        super().__init__(port, seen, rng)
        self.headers = f"X-Forwarded-For: {address}\r\n"


async def enter(visitor: Visitor, person: str, seen: Observations) -> str | None:
    """Consent; returns the volume page, or None if nobody is admitted."""
    _, _, body = await visitor.get(f"/?PROLIFIC_PID={person}&STUDY_ID=s&SESSION_ID={person}")
    page = body.decode()
    if 'name="consent"' not in page:
        return None
    status, _, _ = await visitor.post("/start", f"token={_field(page)}&consent=yes".encode(), FORM, seen.page_seconds)
    if status != 303:
        return None
    _, path, body = await visitor.get("/continue")
    return body.decode() if path == "/page/volume" else None


async def rate(visitor: Visitor, page: str, seconds: float, score: int, seen: Observations) -> None:
    """Send ratings for the trial on a page."""
    marks = [{"stimulus": token, "score": score, "comment": ""} for token in _attribute(page, "data-stimulus")]
    message = {"token": _attribute(page, "data-token")[0], "seconds": seconds, "ratings": marks}
    address = f"/trial/{_attribute(page, 'data-key')[0]}"
    await visitor.post(address, json.dumps(message).encode(), "application/json", seen.rating_seconds)


async def honest(visitor: Visitor, person: str, attack: Attack, seen: Observations, outcome: Outcome,
                 rng: random.Random) -> None:  # fmt: skip
    """A listener who takes part in earnest, and comes again while there is no place."""
    attempt = 0
    while True:
        page = await enter(visitor, f"{person}{'' if attempt == 0 else f'-{attempt}'}", seen)
        if page is not None:
            await visitor.post(_attribute(page, "action")[0], f"token={_field(page)}".encode(), FORM, seen.page_seconds)
            _, path, body = await visitor.get("/trial")
            if path == "/trial":
                break
        attempt += 1
        outcome.waited += 1
        await asyncio.sleep(10 * (0.5 + rng.random()))
    while path == "/trial":
        page = body.decode()
        for url in _attribute(page, "data-audio"):
            await visitor.get(url)
        spent = max(SOUND_SECONDS + 1, attack.think * (0.5 + rng.random()))
        await asyncio.sleep(spent)
        await rate(visitor, page, spent, rng.randint(90, 100), seen)
        _, path, body = await visitor.get("/continue")
    outcome.finished += path == "/thanks" and b"everything is stored" in body
    outcome.honest_codes += CODE in body


async def hostile(visitor: Visitor, person: str, seen: Observations, outcome: Outcome, rng: random.Random) -> None:
    """A session that is abandoned or scripted."""
    kind = rng.choices(["consents and leaves", "opens a trial and leaves", "scripted"], [70, 15, 15])[0]
    page = await enter(visitor, person, seen)
    if page is None:
        outcome.refused += 1
        return
    outcome.begun[kind] = outcome.begun.get(kind, 0) + 1
    if kind == "consents and leaves":
        _, _, body = await visitor.get("/thanks")
        outcome.hostile_codes += CODE in body
        return
    await visitor.post(_attribute(page, "action")[0], f"token={_field(page)}".encode(), FORM, seen.page_seconds)
    _, path, body = await visitor.get("/trial")
    while kind == "scripted" and path == "/trial":
        await rate(visitor, body.decode(), 42.0, 95, seen)
        outcome.scripted.add(person)
        _, path, body = await visitor.get("/continue")
    _, _, body = await visitor.get("/thanks")
    outcome.hostile_codes += CODE in body


async def experimenter(visitor: Visitor, password: str, seen: Observations, outcome: Outcome, end: float) -> None:
    """Watch the admin page, and free idle places once in six looks."""
    await visitor.post("/admin/sign-in", f"password={password}".encode(), FORM, seen.page_seconds)
    looks = 0
    await asyncio.sleep(1.5 * warm_up.SECONDS)  # a server that has just started loads libraries
    while time.monotonic() < end:
        start = time.perf_counter()
        status, path, body = await visitor.get("/admin/")
        outcome.admin_seconds.append(time.perf_counter() - start)
        assert (status, path) == (200, "/admin/"), (status, path)
        looks += 1
        if looks % 6 == 0:
            await visitor.post("/admin/places", f"token={_field(body.decode())}".encode(), FORM, seen.page_seconds)
        await asyncio.sleep(5)


async def run(server: Server, attack: Attack, password: str, seed: int = 0) -> tuple[Observations, Outcome]:
    """Let everybody come; returns when all sessions have ended."""
    seen, outcome, rng = Observations(), Outcome(), random.Random(seed)
    end = time.monotonic() + attack.seconds
    busy = asyncio.Semaphore(400)  # hostile connections at once

    async def come(number: int, is_honest: bool) -> None:
        own = random.Random(rng.random())
        await asyncio.sleep(own.uniform(0, attack.seconds * (0.7 if is_honest else 1.0)))
        address = f"198.{18 + number // 65536}.{number // 256 % 256}.{number % 256}" if is_honest else (
            f"203.0.{own.randrange(attack.addresses) // 256}.{own.randrange(attack.addresses) % 256}"
        )  # fmt: skip
        mine = replace(seen, page_seconds=outcome.honest_seconds) if is_honest else seen
        visitor = Visitor(server.port, mine, own, address)
        try:
            if is_honest:
                await honest(visitor, f"honest{number}", attack, mine, outcome, own)
            else:
                async with busy:
                    await hostile(visitor, f"hostile{number}", seen, outcome, own)
        finally:
            visitor.close()

    async def measure_lag() -> None:
        while time.monotonic() < end:
            start = time.perf_counter()
            await asyncio.sleep(0.1)
            outcome.lag_seconds.append(time.perf_counter() - start - 0.1)

    watching = Visitor(server.port, seen, rng, "192.0.2.1")
    await asyncio.gather(
        measure_lag(),
        experimenter(watching, password, seen, outcome, end),
        *(come(number, True) for number in range(attack.honest)),
        *(come(number, False) for number in range(attack.hostile)),
    )
    watching.close()
    return seen, outcome


def marks_of(store: Store, attack: Attack, seen: Observations, outcome: Outcome) -> dict[str, bool]:
    """Promises with the measured figures, and whether each was kept."""
    rows = all_listeners(store)
    flagged = {row.listener.person for row in rows if row.flags}
    accused = sum(str(person).startswith("honest") for person in flagged)
    slowest = max(outcome.admin_seconds)
    return {
        f"{outcome.finished} of {attack.honest} honest sessions finished": outcome.finished == attack.honest,
        f"{outcome.honest_codes} of {attack.honest} honest sessions got the code":
            outcome.honest_codes == attack.honest,
        f"{outcome.hostile_codes} of {attack.hostile} other sessions got a code": outcome.hostile_codes == 0,
        f"{len(outcome.scripted & flagged)} of {len(outcome.scripted)} scripted sessions are flagged":
            outcome.scripted <= flagged,
        f"{accused} honest sessions are flagged": accused == 0,
        f"the slowest admin page took {slowest:.2f} s, the limit is {MOST_ADMIN_SECONDS:.0f} s":
            slowest < MOST_ADMIN_SECONDS,
        f"{sum(seen.refused.values())} requests failed on the server": not seen.refused,
    }  # fmt: skip


def describe(seen: Observations, outcome: Outcome, took: float) -> str:
    """Measured figures."""

    def spread(seconds: list[float], unit: float = 1000, digits: int = 0) -> str:
        values = unit * np.array(seconds or [np.nan])
        median, high = np.percentile(values, [50, 99])
        return f"{median:.{digits}f}, {high:.{digits}f}, {values.max():.{digits}f} {'ms' if unit == 1000 else 's'}"

    requests = len(seen.page_seconds) + len(seen.rating_seconds)
    return "\n".join([
        f"{took:.0f} s, {requests / took:.0f} requests per second, lost connections: {seen.lost_connections}, "
        f"answers of 500 or more: {dict(seen.refused) or 0}",
        f"other sessions: {outcome.begun}, refused at the entrance: {outcome.refused}; "
        f"{outcome.waited} times an honest listener found no place and came again",
        "median, 99th percentile, longest:",
        f"  admin page ({len(outcome.admin_seconds)}): {spread(outcome.admin_seconds, 1, 2)}",
        f"  ratings: {spread(seen.rating_seconds)}",
        f"  pages and sounds of honest listeners: {spread(outcome.honest_seconds)}",
        f"  all other requests: {spread(seen.page_seconds)}",
        f"  delay within this program, part of the above: {spread(outcome.lag_seconds)}",
    ])  # fmt: skip


def attack_on(folder: Path, url: str | None, attack: Attack, study: Study, load: Load) -> dict[str, bool]:
    """Run one attack on one database; prints figures and returns the marks."""
    store = open_store(study, folder, url)
    store.crowd = Crowd(prolific_completion=CODE.decode())
    password = admin_access.new_password(store)
    store.engine.dispose()
    options = ["--url", "http://localhost/", "--implausible", "refuse", "--force"]
    server = Server(folder, url, load, options)
    try:
        server.wait()
        start = time.monotonic()
        seen, outcome = asyncio.run(run(server, attack, password))
        print(describe(seen, outcome, time.monotonic() - start), flush=True)
    finally:
        server.kill()
    return marks_of(open_store(study, folder, url, refuse_implausible=True, rule="bs1534"), attack, seen, outcome)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append", help="default: both")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--honest", type=int, default=500)
    parser.add_argument("--hostile", type=int, default=5000)
    parser.add_argument("--addresses", type=int, default=1000)
    parser.add_argument("--think", type=float, default=20.0)
    given = parser.parse_args()
    attack = Attack(given.seconds, given.honest, given.hostile, given.addresses, given.think)
    # Places for the honest listeners, and half as many again for the scripts to take meanwhile.
    annotations = -(-3 * given.honest * TRIALS // (2 * 60))
    load = Load(given.honest, 60, annotations, TRIALS, given.think, 0)
    failed = False
    for database in given.database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory(prefix="attack-") as name:
            folder = Path(name)
            study = write_study(folder, load)
            print(f"== {database}: {attack}", flush=True)
            if database == "sqlite":
                marks = attack_on(folder, None, attack, study, load)
            else:
                with postgresql() as url:
                    marks = attack_on(folder, url, attack, study, load)
        print(*(f"{'kept  ' if kept else 'MISSED'} {mark}" for mark, kept in marks.items()), sep="\n", flush=True)
        failed |= not all(marks.values())
    sys.exit(failed)


if __name__ == "__main__":
    main()
