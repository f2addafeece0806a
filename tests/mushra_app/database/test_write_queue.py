"""Writers of an SQLite file: what is acknowledged is on the disk, and nobody waits for another's disk."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import update

from earmark.mushra_app.database import write_queue
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.tables import Setting
from earmark.mushra_app.study.study import Study

pytest.importorskip("fcntl")


def synchronous(store: Store, *, exclusive: bool = False) -> int:
    with store.writing(exclusive=exclusive) as session:
        return session.connection().exec_driver_sql("PRAGMA synchronous").scalar_one()


def test_the_log_is_on_the_disk_when_a_transaction_has_ended(
    store: Store, study_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Another writer takes its turn while the first waits for the disk. A note does not wait."""
    waited: list[tuple[int, bytes]] = []
    other = threading.Thread(target=lambda: store.notes.store(lambda now: update(Setting).values(value=Setting.value)))

    def sync(descriptor: int) -> None:
        if not waited:
            other.start()
            other.join(20)
            assert not other.is_alive()
        waited.append((os.fstat(descriptor).st_ino, log.read_bytes()))

    log = study_folder / "ratings.sqlite-wal"
    monkeypatch.setattr(write_queue, "_sync", sync)
    store.set("mine", "a value that is easily found")
    ((file, content),) = waited
    assert file == log.stat().st_ino
    assert b"a value that is easily found" in content


def test_the_transaction_itself_does_not_wait_for_the_disk(store: Store):
    assert synchronous(store) == 1  # NORMAL; to_disk() does what FULL would do


def test_where_files_cannot_be_locked_sqlite_waits_for_the_disk(
    study: Study, study_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(write_queue, "fcntl", None)
    assert synchronous(open_store(study, study_folder)) == 2  # FULL


def test_a_log_that_is_gone_is_on_the_disk(tmp_path: Path):
    """The last connection that closes writes everything to the file itself and deletes the log."""
    write_queue.WriteQueue(str(tmp_path / "ratings.sqlite")).to_disk()
