"""`earmark compare`: recordings x systems x metrics -> RUN/scores.parquet and RUN/run.json."""

from __future__ import annotations

import functools
import itertools
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.baselines.interface import System
from earmark.baselines.registry import family_of
from earmark.baselines.systems import parse
from earmark.codec.errors import UserError
from earmark.codec.files import write_text, written_whole
from earmark.codec.progress import progress
from earmark.eval.comparison import corpus, records
from earmark.eval.comparison.corpus import ReferenceFormat, Source
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.digests import Digests
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.machine import machine
from earmark.eval.comparison.pool import run_tasks
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import INFO, REFERENCE, SCORES, read_info, read_scores
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.work import Outcome, Task, attempt
from earmark.eval.metrics import registry, transport

LIBRARIES = (
    "ai-edge-litert", "av", "matplotlib", "numba", "numpy", "opuslib", "pandas", "pesq", "pyarrow", "pyloudnorm",
    "pystoi", "safetensors", "scipy", "soundfile", "soxr", "torch", "visqol-python",
)  # fmt: skip


HOW = ("created", "command", "machine")  # of run.json: what another run may have otherwise and still say the same


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Args:
        audio_dir: folder of recordings, or a corpus file (corpus_file.py).
        metrics: names as requested, e.g. "visqol".
        speech: shell patterns of the categories that ViSQOL hears in speech mode.
        command: how the user asked, for the record.
        cluster: address of a Dask scheduler, whose workers see the same files; None for processes of this machine.
    """

    audio_dir: Path
    systems: tuple[System, ...]
    metrics: tuple[str, ...]
    run: Path
    form: ReferenceFormat
    speech: tuple[str, ...]
    jobs: int
    command: str
    cluster: str | None = None


@dataclass(frozen=True)
class Result:
    """A finished run.

    Args:
        scores: one row per (file, system, metric); the columns are listed in `row`.
        info: content of run.json.
        computed: pairs of recording and system that were not already known.
        changed: whether the run's folder held anything else before.
    """

    scores: pd.DataFrame
    info: dict[str, Any]
    computed: int
    changed: bool

    @property
    def failures(self) -> list[str]:
        """What failed, and why, in few lines."""
        return failures(self.scores, self.info)


def run(plan: Plan) -> Result:
    """Do what is missing, then write the table of all that was asked for.

    Raises:
        UserError: no recordings, an unknown metric, none of the systems can run here.
        WriteError: results cannot be stored.
    """
    for name in plan.metrics:
        registry.find(name)
    absent = _unavailable(plan.systems)
    if len(absent) == len(plan.systems):
        raise UserError(next(f"{system}: {reason}" for system, reason in absent.items()))
    if plan.run.resolve() == plan.audio_dir.resolve():
        raise UserError(f"--out {plan.run}: has the recordings; name another folder, e.g. {plan.run / 'run'}")
    if plan.audio_dir.is_file():
        sources = read_corpus(plan.audio_dir, leave_out=plan.run)
    else:
        sources = corpus.find(plan.audio_dir, leave_out=plan.run)
    tally = Tally(sources, plan.systems, plan.metrics, functools.partial(_metrics_for, plan))
    for source in sources:
        for system, reason in absent.items():
            tally.add(source.file, system, reason)
    tasks = _Tasks(plan, sources, [system for system in plan.systems if system.text not in absent])
    digests = Digests(plan.run)
    try:
        with progress("compare", tasks.most) as advance, records.appended(plan.run) as remember:
            for task, outcome in _outcomes(plan, tasks.to_do(digests, tally, advance)):
                tally.add(task.source.file, task.system.text, outcome)
                if isinstance(outcome, Record):
                    remember(task.key, outcome)
                advance(f"{task.system.text}  {task.source.file}")
    finally:
        digests.save()

    scores = tally.table()
    info = _info(plan, sources, tasks, tally)
    stored = _stored(plan.run, scores, info)
    if stored is None:
        with written_whole(plan.run / SCORES) as aside:
            scores.to_parquet(aside, index=False)
        write_text(plan.run / INFO, json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    return Result(scores, stored or info, tasks.computed, changed=stored is None)


def _unavailable(systems: Sequence[System]) -> dict[str, str]:
    """System -> why it cannot run here: as good as failed in every recording, so that the others' results stand."""
    reasons = {system.text: family_of(system).unavailable(system) for system in systems}
    return {system: reason for system, reason in reasons.items() if reason is not None}


def _stored(run: Path, scores: pd.DataFrame, info: dict[str, Any]) -> dict[str, Any] | None:
    """What run.json holds already, if it and the scores beside it tell the same but for when and how they were made."""
    try:
        stored = read_info(run)
        same = {**info, **{key: stored[key] for key in HOW}} == stored
        return stored if same and read_scores(run).equals(scores) else None
    except (UserError, KeyError):  # no finished run yet
        return None


def _outcomes(plan: Plan, to_do: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
    if plan.cluster is None:
        return run_tasks(attempt, to_do, plan.jobs, _died, group=lambda task: task.source.file)
    first = next(to_do, None)
    if first is None:  # no need of a cluster
        return iter(())
    from earmark.eval.comparison.cluster import run_on_cluster

    return run_on_cluster(attempt, itertools.chain([first], to_do), plan.cluster, _died)


class _Tasks:
    """The units of work, made one by one as they are needed: a large run has more of them than memory.

    Args:
        present: the systems that can run here.
    """

    def __init__(self, plan: Plan, sources: Sequence[Source], present: Sequence[System]) -> None:
        self.plan, self.sources = plan, sources
        self.external_metrics = transport.pack(plan.metrics)
        # The source as judged is always kept beside the decoded signals: players and listening tests need it.
        self.systems = {system.text: system for system in (parse(REFERENCE), *present)}
        self.versions = {text: family_of(system).version(system) for text, system in self.systems.items()}
        self.wanted = {system.text for system in present}
        self.most = len(sources) * len(self.systems)
        self.computed = 0  # of those that were wanted
        self.digests: dict[str, tuple[str, str | None]] = {}  # of each recording, and of what is mixed into it

    def to_do(self, digests: Digests, tally: Tally, advance: Callable[[str], None]) -> Iterator[Task]:
        """What is not known yet; what is, and recordings that cannot be opened, go to the tally at once."""
        known = records.read(self.plan.run)
        for source in self.sources:
            try:
                added = digests.of(source.added.path) if source.added else None
                self.digests[source.file] = (digests.of(source.path), added)
            except UserError as error:
                for text in self.versions:
                    tally.add(source.file, text, str(error))
                    advance(f"{text}  {source.file}")
                continue
            for task in self._of(source):
                record = known.get(task.key)
                complete = record is not None and task.describes(record)
                if complete and record is not None and not task.missing(record):
                    tally.add(source.file, task.system.text, record)
                    advance(f"{task.system.text}  {source.file}")
                else:
                    self.computed += task.system.text in self.wanted
                    yield replace(task, earlier=record if complete else None)

    def _of(self, source: Source) -> Iterator[Task]:
        plan, (digest, added) = self.plan, self.digests[source.file]
        metrics = _metrics_for(plan, source.category)
        for text, version_ in self.versions.items():
            wanted = metrics if text in self.wanted else {}
            yield Task(
                plan.run, source, digest, plan.form, self.systems[text], version_, wanted, added,
                external_metrics=self.external_metrics,
            )  # fmt: skip


def _metrics_for(plan: Plan, category: str) -> dict[str, str]:
    speech = corpus.is_speech(category, plan.speech)
    return {name: registry.find(name, speech=speech).name for name in plan.metrics}


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"


def _info(plan: Plan, sources: Sequence[Source], tasks: _Tasks, tally: Tally) -> dict[str, Any]:
    recordings = []
    for source in sources:
        form = tally.forms[source.file]
        digest, added_digest = tasks.digests.get(source.file, (None, None))
        entry: dict[str, Any] = {
            "file": source.file, "category": source.category, "sha256": digest, "error": None,
        }  # fmt: skip
        if source.excerpt is not None:
            entry["excerpt"] = list(source.excerpt)
        if source.added is not None:
            added = source.added
            entry["added"] = {"sha256": added_digest, "start": added.start, "snr_db": added.snr_db}
        if isinstance(form, str):
            entry["error"] = form
        else:
            entry |= dict(zip(("sample_rate", "channels", "seconds"), form, strict=True))
        recordings.append(entry)
    speech = {source.category for source in sources if corpus.is_speech(source.category, plan.speech)}
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    versions |= {system: text for system, text in tasks.versions.items() if text != "1"}
    metrics = {name for source in sources for name in _metrics_for(plan, source.category).values()}
    return {
        "earmark": version("earmark"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "machine": machine() if plan.cluster is None else f"workers of the cluster {plan.cluster}",
        "audio_dir": str(plan.audio_dir),
        "systems": [system.text for system in plan.systems],
        "metrics": list(plan.metrics),
        "speech_categories": sorted(speech),
        "sample_rate": plan.form.sample_rate,
        "mono": plan.form.mono,
        "versions": versions,
        "metric_versions": {name: registry.find(name).version() for name in sorted(metrics)},
        "recordings": recordings,
        "notes": sorted(tally.notes),
    }
