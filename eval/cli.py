"""`earmark compare`, `earmark tables`, `earmark demo-audio`."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from earmark.baselines.interface import System
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import is_remote
from earmark.codec.text import counted
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.pool import usable_cores
from earmark.eval.options import NameList, PathOrURL
from earmark.eval.system_options import SystemList, chosen_systems, own_codecs, timeout


def console() -> Console:
    """Where tables are printed: as wide as the terminal, or wide enough for a file."""
    return Console(width=None if sys.stdout.isatty() else 120)


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
    help="Folder for scores, decoded audio and report; what it already has is not done again.",
)
@click.option("--jobs", type=click.IntRange(1), default=None, help="Worker processes; all cores unless told.")
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Of a Dask scheduler, tcp://host:8786, whose workers do the work instead; they must see the same paths.",
)
@click.option(
    "--speech",
    type=NameList(),
    default=",".join(SPEECH_PATTERNS),
    show_default=True,
    metavar="PATTERNS",
    help="Categories that ViSQOL hears in speech mode; the others are heard in audio mode.",
)
@click.option(
    "--rate",
    type=click.IntRange(8000, 48000),
    default=None,
    metavar="HZ",
    help="Judge everything at this sample rate; each recording at its own (up to 48 kHz) unless told.",
)
@click.option("--mono", is_flag=True, help="Average the channels of every recording first.")
@click.option("--link-audio", is_flag=True, help="Put the report's audio into files beside it, and not into the page.")
def compare(
    audio_dir: Path, systems: list[System] | None, commands: list[System], metrics: tuple[str, ...], out: Path,
    jobs: int | None, cluster: str | None, timeout: float | None,
    speech: tuple[str, ...], rate: int | None, mono: bool, link_audio: bool,
) -> int:  # fmt: skip
    """Encode, decode and score every recording under AUDIO_DIR with each system.

    Sub-folders of AUDIO_DIR are categories; or it is a corpus file (TOML) that names folders, categories and excerpts.
    The exit status is 1 if a recording or a score failed, or a system cannot run here.
    """
    from earmark.eval.comparison import runner
    from earmark.eval.comparison.failures import unavailable_metrics
    from earmark.eval.comparison.run_folder import REPORT
    from earmark.eval.report.results import write_results
    from earmark.eval.tables import renderers as tables

    systems = chosen_systems(systems, commands, timeout)
    if cluster is not None:  # its workers have other working directories
        audio_dir, out = (place if is_remote(place) else place.resolve() for place in (audio_dir, out))
    plan = runner.Plan(
        audio_dir=audio_dir, systems=tuple(systems), metrics=metrics, run=out, form=ReferenceFormat(rate, mono),
        speech=speech, jobs=jobs or usable_cores(), cluster=cluster, command=shlex.join(["earmark", *sys.argv[1:]]),
    )  # fmt: skip
    result = runner.run(plan)
    summary = write_results(out, result.scores, result.info, link_audio=link_audio, if_missing=not result.changed)

    console().print(tables.terminal_table(summary, result.info))
    for line in result.info["notes"]:
        click.echo(f"note: {line}", err=True)
    for line in unavailable_metrics(result.scores):
        click.echo(line, err=True)
    for line in result.failures:
        click.echo(f"failed: {line}", err=True)
    units = len(result.info["recordings"]) * len(systems)
    pairs = f"{units} recordings x systems" if units != 1 else "1 recording x system"
    click.echo(f"{pairs}, {result.computed} of them computed now; report: {out / REPORT}")
    return 1 if result.failures else 0


@click.command()
@click.argument("run", type=PathOrURL(exists=True))
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "latex", "csv"]), default="text", show_default=True
)
@click.option("--paper", metavar="TABLE", help="Lay it out like table1, table2, tableA2, ... of the EnCodec paper.")
@click.option(
    "--mushra", type=click.Path(exists=True, path_type=Path), metavar="STUDY",
    help="With --paper: a listening test, the folder of its report, or its summary.csv, for the MUSHRA columns.",
)  # fmt: skip
@click.option(
    "--bench", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="JSON",
    help="With --paper: what `earmark bench --out` wrote, for real-time factors and latency.",
)  # fmt: skip
@click.option(
    "--metrics", type=NameList(), metavar="NAMES",
    help="With --paper: metrics of the run, comma-separated, to stand beside the paper's own.",
)  # fmt: skip
def tables(
    run: Path, form: str, paper: str | None, mushra: Path | None, bench: Path | None, metrics: tuple[str, ...] | None
) -> None:  # fmt: skip
    """Print the table of RUN: means with 95 % confidence intervals per system and category."""
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.statistics import aggregate
    from earmark.eval.tables import renderers as layouts

    summary = aggregate.summarise(read_scores(run))
    info = read_info(run)
    if paper is not None:
        from earmark.eval.paper import sources as paper_sources
        from earmark.eval.paper import tables as paper_tables
        from earmark.eval.tables import grid

        study = paper_sources.read_study(mushra) if mushra is not None else None
        timings = paper_sources.read_bench(bench) if bench is not None else None
        shown = paper_tables.lay_out_like(paper, summary, info, study, timings, metrics or ())
        click.echo(grid.RENDERERS[form](shown), nl=False)
    elif mushra is not None or bench is not None or metrics is not None:
        raise UserError(
            "--mushra, --bench and --metrics fill columns of the paper's tables; add --paper, e.g. --paper table1"
        )
    elif form == "text":
        console().print(layouts.terminal_table(summary, info))
    else:
        click.echo(layouts.RENDERERS[form](summary, info), nl=False)


@click.command("demo-audio")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def demo_audio(folder: Path) -> None:
    """Write a small synthetic set of speech, music and sounds into FOLDER; the same every time."""
    from earmark.eval.demo import write_demo_audio

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; name a new folder, the set is written as a whole")
    aside = folder.with_name(f".{folder.name}.part")  # an interrupted set is no set
    shutil.rmtree(aside, ignore_errors=True)
    paths = write_demo_audio(aside)
    if folder.exists():
        folder.rmdir()
    aside.rename(folder)
    click.echo(f"{counted(len(paths), 'recording')} in {folder}")


@click.command()
@click.argument("run", type=PathOrURL(exists=True))
@click.option("--metric", default=None, help="One of the run's metrics; all unless told.")
@click.option("--against", default=None, metavar="SYSTEM", help="Compare all others with this system alone.")
@click.option(
    "--with", "other", type=PathOrURL(exists=True), metavar="RUN",
    help="Another run of the same recordings, whose systems join; where it is not comparable you are told why.",
)  # fmt: skip
@click.option("--bjontegaard", "rates", is_flag=True, help="The Bjontegaard deltas alone, also as CSV.")
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "latex", "csv"]), default="text", show_default=True,
    help="CSV has every number in full, of the differences unless --bjontegaard is given.",
)  # fmt: skip
def differences(
    run: Path, metric: str | None, against: str | None, other: Path | None, rates: bool, form: str
) -> None:  # fmt: skip
    """Compare the systems of RUN pair by pair: differences with intervals, wins, significance, bit rate saved."""
    from earmark.eval.comparison.comparability import joined
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.statistics import bjontegaard
    from earmark.eval.statistics import differences as pairs
    from earmark.eval.tables import grid
    from earmark.eval.tables.difference_grids import delta_grid, difference_grid

    scores = read_scores(run) if other is None else joined(run, other)
    if scores["system"].nunique() < 2:
        raise UserError(f"{run}: one system, and nothing to compare it with; name another run by --with")
    speech = read_info(run)["speech_categories"]
    if rates and against is not None:
        raise UserError("--against is of the differences; leave it out, or --bjontegaard")
    shown = []
    for name in [metric] if metric else pairs.metrics_of(scores):
        if not rates:
            shown.append(difference_grid(pairs.differences(scores, name, against, speech), name, speech))
        if (rates or (against is None and form != "csv")) and (deltas := bjontegaard.deltas(scores, name, speech)):
            shown.append(delta_grid(deltas, name, speech))
    if not shown:
        raise UserError(f"{run}: no two codecs with two bit rates each, which --bjontegaard compares")
    if form == "csv":  # one table, of one heading
        shown = [replace(shown[0], data=tuple(record for one in shown for record in one.data))]
    click.echo("\n".join(grid.RENDERERS[form](one) for one in shown), nl=form != "csv")
