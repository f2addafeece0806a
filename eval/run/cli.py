"""`earmark run`: what a run holds, and how to change, join and clean it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from earmark.codec.command_line import command, group, option, out_file, shared, show, show_preview
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.notices import notice
from earmark.codec.text import counted
from earmark.eval.inputs import NewRunPath, RunPath
from earmark.eval.options import NameList, together

FORMATS = ("text", "markdown", "latex", "csv", "json")


@group("run", examples=["earmark run show run/", "earmark run merge gpu/ cpu/ -o all/"])
def run_group() -> None:
    """Show, change, join and clean runs of `earmark compare`."""


@command(
    "show",
    parent=run_group,
    short_help="Show what a run holds",
    examples=["earmark run show run/", "earmark run show run/ --format csv -o systems.csv"],
)
@click.argument("run", type=RunPath())
@shared.printed_format(*FORMATS)
@out_file
@shared.force
def show_run(run: Path, output: str, out: Path | None, force: bool) -> None:
    """Show the systems, recordings, metrics and commands of RUN."""
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.run.overview import overview
    from earmark.eval.tables.grid import RENDERERS

    if out is not None:
        require_new(out, force)
    show(RENDERERS[output](overview(run, read_scores(run), read_info(run))), out)


def _named(*names: str, metavar: str, what: str, alias: str) -> shared.Decorator:
    return option(
        *names, type=NameList(), multiple=True, callback=together, metavar=metavar, aliases=[alias],
        help=f"{what}; repeats add up.",
    )  # fmt: skip


@command(
    "drop",
    parent=run_group,
    short_help="Remove systems, metrics or recordings",
    examples=["earmark run drop run/ -s A@6,B@6", "earmark run drop run/ --recordings speech/a.wav"],
    exit_status={1: "finished, but players of the report failed"},
)
@click.argument("run", type=RunPath())
@_named(
    "-s", "--systems", metavar="SYSTEM,...", alias="--system", what="Systems to remove, with their decoded audio",
)  # fmt: skip
@_named("-m", "--metrics", metavar="METRIC,...", alias="--metric", what="Metrics to remove")
@_named(
    "--recordings", metavar="FILE,...", alias="--recording", what="Recordings to remove, by their names in tables",
)  # fmt: skip
@shared.dry_run
@shared.quiet
def drop(
    run: Path, systems: tuple[str, ...] | None, metrics: tuple[str, ...] | None, recordings: tuple[str, ...] | None,
    dry_run: bool,
) -> int:  # fmt: skip
    """Remove systems, metrics or recordings from RUN, and write its tables and report again.

    The recordings and folders that RUN was made from stay as they are.
    """
    from earmark.eval.comparison.accumulation import Content
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.report.results import refresh
    from earmark.eval.run import changes

    if not (systems or metrics or recordings):
        raise UserError("name what to remove: --systems, --metrics or --recordings")
    gone_from = {"systems": systems or (), "metrics": metrics or (), "files": recordings or ()}
    before = Content(read_scores(run), read_info(run))
    after = changes.dropped(before, **gone_from)
    gone = len(before.scores) - len(after.scores)
    if dry_run:
        show_preview({"scores": f"{gone} of {len(before.scores)} to remove", "run": run})
        return 0
    files = changes.drop(run, **gone_from)
    played = refresh(run, link_audio=_is_linked(run)).complete
    click.echo(f"{counted(gone, 'score')} removed, {counted(files, 'audio file')} deleted")
    return 0 if played else 1


def _is_linked(run: Path) -> bool:
    from earmark.eval.comparison.run_folder import EXCERPTS

    return (run / EXCERPTS).exists()  # as the report was before


@command(
    "merge",
    parent=run_group,
    short_help="Join runs in a new one",
    examples=["earmark run merge gpu/ cpu/ -o all/"],
    exit_status={1: "finished, but players of the report failed"},
)
@click.argument("runs", nargs=-1, required=True, type=RunPath(), metavar="RUN RUN...")
@option("-o", "--out", type=NewRunPath(), required=True, metavar="RUN", help="Folder of the new run.")
@shared.force
@shared.quiet
def merge(runs: tuple[Path, ...], out: Path, force: bool) -> int:
    """Join several runs, of the same or of different recordings, in a new one; they do not change.

    Audio files are linked where the file system allows it, and copied otherwise. Runs that do not fit together are
    refused with the reason: another format, another version of a metric, other recordings of one name, or two different
    scores for the same recording, system and metric.
    """
    from earmark.eval.comparison.run_folder import discard
    from earmark.eval.report.results import refresh
    from earmark.eval.run import changes

    if len({run.resolve() for run in runs}) < 2:
        raise UserError("name two different runs or more")
    if any(out.resolve() == run.resolve() for run in runs):
        raise UserError(f"--out {out}: is one of the runs; name a new folder")
    if out.is_dir() and any(out.iterdir()):
        if not force:
            raise UserError(f"{out}: exists; add --force to replace it")
        discard(out)
    changes.merge(runs, out, shlex.join(["earmark", *sys.argv[1:]]))
    _, info, played = refresh(out)
    size = f"{counted(len(info['recordings']), 'recording')} x {counted(len(info['systems']), 'system')}"
    click.echo(f"{size}, {counted(len(info['metrics']), 'metric')}")
    notice(f"Next: earmark tables {shlex.quote(str(out))}")
    return 0 if played else 1


@command(
    "gc",
    parent=run_group,
    short_help="Delete what a run does not need",
    examples=["earmark run gc run/ --dry-run", "earmark run gc run/ --unfinished"],
)
@click.argument("run", type=RunPath())
@option(
    "--unfinished", is_flag=True,
    help="Also delete decoded audio of interrupted commands, which the same command could reuse.",
)  # fmt: skip
@shared.dry_run
@shared.quiet
def gc(run: Path, unfinished: bool, dry_run: bool) -> None:
    """Delete what RUN does not need: replaced records, decoded audio without scores, half-written files.

    Scores, and the audio that belongs to them, stay. Files of the last hour stay, too, since a command that is running
    may need them.
    """
    from earmark.eval.run import cleaning

    garbage = cleaning.find(run, unfinished=unfinished)
    files = [*garbage.audio, *garbage.parts]
    facts = {
        "audio": f"{counted(len(garbage.audio), 'file')} of no score",
        "remains": counted(len(garbage.parts), "file"),
        "size": f"{garbage.size / 1e6:.1f} MB",
        "records": f"{garbage.rows - garbage.kept} of {garbage.rows}",
    }
    if dry_run:
        show_preview(facts)
        return
    cleaning.clean(run, garbage)
    removed = garbage.rows - garbage.kept
    click.echo(f"{counted(len(files), 'file')} deleted ({facts['size']}), {counted(removed, 'record')} removed")
