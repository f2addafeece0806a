"""Records, the results of each recording in each system: RUN/records/NUMBER.parquet, files that are only ever added.

A file is written as a whole or not at all. If two files have a record of the same recording and system, the later file
counts. A crash therefore loses only the records that were not in a file yet.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.codec.files import written_whole
from earmark.eval.alignment.result import PLAIN_FIELDS, Alignment, from_plain
from earmark.eval.metrics.interface import Score

if TYPE_CHECKING:  # workers only need the record
    import pyarrow as pa

FOLDER = "records"
NEWER = (
    "lag_left",
    "alignment",
    "payload_bytes",
    "coded_seconds",
    "file_bytes",
)  # that files of earlier versions do not have
BLOCK = 1024  # rows that become objects together
SHORTEST = 2.0  # seconds of work in a file
SHARE = 0.01  # of the run's duration so far, in a file of a long run: few files, and little to lose


@dataclass
class Record:
    """Results of one recording in one system.

    Args:
        sample_rate, channels, duration: format as scored; Hz and seconds.
        kbps: measured payload bit rate; None for conditions without a bitstream, and if it was not measured.
        lag: samples at `sample_rate` that the alignment removed, after the codec's documented delay.
        encode_seconds, decode_seconds: time of the codec alone; None for audio that was decoded elsewhere.
        audio_stamp: identifies the decoded file, so that a file replaced by hand is noticed; copying keeps it.
        notes: remarks on the recording, for the report.
        scores: metric and version -> Score.
        lag_left: fraction of a sample that the alignment left; None if it cannot be estimated.
        alignment: what alignment found and did; None in records of earlier versions.
        payload_bytes, coded_seconds: payload, and packets times packet length, whose ratio is `kbps`; None if there is
            no bitstream, and in records of earlier versions, whose rates are over the duration of the source.
        file_bytes: whether the payload is a file of unknown format, container included.
    """

    sample_rate: int
    channels: int
    duration: float
    kbps: float | None
    lag: int
    encode_seconds: float | None
    decode_seconds: float | None
    audio_stamp: str
    notes: list[str]
    scores: dict[str, Score] = field(default_factory=dict)
    lag_left: float | None = None
    alignment: Alignment | None = None
    payload_bytes: float | None = None
    coded_seconds: float | None = None
    file_bytes: bool | None = None


class Records(Mapping[str, Record]):
    """Key -> record, stored as an Arrow table, which takes a third of the memory of the objects.

    Args:
        table: the rows of all files; the last row of a key counts.
    """

    def __init__(self, table: pa.Table) -> None:
        self._rows = {key.as_py(): row for row, key in enumerate(table.column("key"))}
        self._table = table.drop_columns("key").combine_chunks()
        self._block, self._objects = -1, list[Record]()  # the last rows that were read, as a run reads in their order

    def __getitem__(self, key: str) -> Record:
        block, place = divmod(self._rows[key], BLOCK)
        if block != self._block:
            self._objects = list(_objects(self._table.slice(block * BLOCK, BLOCK)))
            self._block = block
        record = self._objects[place]
        return replace(record, notes=list(record.notes), scores=dict(record.scores))  # workers add scores to theirs

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _objects(rows: pa.Table) -> Iterator[Record]:
    """The records of some rows, converted column by column: row by row it takes several times as long."""
    plain = {name: rows.column(name).to_pylist() for name in rows.column_names if name not in ("scores", "alignment")}
    scores = _structs(rows.column("scores").combine_chunks().flatten())
    counts = [count or 0 for count in rows.column("scores").combine_chunks().value_lengths().to_pylist()]
    alignments = _structs(rows.column("alignment").combine_chunks())
    known = rows.column("alignment").is_valid().to_pylist()
    for values, count, alignment, is_known in zip(_zipped(plain), counts, alignments, known, strict=True):
        own = {score.pop("cell"): Score(**score) for score in itertools.islice(scores, count)}
        yield Record(**values, scores=own, alignment=from_plain(alignment) if is_known else None)


def _structs(array: pa.StructArray) -> Iterator[dict[str, Any]]:
    fields = [array.type.field(number).name for number in range(array.type.num_fields)]
    return _zipped({name: array.field(name).to_pylist() for name in fields})


def _zipped(columns: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def read(run: Path) -> Records:
    """Read the records of a run; skips files that cannot be read, whose records are then computed again."""
    return Records(table(run))


def table(run: Path, files: Iterable[Path] | None = None) -> pa.Table:
    """The rows of all files of records, or of those given, in the order of writing.

    Columns: key, and the attributes of `Record`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema()
    tables = [schema.empty_table()]
    for path in sorted((run / FOLDER).glob("*.parquet") if files is None else files):
        try:
            with path.open("rb") as file:
                rows = parquet.read_table(file)
            for name in NEWER:
                if name not in rows.column_names:
                    rows = rows.append_column(name, pa.nulls(len(rows), schema.field(name).type))
            tables.append(rows.select(schema.names).cast(schema))
        except (OSError, pa.ArrowException, KeyError):
            continue
    return pa.concat_tables(tables)


def compact(run: Path, files: Sequence[Path], stamps: Container[str]) -> None:
    """Replace files by one with the last row of each key, if the decoded file that it describes exists.

    Args:
        files: from the first to the last; files that another command adds meanwhile count as later.
        stamps: those of all decoded files.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    from pyarrow import parquet

    rows = table(run, files)
    last = sorted({key: row for row, key in enumerate(rows.column("key").to_pylist())}.values())
    rows = rows.take(last)
    kept = rows.filter([stamp in stamps for stamp in rows.column("audio_stamp").to_pylist()])
    with written_whole(run / FOLDER / f"{files[-1].name[:8]}-compact.parquet") as aside:
        parquet.write_table(kept, aside)
    for path in files:
        if path.name != f"{files[-1].name[:8]}-compact.parquet":
            path.unlink(missing_ok=True)


@contextmanager
def appended(run: Path) -> Iterator[Callable[[str, Record], None]]:
    """Yield a function that stores a key and its record in RUN/records.

    All records are in files when the block ends, by an error or an interrupt, too.

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
    """Write one file, without failed scores, so that the next run tries them again."""
    import pyarrow as pa
    from pyarrow import parquet

    rows = [
        asdict(record)
        | {"key": key}
        | {"scores": [{"cell": cell, **asdict(one)} for cell, one in record.scores.items() if one.status != "error"]}
        for key, record in records.items()
    ]
    number = max((int(path.name[:8]) for path in (run / FOLDER).glob("[0-9]" * 8 + "*.parquet")), default=0) + 1
    with written_whole(run / FOLDER / f"{number:08}-{os.getpid()}.parquet") as aside:  # two commands may write
        parquet.write_table(pa.Table.from_pylist(rows, _schema()), aside)


def _schema() -> pa.Schema:
    import pyarrow as pa

    text = pa.string()
    score = pa.struct([("cell", text), ("value", pa.float64()), ("status", text), ("reason", text)])
    jump = pa.struct([("at", pa.float64()), ("samples", pa.float64())])
    mark = pa.struct([("name", text), ("detail", text)])
    types = {str: text, int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    plain = [(name, types[kind]) for name, kind in PLAIN_FIELDS.items()]
    alignment = pa.struct([*plain, ("jumps", pa.list_(jump)), ("marks", pa.list_(mark))])
    return pa.schema([
        ("key", text), ("sample_rate", pa.int32()), ("channels", pa.int32()), ("duration", pa.float64()),
        ("kbps", pa.float64()), ("lag", pa.int32()), ("encode_seconds", pa.float64()),
        ("decode_seconds", pa.float64()), ("audio_stamp", text), ("notes", pa.list_(text)), ("scores", pa.list_(score)),
        ("lag_left", pa.float64()), ("alignment", alignment), ("payload_bytes", pa.float64()),
        ("coded_seconds", pa.float64()), ("file_bytes", pa.bool_()),
    ])  # fmt: skip
