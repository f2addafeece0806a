"""What is known of each recording in each system: RUN/records/NUMBER.parquet, parts that are only ever added.

A part is written whole or not at all, and where two tell of the same recording and system the later one holds. So a
crash, at whatever percent, costs the records that were not in a part yet, and no others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from codec.files import written_whole
from eval.metrics.registry import Score

FOLDER = "records"
SHORTEST = 2.0  # seconds of work in a part
SHARE = 0.01  # of the time since the beginning, in a part of a long run: few parts, and little to lose


@dataclass
class Record:
    """One recording in one system.

    Args:
        kbps: measured payload bit rate, None for conditions without a bitstream.
        lag: samples at `sample_rate` that were still to be taken out after the codec's documented delay.
        audio_stamp: of the decoded file, so that one replaced by hand is noticed, and one copied with its run is not.
        scores: metric and version -> Score.
        lag_left: fraction of a sample that is late after that; None where it cannot be told.
    """

    sample_rate: int
    channels: int
    duration: float
    kbps: float | None
    lag: int
    encode_seconds: float
    decode_seconds: float
    audio_stamp: str
    notes: list[str]
    scores: dict[str, Score] = field(default_factory=dict)
    lag_left: float | None = None


def read(run: Path) -> dict[str, Record]:
    """Key -> record of all parts of a run; a part that cannot be read is as good as none, what it had is made anew."""
    import pyarrow as pa
    from pyarrow import parquet

    found: dict[str, Record] = {}
    for part in sorted((run / FOLDER).glob("*.parquet")):
        try:
            with part.open("rb") as file:
                rows = parquet.read_table(file).to_pylist()
            found |= {row.pop("key"): _record(row) for row in rows}
        except (OSError, pa.ArrowException, KeyError, TypeError):
            continue
    return found


def _record(row: dict[str, Any]) -> Record:
    scores = {score.pop("cell"): Score(**score) for score in row.pop("scores")}
    return Record(**row, scores=scores)


@contextmanager
def appended(run: Path) -> Iterator[Callable[[str, Record], None]]:
    """Call the yielded function with a key and its record; all are in parts of RUN when the block ends.

    That is so however it ends, by an error or an interrupt, too.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    began = last = time.monotonic()
    waiting: dict[str, Record] = {}

    def add(key: str, record: Record) -> None:
        nonlocal last
        waiting[key] = record
        now = time.monotonic()
        if now - last >= max(SHORTEST, SHARE * (now - began)):
            last = now
            _write(run, waiting)
            waiting.clear()

    try:
        yield add
    finally:
        if waiting:
            _write(run, waiting)


def _write(run: Path, records: dict[str, Record]) -> None:
    """Add one part; cells that failed are left out, so that the next run tries them again."""
    import pyarrow as pa
    from pyarrow import parquet

    text = pa.string()
    score = pa.struct([("cell", text), ("value", pa.float64()), ("status", text), ("reason", text)])
    schema = pa.schema([
        ("key", text), ("sample_rate", pa.int32()), ("channels", pa.int32()), ("duration", pa.float64()),
        ("kbps", pa.float64()), ("lag", pa.int32()), ("encode_seconds", pa.float64()),
        ("decode_seconds", pa.float64()), ("audio_stamp", text), ("notes", pa.list_(text)), ("scores", pa.list_(score)),
        ("lag_left", pa.float64()),
    ])  # fmt: skip
    rows = [
        asdict(record)
        | {"key": key}
        | {"scores": [{"cell": cell, **asdict(one)} for cell, one in record.scores.items() if one.status != "error"]}
        for key, record in records.items()
    ]
    number = max((int(part.name[:8]) for part in (run / FOLDER).glob("[0-9]" * 8 + "*.parquet")), default=0) + 1
    # Two commands may work on one run.
    with written_whole(run / FOLDER / f"{number:08}-{os.getpid()}.parquet") as aside:
        parquet.write_table(pa.Table.from_pylist(rows, schema), aside)
