"""Load test of a listening test: a crowd takes part while its server is killed several times.

    python benchmarks/crowd.py [--database sqlite|postgresql] [--listeners 500] [--kills 3] ...

Checks that every acknowledged rating is stored exactly once, that every item gets exactly its number of ratings, and
that the 99th percentile of a rating request is below 100 ms. Exits with status 1 otherwise.

Listeners are coroutines that send HTTP requests to `earmark study serve --workers 2`. They consent, load pages and
stimuli, wait, rate, and repeat a request until it is answered, as the page's script does. Some disappear in the middle,
some press stop, and some rate so badly that the rule of BS.1534-3 excludes them. New listeners take over until the
study closes by itself. Meanwhile the server and its workers are killed by SIGKILL and started again. PostgreSQL runs in
a temporary folder, as the user postgres if this program runs as root; Debian has it in the package postgresql.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np
from sqlalchemy import create_engine, text

from earmark.codec import audio
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study

MOST_MILLISECONDS = 100  # target for the 99th percentile of a rating request
ROOT = Path(__file__).resolve().parents[1]
RATE, SECONDS = 48_000, 1.0
CONDITIONS = (Condition("reference", "hidden reference"), Condition("anchor@3.5k", "low anchor"),
              *(Condition(f"codec{k}", "system") for k in range(4)))  # fmt: skip

# What a browser records of its device and of each stimulus: a dozen moves of the slider.
DEVICE = {"pointer": "mouse", "sample_rate": 48_000, "touch_points": 0}
HEARD = {"plays": 4, "seconds": 11.237, "switches": 3, "moves": [[3.4 * k, 7 * k] for k in range(12)]}


@dataclass(frozen=True)
class Load:
    """Size of the study and behaviour of the crowd.

    Args:
        listeners: number of listeners at the same time.
        items: number of items in the study.
        annotations: valid ratings wanted per item.
        trials: number of trials per listener.
        think: mean seconds per trial.
        kills: number of times the server is killed.
        stimuli: whether to load the stimuli.
        vanish: share of listeners who disappear.
        stop: share of listeners who press stop.
        bad: share of listeners who rate at random.
        lease: minutes that an item is reserved for a listener; a trial and an outage together must be shorter.
    """

    listeners: int
    items: int
    annotations: int
    trials: int
    think: float
    kills: int
    stimuli: bool = True
    vanish: float = 0.04
    stop: float = 0.02
    bad: float = 0.04
    lease: float = 4.0

    @property
    def seconds(self) -> float:
        """Approximate minimum duration, over which the kills are spread."""
        return self.items * self.annotations / self.listeners * self.think


@dataclass
class Observations:
    """Observations of the listeners."""

    rating_seconds: list[float] = field(default_factory=list)
    page_seconds: list[float] = field(default_factory=list)
    acknowledged: dict[str, dict[str, int]] = field(default_factory=dict)  # trial key -> stimulus token -> score
    refused: Counter[int] = field(default_factory=Counter)
    lost_connections: int = 0
    sessions: int = 0
    finished: int = 0


def write_study(folder: Path, load: Load) -> Study:
    """Write a study whose stimuli are noise."""
    rng = np.random.default_rng(0)
    items = []
    for number in range(load.items):
        stimuli = {}
        for condition in CONDITIONS:
            name = f"{rng.integers(2**62):016x}.wav"
            noise = (0.1 * rng.standard_normal((1, round(SECONDS * RATE)))).astype(np.float32)
            audio.write(folder / "audio" / name, noise, RATE, "PCM_16")
            stimuli[condition.name] = Stimulus(name, 0.0, -23.0)
        category = ("speech", "music", "noise")[number % 3]
        items.append(Item(f"{category}-{number:03d}", category, f"{number}.wav", 0.0, SECONDS, stimuli))
    study = Study("crowd", RATE, load.annotations, load.trials, CONDITIONS, tuple(items), {})
    studies.save(study, folder)
    return study


class Server:
    """`earmark study serve` as a process group that can be killed."""

    def __init__(self, folder: Path, database: str | None, load: Load, options: Sequence[str] = ()) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "earmark", "study", "serve", str(folder), "--workers", "2",
                         "--port", str(self.port), "--screen", "bs1534", "--lease", str(load.lease),
                         *options]  # fmt: skip
        if database is not None:
            self._command += ["--database", database]
        self._log = (folder / "server.log").open("ab")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, stdout=self._log, stderr=self._log, start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def wait(self) -> None:
        """Wait until the server accepts connections."""
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("the server does not start; see server.log")

    def kill(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Browser:
    """Minimal HTTP/1.1 client: one persistent connection, cookies, and retries like those of the page's script."""

    headers = ""  # further ones of every request

    def __init__(self, port: int, seen: Observations, rng: random.Random) -> None:
        self._port, self._seen, self._rng = port, seen, rng
        self._cookies: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, str, bytes]:
        """Follow redirects and return the status, the final path and the body."""
        status, location, body = await self._until_answered("GET", path, b"", "", self._seen.page_seconds)
        return (status, path, body) if location is None else await self.get(location)

    async def post(self, path: str, body: bytes, mime_type: str, times: list[float]) -> tuple[int, str | None, bytes]:
        """Return the status, the redirection's target and the body, and add the request's duration to `times`."""
        return await self._until_answered("POST", path, body, mime_type, times)

    async def _until_answered(
        self, method: str, path: str, body: bytes, mime_type: str, times: list[float]
    ) -> tuple[int, str | None, bytes]:
        wait = 1.0  # seconds; doubles as in mushra_app/web/static/send.js
        while True:
            try:
                start = time.perf_counter()
                status, location, answer = await asyncio.wait_for(self._once(method, path, body, mime_type), 20)
                times.append(time.perf_counter() - start)
                if status < 500:
                    return status, location, answer
                self._seen.refused[status] += 1
            except (OSError, asyncio.IncompleteReadError, TimeoutError, IndexError):
                self._seen.lost_connections += 1
            self.close()
            await asyncio.sleep(wait * (0.5 + self._rng.random()))
            wait = min(2 * wait, 30.0)

    async def _once(self, method: str, path: str, body: bytes, mime_type: str) -> tuple[int, str | None, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._streams
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n{self.headers}"
        if method == "POST":
            head += f"Content-Type: {mime_type}\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = [line.split(": ", 1) for line in lines[1:] if line]
        fields = {name.lower(): value for name, value in headers}
        for name, value in headers:
            if name.lower() == "set-cookie":
                cookie, _, content = value.partition(";")[0].partition("=")
                self._cookies[cookie] = content
        answer = await reader.readexactly(int(fields.get("content-length", 0)))
        if fields.get("connection") == "close":
            self.close()
        return int(lines[0].split()[1]), fields.get("location"), answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def take_part(server: Server, load: Load, seen: Observations, rng: random.Random) -> bool:
    """Run one listener's session; returns False if the study is complete."""
    browser = Browser(server.port, seen, rng)
    try:
        _, _, body = await browser.get("/")
        page = body.decode()
        if "is complete" in page:
            return False
        if 'name="consent"' not in page:
            await asyncio.sleep(load.think / 2 * (1 + rng.random()))  # all items are leased; some may become free
            return True
        form = f"token={_field(page)}&consent=yes&device={quote(json.dumps(DEVICE))}".encode()
        await browser.post("/start", form, "application/x-www-form-urlencoded", seen.page_seconds)
        _, path, body = await browser.get("/continue")
        if path != "/page/volume":
            return True  # the last free item was leased while this listener read the welcome page
        seen.sessions += 1
        page = body.decode()
        await browser.post(_attribute(page, "action")[0], f"token={_field(page)}".encode(),
                           "application/x-www-form-urlencoded", seen.page_seconds)  # fmt: skip
        await _rate_all(browser, load, seen, rng)
        return True
    finally:
        browser.close()


async def _rate_all(browser: Browser, load: Load, seen: Observations, rng: random.Random) -> None:
    fate = rng.random() if seen.sessions <= load.listeners / 2 else 1.0  # only early ones leave, so that it ends
    ends_after = rng.randrange(load.trials) if fate < load.vanish + load.stop else load.trials
    bad = rng.random() < load.bad and seen.sessions <= load.listeners / 2
    for number in range(load.trials + 1):
        _, path, body = await browser.get("/trial" if number == 0 else "/continue")
        page = body.decode()
        if path == "/thanks":
            seen.finished += 1
            return
        if number == ends_after:
            if fate >= load.vanish:
                form = f"token={_attribute(page, 'data-token')[0]}".encode()
                await browser.post("/stop", form, "application/x-www-form-urlencoded", seen.page_seconds)
            return
        if load.stimuli:
            for url in _attribute(page, "data-audio"):
                await browser.get(url)
        await asyncio.sleep(load.think * (0.5 + rng.random()))
        scores = {token: rng.randint(0, 40) if bad else rng.randint(90, 100) for token in
                  _attribute(page, "data-stimulus")}  # fmt: skip
        key = _attribute(page, "data-key")[0]
        marks = [{"stimulus": token, "score": score, "comment": "", "heard": HEARD} for token, score in scores.items()]
        message = {"token": _attribute(page, "data-token")[0], "seconds": 20.0, "heard": HEARD, "ratings": marks}
        status, _, answer = await browser.post(
            f"/trial/{key}", json.dumps(message).encode(), "application/json", seen.rating_seconds
        )
        if status != 200:
            raise AssertionError(f"a rating was refused: {status} {answer!r}")
        seen.acknowledged[key] = scores


def _field(page: str) -> str:
    return re.findall(r'name="token" value="([^"]*)"', page)[0]


def _attribute(page: str, name: str) -> list[str]:
    return re.findall(rf'\b{name}="([^"]*)"', page)


async def crowd(server: Server, load: Load, seed: int = 0) -> Observations:
    """Send listeners until the study closes, and kill the server `load.kills` times meanwhile."""
    seen, rng = Observations(), random.Random(seed)

    async def seat(number: int) -> None:
        own = random.Random(rng.random())
        await asyncio.sleep(own.uniform(0, load.think))
        while await take_part(server, load, seen, own):
            pass

    async def killer() -> None:
        for _ in range(load.kills):
            await asyncio.sleep(load.seconds / (load.kills + 1))
            server.kill()
            server.start()

    await asyncio.gather(killer(), *(seat(number) for number in range(load.listeners)))
    return seen


def check(database: str, study: Study, seen: Observations) -> list[str]:
    """Compare the database with what the listeners observed and list the problems."""
    with create_engine(database).connect() as connection:
        stored: dict[str, dict[str, int]] = {}
        rows = connection.execute(text(
            "SELECT trial.key, stimulus.token, rating.score FROM rating JOIN trial ON trial.id = rating.trial_id "
            "JOIN stimulus ON stimulus.trial_id = trial.id AND stimulus.condition = rating.condition "
            "AND stimulus.place > 0"
        )).all()  # fmt: skip
        ratings = connection.execute(text("SELECT count(*) FROM rating")).scalar_one()
        counts = dict(connection.execute(text(
            "SELECT item, count(*) FROM trial JOIN listener ON listener.id = trial.listener_id "
            "WHERE submitted IS NOT NULL AND excluded = '' GROUP BY item"
        )).all())  # fmt: skip
        twice = connection.execute(text(
            "SELECT count(*) FROM (SELECT 1 FROM trial GROUP BY listener_id, item HAVING count(*) > 1) AS repeated"
        )).scalar_one()  # fmt: skip
    for key, token, score in rows:
        stored.setdefault(key, {})[token] = score
    problems = []
    missing = sum(stored.get(key) != scores for key, scores in seen.acknowledged.items())
    if missing:
        problems.append(f"{missing} acknowledged trials are not stored as sent")
    if ratings != sum(len(scores) for scores in seen.acknowledged.values()):
        problems.append(f"{ratings} ratings stored, {sum(map(len, seen.acknowledged.values()))} acknowledged")
    wrong = {item.id: counts.get(item.id, 0) for item in study.items if counts.get(item.id, 0) != study.annotations}
    if wrong:
        problems.append(f"items without exactly {study.annotations} valid ratings: {wrong}")
    if twice:
        problems.append(f"{twice} times a listener got the same item twice")
    return problems


@contextmanager
def postgresql() -> Iterator[str]:
    """Run an empty PostgreSQL server during the block and give its URL."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(versions[-1]) if versions else shutil.which("initdb")
    if initdb is None:
        raise SystemExit("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # PostgreSQL refuses to run as root
    with tempfile.TemporaryDirectory(prefix="crowd-postgresql-") as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        subprocess.run([*as_user, initdb, "-D", f"{folder}/data", "-U", "earmark", "--auth", "trust"], cwd=folder,
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        control = [*as_user, str(Path(initdb).with_name("pg_ctl")), "-D", f"{folder}/data", "-s", "-w"]
        options = ["-o", f"-k {folder} -h ''", "-l", f"{folder}/log"]  # listens on a socket in the folder only
        subprocess.run([*control, *options, "start"], cwd=folder, check=True)
        try:
            yield f"postgresql+psycopg://earmark@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, check=True)


def too_slow(rating_seconds: list[float]) -> list[str]:
    """Problem, if any, with the 99th percentile of the rating requests."""
    slow = 1000 * np.percentile(rating_seconds, 99)
    if slow < MOST_MILLISECONDS:
        return []
    return [f"missed: the 99th percentile of a rating request is {slow:.0f} ms, not below {MOST_MILLISECONDS} ms"]


def describe(seen: Observations, took: float) -> str:
    """Measured figures, one per line."""
    ratings, pages = np.array(seen.rating_seconds) * 1000, np.array(seen.page_seconds) * 1000
    lines = [
        f"{took:.0f} s, {seen.sessions} sessions, {seen.finished} finished, {len(ratings)} rating requests, "
        f"{(len(ratings) + len(pages)) / took:.0f} requests per second",
        f"rating request: median {np.median(ratings):.1f} ms, 99th percentile {np.percentile(ratings, 99):.1f} ms, "
        f"longest {ratings.max():.0f} ms",
        f"other requests: median {np.median(pages):.1f} ms, 99th percentile {np.percentile(pages, 99):.1f} ms",
        f"repeated after a lost connection: {seen.lost_connections}, after a status of 500 or more: "
        f"{dict(seen.refused) or 0}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--database", choices=["sqlite", "postgresql"], action="append", help="may be repeated; default: both"
    )
    parser.add_argument("--listeners", type=int, default=500, help="at the same time")
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--annotations", type=int, default=54, help="valid ratings wanted per item")
    parser.add_argument("--trials", type=int, default=6, help="per listener")
    parser.add_argument("--think", type=float, default=45.0, help="mean seconds per trial")
    parser.add_argument("--kills", type=int, default=3, help="times that the server is killed")
    parser.add_argument("--vanish", type=float, default=0.04, help="share of listeners who disappear")
    parser.add_argument("--no-sounds", action="store_true", help="do not load the stimuli")
    given = parser.parse_args()
    load = Load(given.listeners, given.items, given.annotations, given.trials, given.think, given.kills,
                not given.no_sounds, given.vanish)  # fmt: skip
    failed = False
    for database in given.database or ["sqlite", "postgresql"]:
        with tempfile.TemporaryDirectory(prefix="crowd-") as name:
            folder = Path(name)
            study = write_study(folder, load)
            print(f"== {database}: {load}", flush=True)
            if database == "sqlite":
                problems = run(folder, None, load, study)
            else:
                with postgresql() as url:
                    problems = run(folder, url, load, study)
        print(
            *(
                problems
                or ["every acknowledged rating is stored once, in time, and every item has its number of ratings"]
            ),
            sep="\n",
        )
        failed |= bool(problems)
    sys.exit(failed)


def run(folder: Path, database: str | None, load: Load, study: Study) -> list[str]:
    """Run one crowd on one database, print the figures and return the problems."""
    server = Server(folder, database, load)
    try:
        server.wait()
        start = time.perf_counter()
        seen = asyncio.run(crowd(server, load))
        print(describe(seen, time.perf_counter() - start), flush=True)
    finally:
        server.kill()
    return [*check(database or f"sqlite:///{folder / 'ratings.sqlite'}", study, seen), *too_slow(seen.rating_seconds)]


if __name__ == "__main__":
    main()
