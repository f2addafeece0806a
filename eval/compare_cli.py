"""`earmark compare`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.baselines.interface import System
from earmark.codec.remote_paths import is_remote
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.pool import usable_cores
from earmark.eval.options import NameList, PathOrURL
from earmark.eval.system_options import SystemList, chosen_systems, own_codecs, timeout

if TYPE_CHECKING:
    from earmark.eval.comparison.runner import Result


@click.command()
@click.argument("audio_dir", type=PathOrURL(exists=True))
@click.option("--systems", type=SystemList(), help="Comma-separated, e.g. opus@6,opus@12,mp3@64.")
@own_codecs
@timeout
@click.option(
    "--metrics",
    type=NameList(),
    default="si_snr,visqol",
    show_default=True,
    help="Comma-separated, e.g. si_snr,visqol,pesq,stoi; `earmark metrics` lists them all.",
)
@click.option(
    "--out",
    type=PathOrURL(),
    required=True,
    metavar="RUN",
    help="Folder for scores, decoded audio and report. Results that it holds already are not computed again.",
)
@click.option("--jobs", type=click.IntRange(1), default=None, help="Worker processes.  [default: all cores]")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Dask scheduler, e.g. tcp://host:8786, whose workers do the work; they must see the same paths.",
)
@click.option(
    "--speech",
    type=NameList(),
    default=",".join(SPEECH_PATTERNS),
    show_default=True,
    metavar="PATTERNS",
    help="Categories that ViSQOL scores in speech mode; it scores all others in audio mode.",
)
@click.option(
    "--rate",
    type=click.IntRange(8000, 48000),
    default=None,
    metavar="HZ",
    help="Resample every recording to this rate first.  [default: each recording's own, up to 48 kHz]",
)
@click.option("--mono", is_flag=True, help="Average the channels of every recording first.")
@click.option("--link-audio", is_flag=True, help="Store the report's audio in files beside it instead of in the page.")
def compare(
    audio_dir: Path, systems: list[System] | None, commands: list[System], metrics: tuple[str, ...], out: Path,
    jobs: int | None, cluster: str | None, timeout: float | None,
    speech: tuple[str, ...], rate: int | None, mono: bool, link_audio: bool,
) -> int:  # fmt: skip
    """Encode, decode and score every recording under AUDIO_DIR with each system.

    Sub-folders of AUDIO_DIR are categories. AUDIO_DIR may also be a corpus file (TOML) that names folders, categories
    and excerpts. The exit status is 1 if a recording or a score failed, or if a system cannot run here.
    """
    from earmark.eval.comparison import runner
    from earmark.eval.comparison.run_folder import REPORT
    from earmark.eval.report.results import write_results
    from earmark.eval.tables.renderers import terminal_table
    from earmark.eval.tables.terminal import print_table

    systems = chosen_systems(systems, commands, timeout)
    if cluster is not None:  # its workers have other working directories
        audio_dir, out = (path if is_remote(path) else path.resolve() for path in (audio_dir, out))
    plan = runner.Plan(
        audio_dir=audio_dir, systems=tuple(systems), metrics=metrics, run=out, format=ReferenceFormat(rate, mono),
        speech=speech, jobs=jobs or usable_cores(), cluster=cluster, command=shlex.join(["earmark", *sys.argv[1:]]),
    )  # fmt: skip
    result = runner.run(plan)
    summary = write_results(out, result.scores, result.info, link_audio=link_audio, if_missing=not result.changed)
    print_table(terminal_table(summary, result.info))
    _print_notes(result)
    count = len(result.info["recordings"]) * len(systems)
    pairs = f"{count} recordings x systems" if count != 1 else "1 recording x system"
    click.echo(f"{pairs}, {result.computed} of them computed now; report: {out / REPORT}")
    return 1 if result.failures else 0


def _print_notes(result: Result) -> None:
    """Print on standard error what a reader of the table has to know: notes, metrics without a score, failures."""
    from earmark.eval.comparison.failures import unavailable_metrics

    for line in result.info["notes"]:
        click.echo(f"note: {line}", err=True)
    for line in unavailable_metrics(result.scores):
        click.echo(line, err=True)
    for line in result.failures:
        click.echo(f"failed: {line}", err=True)
