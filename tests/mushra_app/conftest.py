"""A study small enough for tests (two categories, four conditions, short tones), and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

import numpy as np
import pytest
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

from earmark.codec import audio
from earmark.mushra_app.database import admin_access, write_queue
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.study import Condition, Item, Stimulus, Study
from earmark.mushra_app.web import create_app
from tests.mushra_app.browsing import Listener, resize, serve

RATE = 48_000
CONDITIONS = (
    Condition("hidden-original", "hidden reference"),  # not "reference", which is also the name of a button
    Condition("anchor@3.5k", "low anchor"),
    Condition("opus@6", "system"),
    Condition("mp3@64", "system"),
)


def write_study(
    folder: Path, *, items: int = 4, annotations: int = 2, trials: int = 3, seconds: float = 0.5,
    comments: bool = False, conditions: tuple[Condition, ...] = CONDITIONS,
) -> Study:  # fmt: skip
    """Write a study of `items` items, half of them of each category, to `folder`."""
    made = []
    time = np.arange(round(seconds * RATE)) / RATE
    for number in range(items):
        category = ("speechlike", "musical")[number % 2]
        stimuli = {}
        for index, condition in enumerate(conditions):
            name = f"{number:03d}{index:03d}f00d.wav"
            tone = 0.2 * np.sin(2 * np.pi * 100 * (1 + 16 * number + index) * time)  # all files differ
            audio.write(folder / "audio" / name, tone[np.newaxis].astype(np.float32), RATE, subtype="PCM_16")
            stimuli[condition.name] = Stimulus(audio=name, gain_db=0.0, loudness=-23.0)
        made.append(Item(f"{category}-{number:03d}", category, f"{category}/file{number}.wav", 0.0, seconds, stimuli))
    study = Study(
        "opus against mp3", RATE, annotations, trials, conditions, tuple(made), {"run": "RUN"}, comments=comments
    )
    studies.save(study, folder)
    return study


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """Function that writes a study to a folder; its options are those of write_study."""
    return write_study


@pytest.fixture(scope="session")
def study_to_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that every test copies, as each file that libsndfile writes is forced to the disk."""
    folder = tmp_path_factory.mktemp("study-to-copy") / "STUDY"
    write_study(folder)
    return folder


@pytest.fixture
def study_folder(study_to_copy: Path, tmp_path: Path) -> Path:
    """A new study on disk: 4 items, 4 conditions, 3 trials per listener, 2 ratings per item."""
    return shutil.copytree(study_to_copy, tmp_path / "STUDY", copy_function=shutil.copyfile)


class CompiledTemplates(BytecodeCache):
    """Templates that one app has compiled, for all others."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._known.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._known[bucket.key, bucket.checksum] = bucket.code


@pytest.fixture(scope="session", autouse=True)
def compiled_templates() -> Iterator[None]:
    """Compile each template once, not for the app of every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "jinja_options", {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()})
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_statements() -> Iterator[None]:
    """Compile each SQL statement once, not for the database of every test."""
    statements, begin = LRUCache(5000), Engine.__init__

    def begin_with_statements(self: Engine, *arguments: Any, **options: Any) -> None:
        begin(self, *arguments, **options)
        if type(self.dialect) is SQLiteDialect_pysqlite:
            self._compiled_cache = statements

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, "__init__", begin_with_statements)
        # A compiled statement is found by its dialect, too.
        patch.setattr(SQLiteDialect_pysqlite, "__eq__", lambda self, other: type(self) is type(other))
        patch.setattr(SQLiteDialect_pysqlite, "__hash__", lambda self: hash(type(self)))
        yield


@pytest.fixture(scope="session", autouse=True)
def lazy_disk() -> Iterator[None]:
    """Leave it to the system when ratings reach the disk; only a loss of power would show the difference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write_queue, "_sync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str | None]:
    """URL of a PostgreSQL server for all tests; None if it or its driver is not installed."""
    from benchmarks.crowd import postgresql as start

    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or find_spec("psycopg") is None:
        yield None
        return
    with start() as url:
        yield url


@pytest.fixture
def postgresql(postgresql_server: str | None) -> str:
    """URL of an empty PostgreSQL database; skips the test if there is none."""
    if postgresql_server is None:
        pytest.skip("no PostgreSQL, or no psycopg, installed; on Debian: apt-get install postgresql")
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_server


@pytest.fixture
def full_cost() -> None:
    """Marks a test in which passwords are hashed at their full cost."""


@pytest.fixture(autouse=True)
def cheap_passwords(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords at a hundredth of the cost, which is 0.1 s of CPU, in tests without `full_cost`."""
    if "full_cost" not in request.fixturenames:
        cheap = partial(admin_access.generate_password_hash, method="scrypt:256:8:1")
        monkeypatch.setattr(admin_access, "generate_password_hash", cheap)


BROWSERS = ("chromium", "google-chrome", "chromium-browser")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=document-user-activation-required",
    "--hide-scrollbars", "--window-size=1280,940",
)  # fmt: skip


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One headless Chromium with a new profile for all tests, which are skipped if it is not installed."""
    binary = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        missing = f"no {' or '.join(BROWSERS)}" if binary is None else "no chromedriver"
        pytest.skip(f"{missing} installed; on Debian: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_script_timeout(30)
    yield started
    started.quit()


@pytest.fixture
def listener(chromium: webdriver.Chrome, tmp_path: Path) -> Iterator[Listener]:
    """A listener about to open a study of 4 conditions and 2 trials of 2 s, in a window of 1280 x 800."""
    write_study(tmp_path, trials=2, seconds=2.0, comments=True)
    app = create_app(tmp_path)
    resize(chromium, 1280, 800)
    for url in serve(app):
        chromium.get(url)
        chromium.delete_all_cookies()
        chromium.get_log("browser")
        yield Listener(chromium, app, url)
        chromium.get("about:blank")
