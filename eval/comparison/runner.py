"""A run: recordings x systems x metrics -> RUN/scores.parquet, RUN/run.json, RUN/audio and RUN/records.

`run` is what `earmark compare` and `earmark.compare` call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError
from earmark.codec.files import require_own
from earmark.codec.notices import notice
from earmark.codec.progress import progress
from earmark.eval.comparison import accumulation, corpus, recomputed, records
from earmark.eval.comparison.accumulation import EMPTY, Content
from earmark.eval.comparison.availability import require_available, require_sendable, unavailable_systems
from earmark.eval.comparison.corpus import Source, repeated_content
from earmark.eval.comparison.corpus_file import read_corpus
from earmark.eval.comparison.decoded.files import DecodedFiles
from earmark.eval.comparison.digests import Digests
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.listing import Listing, listed
from earmark.eval.comparison.outcomes import outcomes
from earmark.eval.comparison.plan import Plan as Plan
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import INFO, OWN_FILES, discard, written_by_one
from earmark.eval.comparison.run_metadata import CIRCUMSTANCES, planned_metadata, run_metadata
from earmark.eval.comparison.stamps import Stamps
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.tasks import Tasks
from earmark.eval.metrics import registry


@dataclass(frozen=True)
class Result:
    """A run after a command.

    Args:
        scores: one row per file, system and metric; the columns are those of `Tally.table`.
        info: run metadata, the content of run.json.
        own: scores and metadata of this command alone; the run may have more from earlier ones.
        computed: number of pairs of recording and system that were not known before.
        changed: whether the folder had other results before, or none.
    """

    scores: pd.DataFrame
    info: dict[str, Any]
    own: Content
    computed: int
    changed: bool

    @property
    def failures(self) -> list[str]:
        """One line for each reason why scores of this command are missing."""
        return failures(self.own.scores, self.own.info)


@dataclass
class _Prepared:
    """A plan that is checked.

    Args:
        before: content of the run.
        listing: what is in the folder of the recordings; None if a corpus file or list names them.
        unavailable: systems that cannot run here, and why.
        metrics: system -> the metrics to score it by.
        tally: has the reasons of systems that cannot run.
    """

    plan: Plan
    sources: list[Source]
    listing: Listing | None
    before: Content
    unavailable: dict[str, str]
    metrics: dict[str, list[str]]
    digests: Digests
    stamps: Stamps
    tally: Tally
    tasks: Tasks

    @property
    def all_metrics(self) -> list[str]:
        return list(dict.fromkeys(name for names in self.metrics.values() for name in names))

    def stay(self, before: Content) -> pd.DataFrame:
        """The rows of a run that this command does not replace."""
        metrics = {text: names for text, names in self.metrics.items() if text not in self.unavailable}
        rows = accumulation.kept(before.scores, {source.file for source in self.sources}, metrics)
        if rows.empty or not self.tasks.decoded_anew:
            return rows
        anew = [pair in self.tasks.decoded_anew for pair in zip(rows["file"], rows["system"], strict=True)]
        return rows[[not one for one in anew]]  # by other metrics, of a signal that has been replaced

    def own(self) -> Content:
        """Scores and metadata of the command alone."""
        self.tally.notes.update(self.tasks.decoded.notes, repeated_content(self.sources, self.tasks.digests))
        self.tally.notes.update(self.listing.notes if self.listing else ())
        info = run_metadata(
            self.plan, self.sources, self.tasks.digests, self.tasks.versions, self.tasks.parts, self.tally,
            self.tasks.decoded.entries(), self.all_metrics,
        )  # fmt: skip
        if self.listing and self.listing.failures:
            info["unreadable_folders"] = self.listing.failures
        return Content(self.tally.table(), info)


def run(plan: Plan, meanwhile: Iterable[Callable[[], object]] = (), workers: Workers | None = None) -> Result:
    """Compute the scores that the folder of the run does not have yet, and add them to its table.

    A recording, system or metric that fails does not affect the others. Its scores have the status "error" and a
    reason.

    Args:
        plan: what to compute.
        meanwhile: functions that this process calls while worker processes are busy, in no case after them.
        workers: `plan.jobs` processes, which do the work and go on for other work; by default they end with it.

    Raises:
        UserError: no recordings, an unknown metric, decoded audio that belongs to none, something that cannot run here
            (see `Plan.keep_going`), or results that cannot stand beside those of the run.
        WriteError: the folder cannot be written or the disk is full.
    """
    work = _prepared(plan)
    if plan.replace:
        discard(plan.run)
    with nullcontext(workers) if workers is not None else Workers(plan.jobs) as processes:
        _do(work, processes, meanwhile)
    own = work.own()
    before = accumulation.read(plan.run)
    content = _added(work, before, own)
    changed = not _same(before, content)
    if changed:
        with written_by_one(plan.run):
            content = _added(work, accumulation.read(plan.run), own)
            accumulation.write(content, plan.run)
    return Result(content.scores, content.info if changed else before.info, own, work.tasks.computed, changed)


def _added(work: _Prepared, before: Content, own: Content) -> Content:
    """The content of the run with the results of a command.

    Raises:
        UserError: they do not fit together.
    """
    stay = work.stay(before)
    accumulation.check(before, stay, own.info, work.plan.run)
    if work.unavailable and not stay.empty:  # earlier scores of a system that cannot run now
        cells = [pd.MultiIndex.from_frame(rows[["file", "system", "metric"]]) for rows in (own.scores, stay)]
        own = Content(own.scores[~cells[0].isin(cells[1])], own.info)
    content = accumulation.merged(before, own, stay)
    content.info["history"] = accumulation.history(before.info)
    return content


def _same(before: Content, after: Content) -> bool:
    """Whether two contents differ in circumstances only."""
    infos = [{key: value for key, value in one.info.items() if key not in CIRCUMSTANCES} for one in (before, after)]
    return infos[0] == infos[1] and before.scores.equals(after.scores)


def preview(plan: Plan) -> tuple[list[Source], int, int]:
    """The recordings of a run, its pairs of recording and system, and how many it would compute; writes nothing.

    Raises:
        UserError: see `run`.
    """
    work = _prepared(plan)
    tasks = work.tasks
    _announce(work)
    for _ in tasks.to_do(work.digests, work.stamps, work.tally, lambda step: None):
        pass
    return work.sources, len(work.sources) * len(plan.compared) - tasks.decoded.missing, tasks.computed


def _prepared(plan: Plan) -> _Prepared:
    """Check a plan, find its recordings and decoded audio, and look at what the run has.

    Raises:
        UserError: see `run`.
    """
    for name in plan.metrics:
        registry.find(name)
    _require_names(plan)
    _require_own_folder(plan)
    require_available(plan)
    require_sendable(plan)
    unavailable = unavailable_systems(plan.compared)
    listing = _listing(plan)
    sources = _sources(plan, listing)
    decoded = DecodedFiles(plan.decoded, sources)
    before = EMPTY if plan.replace else accumulation.read(plan.run)
    metrics = accumulation.metrics_by_system(plan, before)
    every = list(dict.fromkeys(name for names in metrics.values() for name in names))

    @functools.cache  # asked for every pair of recording and system
    def metrics_of(text: str, category: str) -> dict[str, str]:
        return plan.metrics_for(category, metrics[text])

    tally = Tally(sources, plan.compared, every, metrics_of)
    for source in sources:
        for system, reason in unavailable.items():
            tally.add(source.file, system, reason)
    available = [system for system in plan.compared if system.text not in unavailable]
    tasks = Tasks(plan, sources, available, decoded, metrics)
    digests = Digests(plan.run, listing.versions if listing else {})
    work = _Prepared(plan, sources, listing, before, unavailable, metrics, digests, Stamps(plan.run), tally, tasks)
    if before.info:
        known = {source.file: _digests(source, work.digests) for source in sources}
        accumulation.check(before, work.stay(before), planned_metadata(plan, sources, known), plan.run)
    return work


def _digests(source: Source, digests: Digests) -> tuple[str | None, str | None]:
    """Hashes of a recording and of the one mixed into it; None if they cannot be read, which their task reports."""
    try:
        return digests.of(source.path), digests.of(source.added.path) if source.added else None
    except UserError:
        return None, None


def _require_names(plan: Plan) -> None:
    texts = {system.text for system in plan.systems}
    for one in plan.decoded:
        if one.system.text in texts:
            raise UserError(f"--decoded {one.system.text}: --systems has this name, too; choose another")


def _require_own_folder(plan: Plan) -> None:
    marks = (INFO, "records", "digests.json")  # a run that ended at once has the last two alone
    require_own(plan.run, marks, OWN_FILES)


def _listing(plan: Plan) -> Listing | None:
    """Contents of the folder of the recordings; None if a corpus file or list names them."""
    if plan.sources is not None:
        return None
    if plan.run.resolve() == plan.audio_dir.resolve():
        raise UserError(f"--out {plan.run}: has the recordings; name another folder, e.g. {plan.run / 'run'}")
    return None if plan.audio_dir.is_file() else listed(plan.audio_dir, leave_out=plan.run)


def _sources(plan: Plan, listing: Listing | None) -> list[Source]:
    if plan.sources is not None:
        return list(plan.sources)
    if listing is None:
        return read_corpus(plan.audio_dir, leave_out=plan.run)
    return corpus.sources_in(listing)


def _do(work: _Prepared, workers: Workers, meanwhile: Iterable[Callable[[], object]]) -> None:
    """Do the tasks that are not known yet, and add all results to the tally and to RUN/records."""
    plan, tasks, tally = work.plan, work.tasks, work.tally
    _announce(work)
    try:
        with progress("compare", tasks.most) as advance, records.appended(plan.run) as remember:
            for task, outcome in outcomes(
                plan, tasks.to_do(work.digests, work.stamps, tally, advance), work.all_metrics, workers, meanwhile
            ):
                tally.add(task.source.file, task.system.text, outcome)
                if isinstance(outcome, Record):
                    remember(task.key, outcome)
                    work.stamps.remember(task.source.file, task.system.text, outcome.audio_stamp)
                advance(f"{task.system.text}  {task.source.file}")
        _align_again(work, workers)
    finally:
        work.digests.save()
        work.stamps.save()


def _align_again(work: _Prepared, workers: Workers) -> None:
    """Align the files whose delay is unclear, or another, by the delay that most files of their system share."""
    again = list(work.tasks.to_align_again(work.digests, work.tally))
    if not again:
        return
    with progress("align", len(again)) as advance, records.appended(work.plan.run) as remember:
        for task, outcome in outcomes(work.plan, iter(again), work.all_metrics, workers):
            work.tally.add(task.source.file, task.system.text, outcome)
            if isinstance(outcome, Record):
                remember(task.key, outcome)
                work.stamps.remember(task.source.file, task.system.text, outcome.audio_stamp)
            advance(f"{task.system.text}  {task.source.file}")


def _announce(work: _Prepared) -> None:
    """Say which decoded files were matched, and what is computed again and why."""
    work.tasks.decoded.announce(work.digests, work.before.info)
    recordings = {source.file: _digests(source, work.digests)[0] for source in work.sources} if work.before.info else {}
    versions = {text: version for text, version in work.tasks.versions.items() if text in work.tasks.scored}
    for line in recomputed.reasons(work.before.info, versions, work.tasks.parts, recordings, work.plan.fresh):
        notice(f"note: {line}")
