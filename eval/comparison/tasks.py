"""The tasks of a run: what is known already, and what is to be done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from earmark.baselines.identity import parts_of, version_of
from earmark.baselines.interface import System
from earmark.baselines.systems import parse
from earmark.codec.errors import UserError
from earmark.eval.comparison import records
from earmark.eval.comparison.corpus import Source, Stamp, stamp_of
from earmark.eval.comparison.decoded.files import DecodedFiles
from earmark.eval.comparison.decoded.loading import DecodedFile
from earmark.eval.comparison.digests import Digests
from earmark.eval.comparison.plan import Plan
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import REFERENCE
from earmark.eval.comparison.stamps import Stamps
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.work import Task, cell
from earmark.eval.metrics import registry, transport


class Tasks:
    """The tasks of a run, made one by one as they are needed, as those of a large run do not fit into memory.

    Args:
        available: the systems that can run here.
        decoded: the files of systems that are given by their decoded audio.
        metrics: system -> names of its metrics.

    Attributes:
        most: number of tasks if nothing is known yet.
        computed: number of tasks that were not known, those of the plan's systems only.
        digests: recording -> SHA-256 of its file, and of the file mixed into it.
        parts: system -> what its version sums up; absent where that is nothing.
        decoded_anew: pairs of recording and system whose decoded signal is new.
    """

    def __init__(
        self,
        plan: Plan,
        sources: Sequence[Source],
        available: Sequence[System],
        decoded: DecodedFiles,
        metrics: Mapping[str, Sequence[str]],
    ) -> None:
        self.plan, self.sources, self.decoded, self.metrics = plan, sources, decoded, metrics
        every = dict.fromkeys(name for names in metrics.values() for name in names)
        self.external_metrics = b"" if plan.in_process else transport.pack(every)
        # The run always keeps the source as it was scored, as players and listening tests need it.
        self.systems = {system.text: system for system in (parse(REFERENCE), *available)}
        self.versions = {text: version_of(system) for text, system in self.systems.items()}
        self.parts = {text: parts for text, system in self.systems.items() if (parts := parts_of(system))}
        self.scored = {system.text for system in available}
        self.most = len(sources) * len(self.systems)
        self.computed = 0
        self.digests: dict[str, tuple[str | None, str | None]] = {}
        self.decoded_anew: set[tuple[str, str]] = set()
        self._metrics: dict[tuple[str, str], dict[str, str]] = {}  # by category and system
        self._wanted: dict[tuple[str, str], set[str]] = {}

    def to_align_again(self, digests: Digests, tally: Tally) -> Iterator[Task]:
        """Yield the tasks of files that are to be aligned by the delay of the others; see `Consensus`.

        The decoded signal is not stored as the codec gave it, so the file is coded again.
        """
        if not tally.consensus.speaks:
            return
        known = records.read(self.plan.run)
        for source in self.sources:
            digest, added = self.digests.get(source.file, (None, None))
            for task in self._of(source, digest, added) if digest is not None else ():
                if task.system.text in self.decoded:
                    try:
                        given = self.decoded.of(task.system.text, source.file, digests)
                    except UserError:  # the tally has the reason
                        continue
                    task = replace(task, given=given)
                record = known.get(task.key)
                rule = None if record is None else tally.consensus.contradicts(task.system.text, record.alignment)
                if rule is not None:
                    self.decoded_anew.add((source.file, task.system.text))
                    yield replace(task, shared=rule)

    def to_do(self, digests: Digests, stamps: Stamps, tally: Tally, advance: Callable[[str], None]) -> Iterator[Task]:
        """Yield the tasks to do; adds known results, and recordings that cannot be opened, to the tally at once."""
        known: Mapping[str, Record] = {} if self.plan.replace else records.read(self.plan.run)
        for source in self.sources:
            try:
                added = digests.of(source.added.path) if source.added else None
                stamp = stamp_of(source.path)
                digest = digests.of(source.path)
            except UserError as error:
                for text in self.versions:
                    tally.add(source.file, text, str(error))
                    advance(f"{text}  {source.file}")
                continue
            self.digests[source.file] = digest, added
            for task in self._of(source, digest, added, stamp):
                if task.system.text in self.decoded:
                    given = self._given(task, digests, tally)
                    if given is None:
                        advance(f"{task.system.text}  {source.file}")
                        continue
                    task = replace(task, given=given)
                record = known.get(task.key)
                if record is not None and (
                    task.system.text in self.plan.fresh
                    or not stamps.matches(source.file, task.system.text, record.audio_stamp)
                ):
                    record = None
                if record is not None and self._cells(source.category, task.system.text) <= record.scores.keys():
                    tally.add(source.file, task.system.text, record)
                    advance(f"{task.system.text}  {source.file}")
                else:
                    self.computed += task.system.text in self.scored
                    if record is None:
                        self.decoded_anew.add((source.file, task.system.text))
                    yield replace(task, earlier=record)

    def _given(self, task: Task, digests: Digests, tally: Tally) -> DecodedFile | None:
        """The decoded file of a task; None if there is none, or if it cannot be read, which the tally then says."""
        file, system = task.source.file, task.system.text
        try:
            given = self.decoded.of(system, file, digests)
        except UserError as error:
            tally.add(file, system, str(error))
            return None
        if given is None:
            tally.leave_out(file, system)
        return given

    def _metrics_for(self, category: str, text: str) -> dict[str, str]:
        """`Task.metrics` of a category in a system; the same for all of its recordings."""
        if (category, text) not in self._metrics:
            names = self.plan.metrics_for(category, self.metrics[text]) if text in self.scored else {}
            self._metrics[category, text] = names
        return self._metrics[category, text]

    def _cells(self, category: str, text: str) -> Set[str]:
        """The scores that a record of a category in a system must have."""
        if (category, text) not in self._wanted:
            found = transport.unpack(self.external_metrics)
            names = self._metrics_for(category, text).values()
            self._wanted[category, text] = {cell(found.get(name) or registry.find(name)) for name in names}
        return self._wanted[category, text]

    def _of(
        self, source: Source, digest: str, added: str | None, stamp: Stamp | None = None
    ) -> Iterator[Task]:  # fmt: skip
        """One task per system."""
        for text, system in self.systems.items():
            yield Task(
                run=self.plan.run,
                source=source,
                sha256=digest,
                format=self.plan.format,
                system=system,
                system_version=self.versions[text],
                metrics=self._metrics_for(source.category, text),
                added_sha256=added,
                external_metrics=self.external_metrics,
                alignment=self.plan.alignment,
                stamp=stamp,
            )
