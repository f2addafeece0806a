"""The plan of a run: recordings, systems, metrics, and where and how the work is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from earmark.baselines.interface import System
from earmark.eval.comparison.alignment import AUTO, Policy
from earmark.eval.comparison.corpus import ReferenceFormat, Source, is_speech
from earmark.eval.comparison.decoded.folders import DecodedSystem
from earmark.eval.metrics import registry


@dataclass(frozen=True)
class Plan:
    """Input of a run.

    Args:
        audio_dir: folder of recordings, or a corpus file (corpus_file.py).
        systems: codecs at one setting each; see `earmark.baselines.systems.parse`.
        metrics: names as the user wrote them, e.g. "visqol".
        run: folder of the results; finished work in it is not repeated.
        format: sample rate and channels in which recordings are coded and scored.
        speech: shell patterns of the categories that ViSQOL scores in speech mode.
        jobs: number of worker processes; 0 does the work in this process, one recording after the other.
        command: command line or call that made the run, for run.json.
        cluster: address of a Dask scheduler, whose workers see the same files; None for processes of this machine.
        keep_going: run the rest if a system or metric cannot run here, instead of refusing the plan.
        decoded: systems given by their decoded audio.
        replace: start over, instead of adding to what the folder holds.
        fresh: texts of systems to compute again, though their results are known.
        sources: the recordings, if a list of pairs names them; None: those of `audio_dir`.
        alignment: how systems are aligned.
    """

    audio_dir: Path
    systems: tuple[System, ...]
    metrics: tuple[str, ...]
    run: Path
    format: ReferenceFormat
    speech: tuple[str, ...]
    jobs: int
    command: str
    cluster: str | None = None
    keep_going: bool = True
    decoded: tuple[DecodedSystem, ...] = ()
    replace: bool = False
    sources: tuple[Source, ...] | None = None
    alignment: Policy = AUTO
    fresh: frozenset[str] = frozenset()

    @property
    def compared(self) -> tuple[System, ...]:
        """All systems: codecs, then those given by their decoded audio."""
        return (*self.systems, *(one.system for one in self.decoded))

    @property
    def in_process(self) -> bool:
        """Whether codecs and metrics stay in this process, so that they need not be sent anywhere."""
        return self.jobs == 0 and self.cluster is None

    def metrics_for(self, category: str, names: Iterable[str] | None = None) -> dict[str, str]:
        """Metrics as the user wrote them -> as computed for a category, e.g. {"visqol": "visqol_speech"}.

        Args:
            names: default: the metrics of the plan.
        """
        speech = is_speech(category, self.speech)
        chosen = self.metrics if names is None else names
        return {name: registry.find(name, speech=speech).name for name in chosen}

    def metric_versions(self) -> dict[str, str]:
        """Metric -> its version here, for every metric that a category may be scored by."""
        chosen = [registry.find(name, speech=speech) for name in self.metrics for speech in (True, False)]
        return {metric.name: metric.version() for metric in chosen}
