"""A run: recordings x systems x metrics -> RUN/scores.parquet, RUN/run.json, RUN/audio and RUN/records.

`run` is what `earmark compare` and `earmark.compare` call.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.files import write_text, written_whole
from earmark.codec.progress import progress
from earmark.eval.comparison import corpus, records
from earmark.eval.comparison.availability import require_available, require_sendable, unavailable_systems
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.decoded.files import DecodedFiles
from earmark.eval.comparison.digests import Digests
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.plan import Plan as Plan
from earmark.eval.comparison.pool import run_tasks
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import INFO, SCORES, read_info, read_scores
from earmark.eval.comparison.run_metadata import CIRCUMSTANCES, run_metadata
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.tasks import Tasks
from earmark.eval.comparison.work import Outcome, Task, attempt
from earmark.eval.metrics import registry


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
        UserError: no recordings, an unknown metric, decoded audio that belongs to none, or something that cannot run
            here (see `Plan.keep_going`).
        WriteError: the folder cannot be written or the disk is full.
    """
    sources, tasks, tally = _prepared(plan)
    _do(plan, tasks, tally)

    scores = tally.table()
    tally.notes.update(tasks.decoded.notes)
    info = run_metadata(plan, sources, tasks.digests, tasks.versions, tally, tasks.decoded.entries())
    stored = _stored(plan.run, scores, info)
    if stored is None:
        with written_whole(plan.run / SCORES) as aside:
            scores.to_parquet(aside, index=False)
        write_text(plan.run / INFO, json.dumps(info, indent=1, ensure_ascii=False) + "\n")
    return Result(scores, stored or info, tasks.computed, changed=stored is None)


def preview(plan: Plan) -> tuple[list[Source], int, int]:
    """The recordings of a run, its pairs of recording and system, and how many it would compute; writes nothing.

    Raises:
        UserError: see `run`.
    """
    sources, tasks, tally = _prepared(plan)
    digests = Digests(plan.run)
    tasks.decoded.announce(digests, _before(plan.run))
    for _ in tasks.to_do(digests, tally, lambda step: None):
        pass
    return sources, len(sources) * len(plan.compared) - tasks.decoded.missing, tasks.computed


def _prepared(plan: Plan) -> tuple[list[Source], Tasks, Tally]:
    """Recordings, tasks, and a tally that has what cannot run here.

    Raises:
        UserError: see `run`.
    """
    for name in plan.metrics:
        registry.find(name)
    _require_names(plan)
    require_available(plan)
    require_sendable(plan)
    unavailable = unavailable_systems(plan.compared)
    sources = _sources(plan)
    decoded = DecodedFiles(plan.decoded, sources)
    tally = Tally(sources, plan.compared, plan.metrics, plan.metrics_for)
    for source in sources:
        for system, reason in unavailable.items():
            tally.add(source.file, system, reason)
    available = [system for system in plan.compared if system.text not in unavailable]
    return sources, Tasks(plan, sources, available, decoded), tally


def _require_names(plan: Plan) -> None:
    texts = {system.text for system in plan.systems}
    for one in plan.decoded:
        if one.system.text in texts:
            raise UserError(f"--decoded {one.system.text}: --systems has this name, too; choose another")


def _sources(plan: Plan) -> list[Source]:
    if plan.run.resolve() == plan.audio_dir.resolve():
        raise UserError(f"--out {plan.run}: has the recordings; name another folder, e.g. {plan.run / 'run'}")
    if plan.audio_dir.is_file():
        return read_corpus(plan.audio_dir, leave_out=plan.run)
    return corpus.find(plan.audio_dir, leave_out=plan.run)


def _do(plan: Plan, tasks: Tasks, tally: Tally) -> None:
    """Do the tasks that are not known yet, and add all results to the tally and to RUN/records."""
    digests = Digests(plan.run)
    tasks.decoded.announce(digests, _before(plan.run))
    try:
        with progress("compare", tasks.most) as advance, records.appended(plan.run) as remember:
            for task, outcome in _outcomes(plan, tasks.to_do(digests, tally, advance)):
                tally.add(task.source.file, task.system.text, outcome)
                if isinstance(outcome, Record):
                    remember(task.key, outcome)
                advance(f"{task.system.text}  {task.source.file}")
    finally:
        digests.save()


def _before(run: Path) -> dict[str, Any]:
    """The stored run.json; {} for a new run."""
    try:
        return read_info(run)
    except UserError:
        return {}


def _stored(run: Path, scores: pd.DataFrame, info: dict[str, Any]) -> dict[str, Any] | None:
    """Return the stored run.json if it and the stored scores differ from the new ones in circumstances only."""
    try:
        stored = read_info(run)
        same = {**info, **{key: stored[key] for key in CIRCUMSTANCES}} == stored
        return stored if same and read_scores(run).equals(scores) else None
    except (UserError, KeyError):  # no finished run yet
        return None


def _outcomes(plan: Plan, to_do: Iterator[Task]) -> Iterator[tuple[Task, Outcome]]:
    if plan.in_process:
        return ((task, attempt(task)) for task in to_do)
    if plan.cluster is None:
        return run_tasks(attempt, to_do, plan.jobs, _died, group=lambda task: task.source.file)
    first = next(to_do, None)
    if first is None:  # nothing to do, so that no cluster need answer
        return iter(())
    from earmark.eval.comparison.cluster import run_on_cluster

    return run_on_cluster(attempt, itertools.chain([first], to_do), plan.cluster, _died)


def _died(task: Task) -> Outcome:
    return "the worker process died (crash in native code, or out of memory)"
