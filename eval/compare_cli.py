"""`earmark compare`."""

from __future__ import annotations

import atexit
import gc
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.baselines.interface import System
from earmark.codec.command_line import SampleRate, command, option, shared, show_preview
from earmark.codec.cores import usable_cores
from earmark.codec.errors import UserError
from earmark.codec.notices import is_quiet, notice
from earmark.codec.remote_paths import is_remote
from earmark.codec.suggestions import same
from earmark.codec.text import counted
from earmark.eval.comparison.alignment import ALIGN, Align, Policy, read_delays
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.decoded.options import decoded_options, given_systems
from earmark.eval.identity_options import fresh_option, named_systems, versions_option, with_versions
from earmark.eval.inputs import AudioPath, NewRunPath
from earmark.eval.metric_options import chosen_metrics, metric_patterns, metrics_option, own_metrics
from earmark.eval.options import NameList, together
from earmark.eval.system_options import ENVIRONMENT, chosen_systems, own_codecs, systems_option, timeout

if TYPE_CHECKING:
    from earmark.eval.comparison.plan import Plan
    from earmark.eval.comparison.runner import Result
    from earmark.eval.metrics.interface import Metric

MOST_NOTES = 30  # printed; the report has all


@command(
    short_help="Code and score audio",
    examples=[
        "earmark compare clips/ -s opus@6,opus@12,mp3@64 -o run/",
        "earmark compare clips/ -s opus@12 -s encodec_24khz@3 -m visqol,pesq -o run/",
        "earmark compare clips/ -s opus@6 --decoded 'mine@6=dec/{stem}_out.wav' -o run/",
        "earmark compare clips/ --decoded 'dec/*' -o run/       # each sub-folder",
        "earmark compare corpus.toml -s opus@12 -o run/ --rate 16k --mono",
        "earmark compare clips/ -s opus@12 --metric polqa.toml -o run/",
    ],
    environment=ENVIRONMENT,
    exit_status={1: "finished, but recordings, scores, systems or players failed"},
    remedies={
        "--kbps": "the bit rate belongs to the system, e.g. -s opus@6",
        "": "one folder of recordings is expected; quote what has a *, as in --decoded 'dec/*'",
    },
)
@click.argument("audio_dir", type=AudioPath(), metavar="AUDIO")
@systems_option()
@own_codecs
@decoded_options
@timeout
@metrics_option()
@own_metrics
@metric_patterns
@option(
    "-o", "--out", type=NewRunPath(), required=True, metavar="RUN",
    help="Folder for scores, decoded audio and report. If it holds a run, new results join it and existing ones are "
    "reused.",
)  # fmt: skip
@shared.jobs
@option(
    "--cluster", metavar="ADDRESS",
    help="Run on this Dask cluster, e.g. tcp://host:8786; its workers must see the same paths.",
)  # fmt: skip
@option(
    "--speech", type=NameList(), multiple=True, callback=together, metavar="PATTERN,...",
    default=[",".join(SPEECH_PATTERNS)], show_default="names of speech and of sets of it, *speech*,*voice*,*vctk*,...",
    help="Categories of speech: ViSQOL scores them in speech mode, and all others in audio mode. PESQ and STOI are "
    "marked outside them.",
)  # fmt: skip
@option(
    "--rate", type=SampleRate(8000, 48000), metavar="HZ", show_default="each recording's own, up to 48k",
    help="Resample every recording to this rate first, e.g. 24k.",
)  # fmt: skip
@fresh_option
@versions_option
@option("--replace", is_flag=True, help="Start over: delete what RUN holds first.")
@option(
    "--align", type=click.Choice(ALIGN), metavar="|".join(ALIGN), default="auto", show_default="auto",
    help="How to align decoded audio with its recording: auto trusts the delays of Earmark's codecs and finds those of "
    "all others; documented trusts that no codec has any delay left; none scores the audio as it is.",
)  # fmt: skip
@option(
    "--delay", "delays", multiple=True, metavar="NAME=DELAY",
    help="Remove this delay from a system or codec, e.g. mine=22s for samples, mine=1.5ms. Repeats add up.",
)  # fmt: skip
@shared.keep_going
@shared.dry_run
@shared.quiet
@option("--mono", is_flag=True, help="Average the channels of every recording first.")
@option("--link-audio", is_flag=True, help="Store the report's audio in files beside it instead of in the page.")
@option(
    "--listen-by", metavar="METRIC", show_default="ViSQOL, or the first metric",
    help="Metric by which the report chooses the recordings that it plays.",
)  # fmt: skip
def compare(
    audio_dir: Path, systems: list[System] | None, commands: list[System], metrics: tuple[str, ...],
    own_metrics: tuple[Metric, ...], patterns: tuple[str, ...], decoded: tuple[str, ...], bitstreams: tuple[str, ...],
    out: Path, jobs: int | None, cluster: str | None, timeout: float | None,
    speech: tuple[str, ...], rate: int | None, keep_going: bool, dry_run: bool, mono: bool, link_audio: bool,
    align: Align, delays: tuple[str, ...], listen_by: str | None, replace: bool, fresh: tuple[str, ...] | None,
    codec_versions: tuple[str, ...],
) -> int:  # fmt: skip
    """Encode, decode and score every recording of AUDIO with each system.

    AUDIO is a folder, whose sub-folders are categories, or a corpus file (TOML) that names folders, categories and
    excerpts. Audio that is decoded already takes part by --decoded.
    """
    from earmark.eval.comparison.ahead import load_ahead
    from earmark.eval.comparison.plan import Plan

    names = chosen_metrics(metrics, own_metrics, patterns, timeout)
    listen_by = _listening_metric(listen_by, names)
    given = given_systems(audio_dir, decoded, bitstreams, Path.cwd() if cluster is not None else None)
    systems = [] if given and not systems and not commands else chosen_systems(systems, commands, timeout)
    systems = with_versions(systems, codec_versions)
    again = named_systems("--fresh", fresh or (), [*systems, *(one.system for one in given)])
    if cluster is not None:  # its workers have other working directories
        audio_dir, out = (path if is_remote(path) else path.resolve() for path in (audio_dir, out))
    plan = Plan(
        audio_dir=audio_dir, systems=tuple(systems), metrics=names, run=out,
        format=ReferenceFormat(rate, mono), speech=speech, jobs=jobs or usable_cores(), cluster=cluster,
        keep_going=keep_going, decoded=given, replace=replace, fresh=again,
        alignment=Policy(align, read_delays(delays)), command=shlex.join(["earmark", *sys.argv[1:]]),
    )  # fmt: skip
    for line in _before(plan):
        click.echo(f"note: {line}", err=True)
    if dry_run:
        _show_plan(plan)
        return 0
    load_ahead(plan)
    atexit.register(gc.freeze)  # otherwise Python searches all modules for garbage at its end, in a quarter of a second
    return _run(plan, link_audio, listen_by)


def _run(plan: Plan, link_audio: bool, listen_by: str | None) -> int:
    """Run a plan, write and print its results; the exit status."""
    from earmark.eval.comparison import runner
    from earmark.eval.comparison.pool import Workers
    from earmark.eval.comparison.run_folder import REPORT
    from earmark.eval.report import results
    from earmark.eval.tables.renderers import terminal_table
    from earmark.eval.tables.terminal import print_table

    started, out = time.monotonic(), plan.run
    with Workers(plan.jobs) as workers:
        result = runner.run(plan, [results.load], workers)
        summary, info, played = results.refresh(
            out, link_audio=link_audio, if_missing=not result.changed, listen_by=listen_by, workers=workers
        )
    print_table(terminal_table(summary, info))
    complete = print_notes(result)
    click.echo(f"{_tally(result)}, {time.monotonic() - started:.0f} s")
    click.echo(f"Report: {out / REPORT}")
    if len(info["systems"]) > 1 and not is_quiet():
        click.echo(f"Next: earmark differences {shlex.quote(str(out))}")
    return 0 if complete and played else 1


def _listening_metric(name: str | None, metrics: tuple[str, ...]) -> str | None:
    """The value of --listen-by in its exact spelling."""
    exact = same(name, metrics) if name is not None else None
    if name is not None and exact is None:
        raise UserError(f"--listen-by {name}: not among the metrics of this run; add it to --metrics")
    return exact


def _show_plan(plan: Plan) -> None:
    from earmark.eval.comparison import runner

    sources, every, computed = runner.preview(plan)
    categories = Counter(source.category for source in sources)
    show_preview({
        "recordings": f"{len(sources)}: {', '.join(f'{count} {name}' for name, count in categories.items())}",
        "systems": ", ".join(system.text for system in plan.compared),
        "metrics": ", ".join(plan.metrics),
        **_modes(plan, list(categories)),
        "work": f"{every} pairs of recording and system: {computed} to compute, {every - computed} to reuse or skip",
        "output": plan.run,
    })  # fmt: skip


def _modes(plan: Plan, categories: list[str]) -> dict[str, str]:
    """The mode of ViSQOL per category, if it is among the metrics."""
    from earmark.eval.comparison.corpus import is_speech
    from earmark.eval.statistics.scales import modes_of

    speech = [name for name in categories if is_speech(name, plan.speech)]
    modes = {name: modes_of(name, categories, speech) for name in plan.metrics}
    texts = {
        name: [f"{mode} mode ({', '.join(members)})" for mode, members in own.items()] for name, own in modes.items()
    }
    return {name: f"{' and '.join(parts)}; set by --speech" for name, parts in texts.items() if parts}


def _before(plan: Plan) -> Iterator[str]:
    """Notes on what the run holds beside what this command names, and on metrics that have changed."""
    from earmark.eval.comparison.run_folder import read_info
    from earmark.eval.metrics import remembered

    try:
        before = read_info(plan.run)
    except UserError:  # no run yet
        return
    yield from remembered.changes(before.get("metric_versions", {}), plan.metric_versions())
    if plan.replace:
        yield f"{plan.run}: starts over"
        return
    named = [system.text for system in plan.compared]
    if others := [name for name in before["systems"] if name not in named]:
        yield f"{plan.run}: also has {', '.join(others)}; `earmark run drop` removes a system, --replace starts over"


def _tally(result: Result) -> str:
    """Count the work: "4 recordings x 3 systems: 11 computed, 0 reused, 0 failed, 1 missing"."""
    own = result.own
    recordings, systems = len(own.info["recordings"]), len(own.info["systems"])
    unreadable = {entry["file"] for entry in own.info["recordings"] if entry["error"] is not None}
    pairs = own.scores[["file", "system"]].drop_duplicates()
    broken = own.scores[own.scores["status"] == "error"]
    failed = len(broken[["file", "system"]].drop_duplicates())
    reused = int((~pairs["file"].isin(unreadable)).sum()) - result.computed
    size = f"{counted(recordings, 'recording')} x {counted(systems, 'system')}"
    missing = f", {absent} missing" if (absent := recordings * systems - len(pairs)) else ""
    return f"{size}: {result.computed} computed, {reused} reused, {failed} failed{missing}"


def print_notes(result: Result) -> bool:
    """Print notes, metrics that cannot run here and failures on standard error; whether there were no failures."""
    from earmark.eval.comparison.failures import grouped_notes, unavailable_metrics
    from earmark.eval.comparison.removed_delays import removed_delays

    for line in removed_delays(result.own.scores, result.own.info):
        notice(line)
    notes = grouped_notes(result.own.info["notes"])
    for line in notes[:MOST_NOTES]:
        notice(f"note: {line}")
    if len(notes) > MOST_NOTES:
        notice(f"note: and {len(notes) - MOST_NOTES} more, which the report has")
    unavailable = unavailable_metrics(result.own.scores)
    for line in unavailable:
        click.echo(line, err=True)
    for line in result.failures:
        click.echo(f"failed: {line}", err=True)
    return not unavailable and not result.failures
