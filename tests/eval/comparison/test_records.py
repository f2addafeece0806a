"""Records in Parquet files: what a crash loses, and which record counts if two files have the same key."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from pyarrow import parquet

from earmark.eval.comparison import records
from earmark.eval.comparison.records import Record
from earmark.eval.metrics.interface import Score, failed, undefined


def record(kbps=6.0, **scores):
    return Record(24000, 1, 1.5, kbps, -2, 0.1, 0.2, "8 ab", ["a note"], scores)


def parts(run):
    return sorted((run / "records").glob("*.parquet"))


def test_records_are_read_as_written(tmp_path):
    first = record(si_snr=Score(3.25), pesq=undefined("silent"))
    with records.appended(tmp_path) as add:
        add("a", first)
        add("b", record(None))
    assert records.read(tmp_path) == {"a": first, "b": record(None)}
    assert records.read(tmp_path / "nowhere") == {}


def test_the_later_file_counts(tmp_path):
    for kbps in (6.0, 7.0, 8.0):
        with records.appended(tmp_path) as add:
            add("a", record(kbps))
    assert len(parts(tmp_path)) == 3
    assert records.read(tmp_path)["a"].kbps == 8.0


def test_a_failed_score_is_tried_again(tmp_path):
    with records.appended(tmp_path) as add:
        add("a", record(si_snr=Score(1.0), pesq=failed("no C compiler")))
    assert records.read(tmp_path)["a"].scores == {"si_snr": Score(1.0)}


def test_a_crash_loses_only_records_that_are_in_no_file_yet(tmp_path, monkeypatch):
    """With files of 2 s and a record per second, a process that dies after the fifth record leaves four."""
    clock = iter(range(100))
    monkeypatch.setattr("earmark.eval.comparison.records.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    adding = records.appended(tmp_path)
    add = adding.__enter__()
    for key in "abcde":
        add(key, record())
    assert set(records.read(tmp_path)) == set("abcd")
    assert len(parts(tmp_path)) == 2


def test_files_grow_with_the_run(tmp_path, monkeypatch):
    """From 200 s on, a hundredth of the time is more than 2 s: 30 minutes at a record per second make a hundred files
    and then ln(1800 / 200) / ln(1.01) = 221 at most."""
    clock = iter(range(10000))
    monkeypatch.setattr("earmark.eval.comparison.records.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    written = []
    monkeypatch.setattr("earmark.eval.comparison.records._write", lambda run, waiting: written.append(len(waiting)))
    with records.appended(tmp_path) as add:
        for number in range(1800):
            add(str(number), record())
    assert sum(written) == 1800
    assert len(written) <= 321
    assert max(written) <= 19


def test_an_interrupt_loses_nothing(tmp_path):
    def interrupted():
        with records.appended(tmp_path) as add:
            add("a", record())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert set(records.read(tmp_path)) == {"a"}


def test_a_file_that_cannot_be_read_is_skipped(tmp_path):
    for key in "ab":
        with records.appended(tmp_path) as add:
            add(key, record())
    damaged, _ = parts(tmp_path)
    damaged.write_bytes(damaged.read_bytes()[:100])
    assert set(records.read(tmp_path)) == {"b"}


def test_files_of_an_earlier_version_are_read(tmp_path):
    """They have no column lag_left; a file that lacks another column is skipped."""
    with records.appended(tmp_path) as add:
        add("a", record(si_snr=Score(3.25)))
        add("b", record())
    (part,) = parts(tmp_path)
    table = parquet.read_table(part)
    parquet.write_table(table.drop_columns("lag_left"), part)
    assert records.read(tmp_path) == {"a": record(si_snr=Score(3.25)), "b": record()}
    parquet.write_table(table.drop_columns("audio_stamp"), part)
    assert records.read(tmp_path) == {}
