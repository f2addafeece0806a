"""`earmark compare`: recordings x systems x metrics -> RUN/scores.parquet and RUN/run.json."""

from __future__ import annotations

import functools
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from baselines.interface import System
from baselines.systems import family_of, parse
from codec.errors import UserError
from codec.files import write_text, written_whole
from codec.progress import progress
from eval import corpus, records
from eval.corpus import ReferenceFormat, Source
from eval.corpus_file import read_corpus
from eval.failures import failures
from eval.metrics import registry
from eval.metrics.registry import Score, failed
from eval.pool import run_tasks
from eval.records import Record
from eval.run_folder import INFO, REFERENCE, SCORES, read_info, read_scores
from eval.work import Outcome, Task, attempt, cell

LIBRARIES = (
    "ai-edge-litert", "av", "matplotlib", "numba", "numpy", "opuslib", "pandas", "pesq", "pyarrow", "pyloudnorm",
    "pystoi", "safetensors", "scipy", "soundfile", "soxr", "torch", "visqol-python",
)  # fmt: skip


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
    if plan.audio_dir.is_file():
        sources = read_corpus(plan.audio_dir)
    else:
        sources = corpus.find(plan.audio_dir, leave_out=plan.run)
    present = [system for system in plan.systems if system.text not in absent]
    tasks, unreadable = _tasks(plan, sources, present)

    wanted = {system.text for system in plan.systems}
    outcomes: dict[tuple[str, str], Outcome] = {}
    todo = []
    known = records.read(plan.run)
    for task in tasks:
        record = known.get(task.key)
        if record is None or not task.describes(record):
            todo.append(task)
        elif task.missing(record):
            todo.append(replace(task, earlier=record))
        else:
            outcomes[task.source.file, task.system] = record
    with progress("compare", len(todo)) as advance, records.appended(plan.run) as remember:
        for task, outcome in _outcomes(plan, todo):
            outcomes[task.source.file, task.system] = outcome
            if isinstance(outcome, Record):
                remember(task.key, outcome)
            advance(f"{task.system}  {task.source.file}")

    def outcome_of(file: str, system: str) -> Outcome:
        return unreadable.get(file) or absent.get(system) or outcomes[file, system]

    rows = [
        row
        for source in sources
        for system in plan.systems
        for row in _rows(plan, source, system, outcome_of(source.file, system.text))
    ]
    scores = pd.DataFrame(rows).astype({"lag": "Int64"})
    info = _info(plan, sources, tasks, unreadable, outcomes)
    stored = _stored(plan.run, scores, info)
    if stored is None:
        with written_whole(plan.run / SCORES) as aside:
            scores.to_parquet(aside, index=False)
        write_text(plan.run / INFO, json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    computed = sum(task.system in wanted for task in todo)
    return Result(scores, stored or info, computed, changed=stored is None)


def _unavailable(systems: Sequence[System]) -> dict[str, str]:
    """System -> why it cannot run here: as good as failed in every recording, so that the others' results stand."""
    reasons = {system.text: family_of(system).unavailable(system) for system in systems}
    return {system: reason for system, reason in reasons.items() if reason is not None}


def _stored(run: Path, scores: pd.DataFrame, info: dict[str, Any]) -> dict[str, Any] | None:
    """What run.json holds already, if it and the scores beside it tell the same but for when and how they were made."""
    try:
        stored = read_info(run)
        same = {**info, **{key: stored[key] for key in ("created", "command")}} == stored
        return stored if same and read_scores(run).equals(scores) else None
    except (UserError, KeyError):  # no finished run yet
        return None


def _outcomes(plan: Plan, todo: Sequence[Task]) -> Iterator[tuple[Task, Outcome]]:
    if plan.cluster is None:
        return run_tasks(attempt, todo, plan.jobs, _died)
    from eval.cluster import run_on_cluster

    return run_on_cluster(attempt, todo, plan.cluster, _died) if todo else iter(())


def _tasks(plan: Plan, sources: Sequence[Source], present: Sequence[System]) -> tuple[list[Task], dict[str, str]]:
    """All units of work, and the recordings that cannot even be opened with the reason."""
    # The source as it is judged is always kept beside the decoded signals: players and listening tests need it.
    systems = {system.text: system for system in (parse(REFERENCE), *present)}
    wanted = {system.text for system in present}
    versions = {text: family_of(system).version(system) for text, system in systems.items()}
    tasks, unreadable = [], {}
    digest_of = functools.cache(corpus.sha256)  # one sound may be mixed into many recordings
    for source in sources:
        try:
            digest = digest_of(source.path)
            added = digest_of(source.added.path) if source.added else None
        except UserError as error:
            unreadable[source.file] = str(error)
            continue
        metrics = _metrics_for(plan, source.category)
        tasks += [
            Task(plan.run, source, digest, plan.form, text, versions[text], metrics if text in wanted else {}, added)
            for text in systems
        ]
    return tasks, unreadable


def _metrics_for(plan: Plan, category: str) -> dict[str, str]:
    speech = corpus.is_speech(category, plan.speech)
    return {name: registry.find(name, speech=speech).name for name in plan.metrics}


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"


def _rows(plan: Plan, source: Source, system: System, outcome: Outcome) -> list[dict[str, Any]]:
    family = family_of(system)
    rows = []
    for requested, computed in _metrics_for(plan, source.category).items():
        record = outcome if isinstance(outcome, Record) else None
        score: Score = record.scores[cell(computed)] if record else failed(str(outcome))
        rows.append({
            "file": source.file,
            "category": source.category,
            "system": system.text,
            "metric": requested,
            "value": float("nan") if score.value is None else float(score.value),
            "status": score.status,
            "reason": score.reason,
            "kbps_nominal": _number(family.kbps(system)),
            "kbps": _number(record.kbps if record else None),
            "lag": record.lag if record else None,
            "lag_left": _number(record.lag_left if record else None),
            "encode_seconds": _number(record.encode_seconds if record else None),
            "decode_seconds": _number(record.decode_seconds if record else None),
            "duration": _number(record.duration if record else None),
        })  # fmt: skip
    return rows


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _info(
    plan: Plan,
    sources: Sequence[Source],
    tasks: Sequence[Task],
    unreadable: dict[str, str],
    outcomes: dict[tuple[str, str], Outcome],
) -> dict[str, Any]:
    digests = {task.source.file: (task.sha256, task.added_sha256) for task in tasks}
    recordings = []
    for source in sources:
        outcome = unreadable.get(source.file) or outcomes[source.file, REFERENCE]
        digest, added_digest = digests.get(source.file, (None, None))
        entry: dict[str, Any] = {
            "file": source.file, "category": source.category, "sha256": digest, "error": None,
        }  # fmt: skip
        if source.excerpt is not None:
            entry["excerpt"] = list(source.excerpt)
        if source.added is not None:
            added = source.added
            entry["added"] = {"sha256": added_digest, "start": added.start, "snr_db": added.snr_db}
        if isinstance(outcome, Record):
            entry |= {
                "sample_rate": outcome.sample_rate, "channels": outcome.channels, "seconds": outcome.duration,
            }  # fmt: skip
        else:
            entry["error"] = outcome
        recordings.append(entry)
    notes = [note for outcome in outcomes.values() if isinstance(outcome, Record) for note in outcome.notes]
    speech = {source.category for source in sources if corpus.is_speech(source.category, plan.speech)}
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    versions |= {task.system: task.system_version for task in tasks if task.system_version != "1"}
    return {
        "earmark": version("earmark"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": plan.command,
        "audio_dir": str(plan.audio_dir),
        "systems": [system.text for system in plan.systems],
        "metrics": list(plan.metrics),
        "speech_categories": sorted(speech),
        "sample_rate": plan.form.sample_rate,
        "mono": plan.form.mono,
        "versions": versions,
        "metric_versions": {name: registry.find(name).version() for task in tasks for name in task.metrics.values()},
        "recordings": recordings,
        "notes": list(dict.fromkeys(notes)),
    }
