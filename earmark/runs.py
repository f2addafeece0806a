"""Comparing codecs from Python: `compare` makes a run, `load_run` opens one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.baselines.interface import Codec, Family, System
from earmark.baselines.systems import as_system
from earmark.codec.cores import usable_cores
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import path_or_url
from earmark.codec.text import counted, split_list
from earmark.eval.comparison import runner
from earmark.eval.comparison.alignment import ALIGN, Align, Policy, read_delays
from earmark.eval.comparison.corpus import HIGHEST_RATE, SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.decoded.options import given_systems
from earmark.eval.comparison.failures import failures
from earmark.eval.comparison.pool import Workers
from earmark.eval.comparison.run_folder import REPORT, read_info, read_scores
from earmark.eval.identity_options import named_systems
from earmark.eval.metrics import registry
from earmark.eval.metrics.interface import Function, Metric
from earmark.eval.report import results
from earmark.eval.statistics.aggregate import summarise

LOWEST_RATE = 8000  # Hz; the codecs here have no lower one


@dataclass(frozen=True)
class Run:
    """Scores of recordings in several codecs, and the folder that holds them.

    Args:
        folder: path or URL; it holds the scores, the decoded audio and the report.
        scores: one row per recording, system and metric; none where a system has no decoded audio of a recording, or
            was not scored by a metric. Main columns: file, category, system, metric, value, status
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
        recordings = counted(len(self.metadata["recordings"]), "recording")
        systems = counted(len(self.metadata["systems"]), "system")
        return f"<Run '{self.folder}': {recordings}, {systems}, {counted(len(self.scores), 'score')}>"


def compare(
    audio: str | Path,
    systems: Iterable[str | System | Family | Codec | Callable[..., Codec]] = (),
    *,
    out: str | Path,
    decoded: Mapping[str, str | Path] | Iterable[str] = (),
    bitstreams: Mapping[str, str | Path] | Iterable[str] = (),
    metrics: Iterable[str | Metric | Function] = ("si_snr", "visqol"),
    sample_rate: int | None = None,
    mono: bool = False,
    speech: Iterable[str] = SPEECH_PATTERNS,
    jobs: int | None = None,
    cluster: str | None = None,
    keep_going: bool = False,
    align: Align = "auto",
    delays: Mapping[str, str] | None = None,
    replace: bool = False,
    fresh: Iterable[str] = (),
) -> Run:
    """Encode, decode, align and score recordings with several codecs, and write the report.

    Worker processes do the work. If the folder `out` has a run, its systems, metrics and recordings stay, and these are
    added. Known results are not computed again, so that an interrupted comparison continues.

    Args:
        audio: folder of recordings, whose sub-folders are categories, or a corpus file (TOML); a path or URL.
        systems: system strings, e.g. "opus@12" or "encodec_24khz@3:lm"; also names given to `register_codec`, codec
            classes and objects as `register_codec` accepts them, and what `as_codec` makes of a model or function.
        out: folder for scores, decoded audio and report; a path or URL.
        decoded: systems whose audio is decoded already: name -> folder, or pattern with {path}, {stem} or {category},
            e.g. {"theirs@6": "dec/theirs"}; or values of --decoded, e.g. ["dec/*"]. A number behind "@" states the bit
            rate. Files are matched by relative path or stem. Recordings without a decoded file have no scores there.
        bitstreams: coded files of systems of `decoded`, whose sizes give the bit rate: name -> folder or pattern.
        metrics: names of metrics, see `earmark metrics`; also names given to `register_metric`, what it returned, and
            plain functions of two arrays, which are registered under their own names.
        sample_rate: rate in Hz, 8000 to 48000, to which recordings are resampled; default: each recording's own, up to
            48 kHz.
        mono: average the channels of each recording first.
        speech: shell patterns of the categories that ViSQOL scores in speech mode.
        jobs: worker processes; default: all cores. 0 does the work in this process, for codecs and metrics that
            cannot be sent to others, or that use a GPU which has room for one copy.
        cluster: address of a Dask scheduler, e.g. "tcp://host:8786", whose workers do the work instead.
        keep_going: run the rest if a system or metric cannot run here; default: raise.
        align: "auto" trusts the documented delays of Earmark's codecs and finds those of all others; "documented"
            trusts that no codec has any delay left; "none" scores the signals as they are.
        delays: system or codec -> delay to remove instead: "22s" for samples, or "1.5ms".
        replace: delete what the run in `out` holds first; default: add to it.
        fresh: systems, or codecs, to compute again though the run has their results.

    On Unix, workers are forked from the server of `multiprocessing`, one per program, which this function starts with
    its own modules loaded. Processes that you start by the method "forkserver" later have the environment variables of
    that time, and not the modules of `set_forkserver_preload`; if you need these, start one of yours first.

    Returns:
        The run. Its `failures` list recordings and systems that failed; the others are not affected.

    Raises:
        UserError: if there are no recordings, a system string or metric is unknown or cannot run here, decoded audio
            belongs to no recording, or another argument is not valid.
        WriteError: if `out` cannot be written.

    Examples:
        >>> run = earmark.compare("recordings/", ["opus@12", "mp3@64"], metrics=["visqol", "pesq"], out="run/")
        >>> run.scores.groupby(["system", "metric"])["value"].mean()
    """
    if isinstance(systems, str):
        systems = split_list(systems)
    parsed = tuple(dict.fromkeys(as_system(system) for system in systems))
    names = registry.names_of(metrics)
    recordings = path_or_url(str(audio))
    given = given_systems(recordings, _values(decoded), _values(bitstreams))
    _check((*parsed, *(one.system for one in given)), names, sample_rate, jobs)
    if align not in ALIGN:
        raise UserError(f"compare: align={align!r} is not one of {', '.join(ALIGN)}")
    policy = Policy(align, read_delays(f"{name}={delay}" for name, delay in (delays or {}).items()))
    again = named_systems("fresh", fresh, [*parsed, *(one.system for one in given)])
    folder = path_or_url(str(out))
    texts = [system.text for system in parsed]
    also = f" decoded={ {one.system.text: str(one.audio) for one in given} }," if given else ""
    call = f"earmark.compare({str(audio)!r}, {texts},{also} metrics={list(names)}, out={str(out)!r})"
    plan = runner.Plan(
        audio_dir=recordings, systems=parsed, metrics=names, run=folder,
        format=ReferenceFormat(sample_rate, mono), speech=tuple(speech), jobs=usable_cores() if jobs is None else jobs,
        command=call,
        cluster=cluster, keep_going=keep_going, decoded=given, replace=replace, fresh=again,
        alignment=policy,
    )  # fmt: skip
    with Workers(plan.jobs) as workers:
        result = runner.run(plan, [results.load], workers)
        results.refresh(folder, if_missing=not result.changed, workers=workers)
    return Run(folder, result.scores, result.info)


def _values(given: Mapping[str, str | Path] | Iterable[str]) -> list[str]:
    """The folders of systems as values of --decoded or --bitstreams."""
    if isinstance(given, str):
        return [given]
    return [f"{name}={folder}" for name, folder in given.items()] if isinstance(given, Mapping) else list(given)


def _check(systems: tuple[System, ...], metrics: tuple[str, ...], sample_rate: int | None, jobs: int | None) -> None:
    """Check arguments of `compare` as the options of the command line are checked.

    Raises:
        UserError: one is not valid.
    """
    if not systems:
        raise UserError("compare: systems is empty; name at least one, e.g. systems=['opus@12'], or give decoded audio")
    if not metrics:
        raise UserError("compare: metrics is empty; name at least one, e.g. metrics=['si_snr']")
    if sample_rate is not None and not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UserError(f"compare: sample_rate={sample_rate} is not between {LOWEST_RATE} and {HIGHEST_RATE} Hz")
    if jobs is not None and jobs < 0:
        raise UserError(f"compare: jobs={jobs} is less than 0; omit it to use all cores, or pass 0 for this process")


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
