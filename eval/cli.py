"""`earmark compare`, `earmark tables`, `earmark demo-audio`."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from baselines.commands import define
from baselines.interface import System
from baselines.systems import families, parse, parse_list
from codec.errors import UserError
from eval.corpus import SPEECH_PATTERNS, ReferenceFormat
from eval.pool import usable_cores


class SystemList(click.ParamType):
    """A comma-separated list of system strings."""

    name = "systems"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[System]:
        return value if isinstance(value, list) else parse_list(value)


def define_commands(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[System]:
    """The codecs that the user described; those that take a bit rate only join where --systems names one."""
    defined = [define(value) for value in values]
    return [parse(name) for name in defined if families()[name].example == name]


class NameList(click.ParamType):
    """A comma-separated list of words, each once."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
        if not names:
            self.fail("name at least one", param, ctx)
        return names


def console() -> Console:
    """Where tables are printed: as wide as the terminal, or wide enough for a file."""
    return Console(width=None if sys.stdout.isatty() else 120)


@click.command()
@click.argument("audio_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--systems", type=SystemList(), help="Comma-separated, e.g. opus@6,opus@12,mp3@64.")
@click.option(
    "--system",
    "commands",
    multiple=True,
    is_eager=True,  # so that --systems may name it
    callback=define_commands,
    metavar="NAME=COMMAND",
    help="A codec of your own: 'NAME=enc {input} {bitstream} && dec {bitstream} {output}'; see docs/systems.md.",
)
@click.option(
    "--metrics",
    type=NameList(),
    default="si_snr,visqol",
    show_default=True,
    help="Comma-separated, of si_snr, visqol, visqol_speech, visqol_audio, pesq, pesq_nb, stoi.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="RUN",
    help="Folder for scores, decoded audio and report; what it already has is not done again.",
)
@click.option("--jobs", type=click.IntRange(1), default=None, help="Worker processes; all cores unless told.")
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
def compare(
    audio_dir: Path, systems: list[System] | None, commands: list[System], metrics: tuple[str, ...], out: Path,
    jobs: int | None,
    speech: tuple[str, ...], rate: int | None, mono: bool,
) -> int:  # fmt: skip
    """Encode, decode and score every recording under AUDIO_DIR with each system.

    Sub-folders of AUDIO_DIR are categories. The exit status is 1 if a recording or a score failed.
    """
    from eval import aggregate, runner, tables
    from eval.report import page

    systems = [*(systems or []), *(command for command in commands if command not in (systems or []))]
    if not systems:
        raise UserError("--systems: name at least one system, e.g. opus@12,mp3@64")
    plan = runner.Plan(
        audio_dir=audio_dir, systems=tuple(systems), metrics=metrics, run=out, form=ReferenceFormat(rate, mono),
        speech=speech, jobs=jobs or usable_cores(), command=shlex.join(["earmark", *sys.argv[1:]]),
    )  # fmt: skip
    result = runner.run(plan)
    summary = aggregate.summarise(result.scores)
    tables.write_all(summary, result.info, out)
    report = page.write_report(out, result.scores, result.info)

    console().print(tables.terminal_table(summary, result.info))
    for line in result.info["notes"]:
        click.echo(f"note: {line}", err=True)
    for line in result.unavailable:
        click.echo(line, err=True)
    for line in result.failures:
        click.echo(f"failed: {line}", err=True)
    units = len(result.info["recordings"]) * len(systems)
    click.echo(f"{units} recordings x systems, {result.computed} of them computed now; report: {report}")
    return 1 if result.failures else 0


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "markdown", "latex", "csv"]), default="text", show_default=True
)
def tables(run: Path, form: str) -> None:
    """Print the table of RUN: means with 95 % confidence intervals per system and category."""
    from eval import aggregate
    from eval import tables as layouts
    from eval.run_folder import read_info, read_scores

    summary = aggregate.summarise(read_scores(run))
    info = read_info(run)
    if form == "text":
        console().print(layouts.terminal_table(summary, info))
    else:
        click.echo(layouts.RENDERERS[form](summary, info), nl=False)


@click.command("demo-audio")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def demo_audio(folder: Path) -> None:
    """Write a small synthetic set of speech, music and sounds into FOLDER; the same every time."""
    from eval.demo import write_demo_audio

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; name a new folder, the set is written as a whole")
    aside = folder.with_name(f".{folder.name}.part")  # an interrupted set is no set
    shutil.rmtree(aside, ignore_errors=True)
    paths = write_demo_audio(aside)
    if folder.exists():
        folder.rmdir()
    aside.rename(folder)
    click.echo(f"{len(paths)} recordings in {folder}")
