"""A crowd takes a listening test while its server is killed: is every acknowledged rating stored once, how long does
one take, does every item get exactly its ratings?

    python benchmarks/crowd.py [--database sqlite|postgresql] [--listeners 500] [--kills 3] ...

Listeners are coroutines that speak HTTP to `earmark study serve --workers 2`: they consent, load pages and sounds,
think, rate, send again until they have an answer, as the page's own script does. Some vanish in the middle, some press
stop, some rate so badly that the rule of BS.1534-3 drops them; newcomers take over until the study closes by itself.
Server and workers are ended by SIGKILL now and then, and started anew. PostgreSQL is started in a temporary folder, by
the user postgres if need be; Debian has it in the package postgresql. Ends with status 1 when a rating is lost or
doubled, an item has too many or too few, or the 99th percentile of a rating request is not below 100 ms.
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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import create_engine, text

from earmark.codec import audio
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study

MOST_MILLISECONDS = 100  # the target for the 99th percentile of a rating request
ROOT = Path(__file__).resolve().parents[1]
RATE, SECONDS = 48_000, 1.0
CONDITIONS = (Condition("reference", "hidden reference"), Condition("anchor@3.5k", "low anchor"),
              *(Condition(f"codec{k}", "system") for k in range(4)))  # fmt: skip


@dataclass(frozen=True)
class Load:
    """What happens: `think` seconds a trial on average, shares of listeners who vanish, stop, and rate badly."""

    listeners: int
    items: int
    annotations: int
    trials: int
    think: float
    kills: int
    sounds: bool = True
    vanish: float = 0.04
    stop: float = 0.02
    bad: float = 0.04
    lease: float = 4.0  # minutes; longer than a trial and an outage together, or answers come too late

    @property
    def seconds(self) -> float:
        """About how long it takes, of which the kills are spread over the first part."""
        return self.items * self.annotations / self.listeners * self.think


@dataclass
class Seen:
    """What the listeners saw."""

    rating_seconds: list[float] = field(default_factory=list)
    page_seconds: list[float] = field(default_factory=list)
    acknowledged: dict[str, dict[str, int]] = field(default_factory=dict)  # trial key -> stimulus token -> score
    refused: Counter[int] = field(default_factory=Counter)
    lost_connections: int = 0
    sessions: int = 0
    finished: int = 0


def write_study(folder: Path, load: Load) -> Study:
    """A study of tones in noise."""
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

    def __init__(self, folder: Path, database: str | None, load: Load) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [sys.executable, "-m", "earmark", "study", "serve", str(folder), "--workers", "2",
                         "--port", str(self.port), "--screen", "bs1534", "--lease", str(load.lease)]  # fmt: skip
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
        """Until it answers."""
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
    """As much of HTTP/1.1 as it takes: one connection kept alive, cookies, and retries like the page's script."""

    def __init__(self, port: int, seen: Seen, rng: random.Random) -> None:
        self._port, self._seen, self._rng = port, seen, rng
        self._cookies: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> tuple[int, str, bytes]:
        """Status, path after a redirect, body."""
        status, location, body = await self._until_answered("GET", path, b"", "", self._seen.page_seconds)
        return (status, path, body) if location is None else await self.get(location)

    async def post(self, path: str, body: bytes, kind: str, times: list[float]) -> tuple[int, str | None, bytes]:
        """Status, where it redirects to, body."""
        return await self._until_answered("POST", path, body, kind, times)

    async def _until_answered(
        self, method: str, path: str, body: bytes, kind: str, times: list[float]
    ) -> tuple[int, str | None, bytes]:
        wait = 1.0  # and so on, as in mushra_app/web/static/send.js
        while True:
            try:
                start = time.perf_counter()
                status, location, answer = await asyncio.wait_for(self._once(method, path, body, kind), 20)
                times.append(time.perf_counter() - start)
                if status < 500:
                    return status, location, answer
                self._seen.refused[status] += 1
            except (OSError, asyncio.IncompleteReadError, TimeoutError, IndexError):
                self._seen.lost_connections += 1
            self.close()
            await asyncio.sleep(wait * (0.5 + self._rng.random()))
            wait = min(2 * wait, 30.0)

    async def _once(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, str | None, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        reader, writer = self._streams
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookies}\r\n"
        if method == "POST":
            head += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
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


async def take_part(server: Server, load: Load, seen: Seen, rng: random.Random) -> bool:
    """One person's session; False when the study takes nobody any more."""
    browser = Browser(server.port, seen, rng)
    try:
        _, _, body = await browser.get("/")
        page = body.decode()
        if "is complete" in page:
            return False
        if 'name="consent"' not in page:
            await asyncio.sleep(load.think / 2 * (1 + rng.random()))  # every place is taken; somebody may yet vanish
            return True
        form = f"token={_field(page)}&consent=yes".encode()
        await browser.post("/start", form, "application/x-www-form-urlencoded", seen.page_seconds)
        _, path, body = await browser.get("/continue")
        if path != "/page/volume":
            return True  # the last place went while the welcome page was read
        seen.sessions += 1
        page = body.decode()
        await browser.post(_attribute(page, "action")[0], f"token={_field(page)}".encode(),
                           "application/x-www-form-urlencoded", seen.page_seconds)  # fmt: skip
        await _rate_all(browser, load, seen, rng)
        return True
    finally:
        browser.close()


async def _rate_all(browser: Browser, load: Load, seen: Seen, rng: random.Random) -> None:
    fate = rng.random() if seen.sessions <= load.listeners / 2 else 1.0  # so that the end comes
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
        if load.sounds:
            for url in _attribute(page, "data-audio"):
                await browser.get(url)
        await asyncio.sleep(load.think * (0.5 + rng.random()))
        scores = {token: rng.randint(0, 40) if bad else rng.randint(90, 100) for token in
                  _attribute(page, "data-stimulus")}  # fmt: skip
        key = _attribute(page, "data-key")[0]
        marks = [{"stimulus": token, "score": score, "comment": ""} for token, score in scores.items()]
        message = {"token": _attribute(page, "data-token")[0], "seconds": 20.0, "ratings": marks}
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


async def crowd(server: Server, load: Load, seed: int = 0) -> Seen:
    """Listeners come until the study closes; the server dies `load.kills` times meanwhile."""
    seen, rng = Seen(), random.Random(seed)

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


def check(database: str, study: Study, seen: Seen) -> list[str]:
    """What is wrong in the database, compared with what the listeners were told; nothing, one hopes."""
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
        problems.append(f"{missing} acknowledged trials are not stored as they were sent")
    if ratings != sum(len(scores) for scores in seen.acknowledged.values()):
        problems.append(f"{ratings} ratings stored, {sum(map(len, seen.acknowledged.values()))} acknowledged")
    wrong = {item.id: counts.get(item.id, 0) for item in study.items if counts.get(item.id, 0) != study.annotations}
    if wrong:
        problems.append(f"items without exactly {study.annotations} valid ratings: {wrong}")
    if twice:
        problems.append(f"{twice} times an item was given to a listener twice")
    return problems


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a fresh PostgreSQL that runs while the block does."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        raise SystemExit("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="crowd-postgresql-") as folder:
        if as_user:
            shutil.chown(folder, "postgres")
        subprocess.run([*as_user, initdb, "-D", f"{folder}/data", "-U", "earmark", "--auth", "trust"], cwd=folder,
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        control = [*as_user, str(Path(initdb).with_name("pg_ctl")), "-D", f"{folder}/data", "-s", "-w"]
        options = ["-o", f"-k {folder} -h ''", "-l", f"{folder}/log"]  # a socket in the folder, no network
        subprocess.run([*control, *options, "start"], cwd=folder, check=True)
        try:
            yield f"postgresql+psycopg://earmark@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], cwd=folder, check=True)


def too_slow(rating_seconds: list[float]) -> list[str]:
    """A problem if one rating request in a hundred took MOST_MILLISECONDS or longer."""
    slow = 1000 * np.percentile(rating_seconds, 99)
    if slow < MOST_MILLISECONDS:
        return []
    return [f"missed: the 99th percentile of a rating request is {slow:.0f} ms, not below {MOST_MILLISECONDS} ms"]


def describe(seen: Seen, took: float) -> str:
    """Figures of a run, one line each."""
    ratings, pages = np.array(seen.rating_seconds) * 1000, np.array(seen.page_seconds) * 1000
    lines = [
        f"{took:.0f} s, {seen.sessions} sessions, {seen.finished} finished, {len(ratings)} rating requests, "
        f"{(len(ratings) + len(pages)) / took:.0f} requests a second",
        f"rating request: median {np.median(ratings):.1f} ms, 99th percentile {np.percentile(ratings, 99):.1f} ms, "
        f"longest {ratings.max():.0f} ms",
        f"other requests: median {np.median(pages):.1f} ms, 99th percentile {np.percentile(pages, 99):.1f} ms",
        f"sent again after a lost connection: {seen.lost_connections}, after a status of 500 or more: "
        f"{dict(seen.refused) or 0}",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--listeners", type=int, default=500)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--annotations", type=int, default=54)
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--think", type=float, default=45.0, help="seconds a trial, on average")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--vanish", type=float, default=0.04, help="share of listeners who go without a word")
    parser.add_argument("--no-sounds", action="store_true", help="do not load the sounds")
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
                or ["every acknowledged rating stored once, in time, every item rated exactly as often as asked"]
            ),
            sep="\n",
        )
        failed |= bool(problems)
    sys.exit(failed)


def run(folder: Path, database: str | None, load: Load, study: Study) -> list[str]:
    """One crowd on one database: print the figures, return what is wrong."""
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
