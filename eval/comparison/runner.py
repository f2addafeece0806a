"""A run: recordings x systems x metrics -> RUN/scores.parquet, RUN/run.json, RUN/audio and RUN/records.

`run` is what `earmark compare` and `earmark.compare` call.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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
from earmark.eval.comparison.availability import require_available, unavailable_systems
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.digests import Digests
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.plan import Plan as Plan
from earmark.eval.comparison.pool import run_tasks
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import INFO, REFERENCE, SCORES, read_info, read_scores
from earmark.eval.comparison.run_metadata import CIRCUMSTANCES, run_metadata
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.work import Outcome, Task, attempt
from earmark.eval.metrics import registry, transport


@dataclass(frozen=True)
class Result:
    """A finished run.

    Args:
        scores: one row per file, system and metric; the columns are those of `Tally.table`.
        info: run metadata, the content of run.json.
        computed: number of pairs of recording and system that were not known before.
        changed: whether the folder had other results before, or none.
    """

    scores: pd.DataFrame
    info: dict[str, Any]
    computed: int
    changed: bool

    @property
    def failures(self) -> list[str]:
        """One line for each reason why scores are missing."""
        return failures(self.scores, self.info)


def run(plan: Plan) -> Result:
    """Compute the scores that the folder of the run does not have yet, and write the table of all scores.

    A recording, system or metric that fails does not affect the others. Its scores have the status "error" and a
    reason.

    Raises:
        UserError: no recordings, an unknown metric, or something that cannot run here (see `Plan.keep_going`).
        WriteError: the folder cannot be written or the disk is full.
    """
    sources, tasks, tally = _prepared(plan)
    _do(plan, tasks, tally)

    scores = tally.table()
    info = run_metadata(plan, sources, tasks.digests, tasks.versions, tally)
    stored = _stored(plan.run, scores, info)
    if stored is None:
        with written_whole(plan.run / SCORES) as aside:
            scores.to_parquet(aside, index=False)
        write_text(plan.run / INFO, json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    return Result(scores, stored or info, tasks.computed, changed=stored is None)


def preview(plan: Plan) -> tuple[list[Source], int]:
    """The recordings of a run, and how many pairs of recording and system it would compute; writes nothing.

    Raises:
        UserError: see `run`.
    """
    sources, tasks, tally = _prepared(plan)
    for _ in tasks.to_do(Digests(plan.run), tally, lambda step: None):
        pass
    return sources, tasks.computed


def _prepared(plan: Plan) -> tuple[list[Source], _Tasks, Tally]:
    """Recordings, tasks, and a tally that has what cannot run here.

    Raises:
        UserError: see `run`.
    """
    for name in plan.metrics:
        registry.find(name)
    require_available(plan)
    unavailable = unavailable_systems(plan.systems)
    sources = _sources(plan)
    tally = Tally(sources, plan.systems, plan.metrics, plan.metrics_for)
    for source in sources:
        for system, reason in unavailable.items():
            tally.add(source.file, system, reason)
    return sources, _Tasks(plan, sources, [one for one in plan.systems if one.text not in unavailable]), tally


def _sources(plan: Plan) -> list[Source]:
    if plan.run.resolve() == plan.audio_dir.resolve():
        raise UserError(f"--out {plan.run}: has the recordings; name another folder, e.g. {plan.run / 'run'}")
    if plan.audio_dir.is_file():
        return read_corpus(plan.audio_dir, leave_out=plan.run)
    return corpus.find(plan.audio_dir, leave_out=plan.run)


def _do(plan: Plan, tasks: _Tasks, tally: Tally) -> None:
    """Do the tasks that are not known yet, and add all results to the tally and to RUN/records."""
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


def _stored(run: Path, scores: pd.DataFrame, info: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored run.json if it and the stored scores differ from the new ones in circumstances only."""
    try:
        stored = read_info(run)
        same = {**info, **{key: stored[key] for key in CIRCUMSTANCES}} == stored
        return stored if same and read_scores(run).equals(scores) else None
    except (UserError, KeyError):  # no finished run yet
        return None


def _outcomes(plan: Plan, to_do: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
    if plan.cluster is None:
        return run_tasks(attempt, to_do, plan.jobs, _died, group=lambda task: task.source.file)
    first = next(to_do, None)
    if first is None:  # nothing to do, so that no cluster need answer
        return iter(())
    from earmark.eval.comparison.cluster import run_on_cluster

    return run_on_cluster(attempt, itertools.chain([first], to_do), plan.cluster, _died)


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"


class _Tasks:
    """The tasks of a run, made one by one as they are needed, as those of a large run do not fit into memory.

    Args:
        available: the systems that can run here.

    Attributes:
        most: number of tasks if nothing is known yet.
        computed: number of tasks that were not known, those of the plan's systems only.
        digests: recording -> SHA-256 of its file, and of the file mixed into it.
    """

    def __init__(self, plan: Plan, sources: Sequence[Source], available: Sequence[System]) -> None:
        self.plan, self.sources = plan, sources
        self.external_metrics = transport.pack(plan.metrics)
        # The run always keeps the source as it was scored, as players and listening tests need it.
        self.systems = {system.text: system for system in (parse(REFERENCE), *available)}
        self.versions = {text: family_of(system).version(system) for text, system in self.systems.items()}
        self.scored = {system.text for system in available}
        self.most = len(sources) * len(self.systems)
        self.computed = 0
        self.digests: dict[str, tuple[str | None, str | None]] = {}

    def to_do(self, digests: Digests, tally: Tally, advance: Callable[[str], None]) -> Iterator[Task]:
        """Yield the tasks to do; adds known results, and recordings that cannot be opened, to the tally at once."""
        known = records.read(self.plan.run)
        for source in self.sources:
            try:
                added = digests.of(source.added.path) if source.added else None
                digest = digests.of(source.path)
            except UserError as error:
                for text in self.versions:
                    tally.add(source.file, text, str(error))
                    advance(f"{text}  {source.file}")
                continue
            self.digests[source.file] = digest, added
            for task in self._of(source, digest, added):
                record = known.get(task.key)
                if record is not None and not task.describes(record):
                    record = None
                if record is not None and not task.missing(record):
                    tally.add(source.file, task.system.text, record)
                    advance(f"{task.system.text}  {source.file}")
                else:
                    self.computed += task.system.text in self.scored
                    yield replace(task, earlier=record)

    def _of(self, source: Source, digest: str, added: str | None) -> Iterator[Task]:
        """One task per system."""
        metrics = self.plan.metrics_for(source.category)
        for text, system in self.systems.items():
            yield Task(
                run=self.plan.run,
                source=source,
                sha256=digest,
                format=self.plan.format,
                system=system,
                system_version=self.versions[text],
                metrics=metrics if text in self.scored else {},
                added_sha256=added,
                external_metrics=self.external_metrics,
            )
