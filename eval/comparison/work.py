"""A task: one recording through one system, aligned and scored, and the key under which its record is stored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from earmark.baselines.identity import lasting_version
from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.codec.errors import UserError, WriteError
from earmark.codec.remote_paths import local_copy
from earmark.codec.text import without_temporary_paths
from earmark.eval.alignment.result import Rule
from earmark.eval.comparison import corpus, run_folder
from earmark.eval.comparison.alignment import AUTO, Policy, is_documented
from earmark.eval.comparison.corpus import ReferenceFormat, Source
from earmark.eval.comparison.decoded import loading
from earmark.eval.comparison.decoded.loading import DecodedFile
from earmark.eval.comparison.pair import Pair, matched, scored
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.stamps import stamp
from earmark.eval.metrics import registry, transport
from earmark.eval.metrics.interface import Metric
from earmark.eval.metrics.spectrum import band_note

RECORD_VERSION = 1  # part of every key; raise it if the same inputs give another record


@dataclass(frozen=True)
class Task:
    """One recording through one system, with the metrics to compute.

    Args:
        run: folder of the run.
        sha256: hash of the source file.
        format: sample rate and channels in which the recording is coded and scored.
        system: also carries the user's own codec and time limit to the worker.
        system_version: version of the codec in the process that made the task.
        metrics: as the user wrote them -> as computed for this category, e.g. {"visqol": "visqol_speech"}.
        added_sha256: hash of the file that is mixed into the source; None if there is none.
        earlier: record that lacks some of the metrics; None if the recording is to be coded.
        external_metrics: metrics that a worker process may not know, from `transport.pack`.
        stamp: size and time of the source file when it was hashed, see `corpus.stamp_of`; None if they are not known.
        given: the decoded file of a system that is given by its decoded audio.
        alignment: how to align.
        shared: the delay that most files share, if this one is to be aligned again by it.
    """

    run: Path
    source: Source
    sha256: str
    format: ReferenceFormat
    system: System
    system_version: str
    metrics: dict[str, str]
    added_sha256: str | None = None
    earlier: Record | None = None
    external_metrics: bytes = b""
    given: DecodedFile | None = None
    alignment: Policy = AUTO
    shared: Rule | None = None
    stamp: corpus.Stamp | None = None

    @property
    def key(self) -> str:
        """Hash of everything that determines the decoded signal, and of the name under which it is stored."""
        parts: list[Any] = [
            RECORD_VERSION,
            self.source.file,
            self.sha256,
            {"sample_rate": self.format.sample_rate, "mono": self.format.mono},
            self.system.text,
            self.system_version,
        ]
        if self.source.excerpt is not None:
            parts.append(list(self.source.excerpt))
        if self.source.added is not None:
            parts.append([self.added_sha256, self.source.added.start, self.source.added.snr_db])
        if self.source.room is not None:
            parts.append({"room": self.source.room.identity})
        if self.given is not None:
            parts.append([self.given.sha256, self.given.bits])
        if aligned_by := self.alignment.identity(self.system):
            parts.append(aligned_by)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def audio_path(self) -> Path:
        return run_folder.audio_path(self.run, self.system.text, self.source.file)

    def rule(self, reference: audio.Recording) -> Rule:
        """How to align with a recording."""
        return self.shared or self.alignment.rule(self.system, reference.sample_rate)

    def require_unchanged(self) -> None:
        """Check that the source file still has the content that the run knows.

        Raises:
            UserError: it does not.
        """
        path = self.source.path
        if self.stamp is not None and corpus.stamp_of(path) != self.stamp and corpus.sha256(path) != self.sha256:
            raise UserError(f"{self.source.file}: changed during the run; run again")

    def missing(self, record: Record) -> list[str]:
        """Metrics that the record has no score for."""
        return [name for name in dict.fromkeys(self.metrics.values()) if cell(self.find(name)) not in record.scores]

    def find(self, name: str) -> Metric:
        """The metric of a name; those that came with the task take precedence."""
        return transport.unpack(self.external_metrics).get(name) or registry.find(name)


def cell(metric: Metric) -> str:
    """Name of a metric's score in a record; scores of different versions are different scores."""
    return f"{metric.name}, {metric.version()}"


def perform(task: Task) -> Record:
    """Do a task and return its complete record.

    Raises:
        UserError: the recording cannot be read, or the codec failed.
        WriteError: results cannot be stored.
    """
    reference, note = corpus.load(task.source, task.format)
    task.require_unchanged()
    if task.earlier is None:
        record, decoded = _code(task, reference) if task.given is None else _take(task, task.given, reference)
        record.notes += [note] if note else []
        if task.system.text == run_folder.REFERENCE and (empty := band_note(reference.samples, reference.sample_rate)):
            record.notes.append(f"{task.source.file}: {empty}")
    else:
        with local_copy(task.audio_path) as path:
            record, decoded = task.earlier, audio.read(path).samples
    for name in task.missing(record):
        metric = task.find(name)
        record.scores[cell(metric)] = scored(metric, reference, decoded, record.alignment)
    return record


def _code(task: Task, reference: audio.Recording) -> tuple[Record, audio.Audio]:
    """Run the codec."""
    system = task.system
    family = family_of(system)
    here = lasting_version(system)
    if here != task.system_version and not task.system_version.startswith(f"{here}, folders "):
        raise UserError(
            f"{system.text}: {here} where the run has {task.system_version}; install the same on every machine, or run "
            "again if its files changed meanwhile"
        )
    codec = family.open(system, reference.sample_rate, reference.channels)
    result = transcode(codec, reference.samples, reference.sample_rate, any_length=not is_documented(system))
    pair = matched(reference, audio.Recording(result.audio, reference.sample_rate), task.rule(reference), result.notes)
    rate = Rate(result.payload_bits, result.coded_seconds or reference.seconds, result.file_bytes)
    times = (result.encode_seconds, result.decode_seconds)
    split = family.coded and codec.channels == 1 and reference.channels > 1
    notes = (
        [f"{system.text}: is mono and codes the channels of stereo one by one, at twice its bit rate"] if split else []
    )
    if getattr(codec, "limited_to_16_bit", False) and corpus.exceeds_16_bit(task.source):
        notes.append(
            f"{system.text}: {{input}} is a 16-bit file, to which recordings of more than 16 bits or beyond full scale "
            "were rounded; write {input24} for 24 bits"
        )
    return _stored(task, reference, pair, rate if family.coded else None, times, notes), pair.decoded


def _take(task: Task, given: DecodedFile, reference: audio.Recording) -> tuple[Record, audio.Audio]:
    """Read the decoded file, and store it as it is scored: in the format of the recording and aligned with it."""
    original = loading.load(given, task.source, reference)
    pair = matched(reference, original, task.rule(reference))
    rate = None if given.bits is None else Rate(given.bits, given.seconds or reference.seconds, given.file_bytes)
    notes = loading.notes(task.system.text, task.source, reference, original, pair)
    return _stored(task, reference, pair, rate, (None, None), notes), pair.decoded


class Rate(NamedTuple):
    """Payload in bits, coded duration in seconds, and whether the payload is a file of unknown format."""

    bits: int
    seconds: float
    file_bytes: bool


def _stored(
    task: Task, reference: audio.Recording, pair: Pair, rate: Rate | None,
    seconds: tuple[float | None, float | None], notes: list[str],
) -> Record:  # fmt: skip
    """Store the aligned audio, and return its record without scores."""
    audio.write(task.audio_path, pair.decoded, reference.sample_rate)
    return Record(
        sample_rate=reference.sample_rate,
        channels=reference.channels,
        duration=reference.seconds,
        kbps=None if rate is None else rate.bits / rate.seconds / 1000,
        payload_bytes=None if rate is None else rate.bits / 8,
        coded_seconds=None if rate is None else rate.seconds,
        file_bytes=None if rate is None else rate.file_bytes,
        lag=pair.lag,
        lag_left=pair.lag_left,
        encode_seconds=seconds[0],
        decode_seconds=seconds[1],
        audio_stamp=stamp(task.audio_path),
        notes=notes,
        alignment=pair.alignment,
    )


Outcome = Record | str  # a record, or the reason why there is none


def attempt(task: Task, work: Callable[[Task], Record] = perform) -> Outcome:
    """Do a task, and return the reason if it fails: one bad file or codec must not cost the others their scores.

    Raises:
        WriteError: results cannot be stored, which ends the run.
    """
    try:
        return work(task)
    except WriteError:
        raise
    except UserError as error:
        return without_temporary_paths(str(error))
    except Exception as error:
        return without_temporary_paths(f"{type(error).__name__}: {error}")
