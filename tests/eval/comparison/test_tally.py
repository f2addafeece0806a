"""Results of a run as the rows of scores.parquet."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from earmark.baselines.systems import parse_list
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.work import cell
from earmark.eval.metrics.interface import Score, undefined
from earmark.eval.metrics.registry import find

METRICS = {"si_snr": "si_snr", "stoi": "stoi"}


def record(value: float, lag: int = 0) -> Record:
    scores = {cell(find("si_snr")): Score(value), cell(find("stoi")): undefined("too short")}
    return Record(16000, 1, 2.0, 6.5, lag, 0.25, 0.125, "stamp", [f"note {lag}"], scores, 0.1)


def test_rows_are_in_the_order_of_the_plan():
    sources = [Source(name, Path(name), "speech") for name in ("a", "b")]
    tally = Tally(sources, parse_list("opus@12,anchor@3.5k"), ("si_snr", "stoi"), lambda system, category: METRICS)
    tally.add("b", "anchor@3.5k", record(4.0))
    tally.add("b", "opus@12", "died")
    tally.add("a", "anchor@3.5k", record(2.0))
    tally.add("a", "opus@12", record(1.0, lag=-2))
    tally.add("a", "reference", record(0.0))
    tally.add("b", "reference", "not audio")
    table = tally.table()
    assert [*zip(table.file, table.system, table.metric, strict=True)] == [
        ("a", "opus@12", "si_snr"), ("a", "opus@12", "stoi"), ("a", "anchor@3.5k", "si_snr"),
        ("a", "anchor@3.5k", "stoi"), ("b", "opus@12", "si_snr"), ("b", "opus@12", "stoi"),
        ("b", "anchor@3.5k", "si_snr"), ("b", "anchor@3.5k", "stoi"),
    ]  # fmt: skip
    assert table.status.tolist() == ["ok", "undefined", "ok", "undefined", "error", "error", "ok", "undefined"]
    assert table.reason.tolist() == ["", "too short", "", "too short", "died", "died", "", "too short"]
    assert table.value.dropna().tolist() == [1.0, 2.0, 4.0]
    assert table.lag.tolist() == [-2, -2, 0, 0, pd.NA, pd.NA, 0, 0]
    assert table.lag_left.isna().tolist() == [False] * 4 + [True] * 2 + [False] * 2
    assert table.kbps_nominal[:2].tolist() == [12, 12]
    assert table.kbps_nominal[2:4].isna().all()
    assert tally.formats == {"a": (16000, 1, 2.0), "b": "not audio"}
    assert tally.notes == {"note 0", "note -2"}


def test_a_score_of_another_version_of_a_library_does_not_count():
    """A machine of a cluster may have another version; its record has the score under another name."""
    tally = Tally([Source("a", Path("a"), "speech")], parse_list("opus@12"), ("si_snr", "stoi"), lambda *_: METRICS)
    theirs = record(1.0)
    theirs.scores["stoi, pystoi 0.3.3"] = theirs.scores.pop(cell(find("stoi")))
    tally.add("a", "opus@12", theirs)
    assert tally.table().status.tolist() == ["ok", "error"]
    assert tally.table().reason[1].startswith(f"scored by another version than {cell(find('stoi'))}; install the same")
