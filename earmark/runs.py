"""Comparing codecs from Python: `compare` makes a run, `load_run` opens one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.baselines.interface import Codec, Family, System
from earmark.baselines.systems import as_system
from earmark.codec.remote_paths import path_or_url
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.pool import usable_cores
from earmark.eval.comparison.run_folder import REPORT, read_info, read_scores
from earmark.eval.report.results import write_results
from earmark.eval.statistics.aggregate import summarise


@dataclass(frozen=True)
class Run:
    """Scores of recordings in several codecs, and the folder that holds them.

    Args:
        folder: path or URL; it holds the scores, the decoded audio and the report.
        scores: one row per recording, system and metric. Main columns: file, category, system, metric, value, status
            ("ok", "undefined" or "error"), reason, kbps (measured), lag (samples removed by the alignment).
        metadata: content of run.json: command, machine, versions, recordings with their hashes.
    """

    folder: Path
    scores: pd.DataFrame
    metadata: dict[str, Any]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean scores with 95 % confidence intervals: one row per system, category and metric.

        Columns: system, category ("all" for all recordings), metric, n, undefined, failed, mean, ci95_low, ci95_high,
        kbps_nominal, kbps, encode_rtf, decode_rtf.
        """
        return summarise(self.scores)

    @property
    def failures(self) -> list[str]:
        """One line for each reason why scores are missing, e.g. an unreadable recording."""
        return failures(self.scores, self.metadata)

    @property
    def report(self) -> Path:
        """The report, a page that opens in any browser."""
        return self.folder / REPORT

    def __repr__(self) -> str:
        recordings, systems = len(self.metadata["recordings"]), len(self.metadata["systems"])
        return f"<Run '{self.folder}': {recordings} recordings, {systems} systems, {len(self.scores)} scores>"


def compare(
    audio: str | Path,
    systems: Iterable[str | System | Family | Codec | Callable[..., Codec]],
    *,
    out: str | Path,
    metrics: Iterable[str] = ("si_snr", "visqol"),
    sample_rate: int | None = None,
    mono: bool = False,
    speech: Iterable[str] = SPEECH_PATTERNS,
    jobs: int | None = None,
    cluster: str | None = None,
) -> Run:
    """Encode, decode, align and score recordings with several codecs, and write the report.

    The work is done in worker processes. What the folder `out` has already is not computed again, so that an
    interrupted comparison continues.

    Args:
        audio: folder of recordings, whose sub-folders are categories, or a corpus file (TOML); a path or URL.
        systems: system strings, e.g. "opus@12" or "encodec_24khz@3:lm"; also names given to `register_codec`, and
            codecs themselves in the forms of `register_codec`.
        out: folder for scores, decoded audio and report; a path or URL.
        metrics: names of metrics, see `earmark metrics`; also names given to `register_metric`.
        sample_rate: in Hz; default: each recording's own, up to 48 kHz.
        mono: average the channels of each recording first.
        speech: shell patterns of the categories that ViSQOL scores in speech mode.
        jobs: worker processes; default: all cores.
        cluster: address of a Dask scheduler, e.g. "tcp://host:8786", whose workers do the work instead.

    Returns:
        The run. Recordings and systems that failed are among its `failures`, and cost the others nothing.

    Raises:
        UserError: if there are no recordings, a system string or metric is unknown, or no system can run here.
        WriteError: if `out` cannot be written.

    Examples:
        >>> run = earmark.compare("recordings/", ["opus@12", "mp3@64"], metrics=["visqol", "pesq"], out="run/")
        >>> run.scores.groupby(["system", "metric"])["value"].mean()
    """
    parsed = tuple(as_system(system) for system in systems)
    names, folder = tuple(metrics), path_or_url(str(out))
    texts = [system.text for system in parsed]
    call = f"earmark.compare({str(audio)!r}, {texts}, metrics={list(names)}, out={str(out)!r})"
    plan = runner.Plan(
        audio_dir=path_or_url(str(audio)), systems=parsed, metrics=names, run=folder,
        format=ReferenceFormat(sample_rate, mono), speech=tuple(speech), jobs=jobs or usable_cores(), command=call,
        cluster=cluster,
    )  # fmt: skip
    result = runner.run(plan)
    write_results(folder, result.scores, result.info, if_missing=not result.changed)
    return Run(folder, result.scores, result.info)


def load_run(folder: str | Path) -> Run:
    """Open a run that `compare` or `earmark compare` made.

    Args:
        folder: folder of the run; a path or URL.

    Raises:
        UserError: if there is no finished run.

    Examples:
        >>> earmark.load_run("run/").summary.query("metric == 'visqol'")
    """
    path = path_or_url(str(folder))
    return Run(path, read_scores(path), read_info(path))
