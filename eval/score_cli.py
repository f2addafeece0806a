"""`earmark score`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from earmark.codec.audio import SUFFIXES
from earmark.codec.command_line import Choice, command, option, shared
from earmark.codec.errors import UserError
from earmark.codec.notices import notice
from earmark.codec.remote_paths import path_or_url
from earmark.codec.text import counted
from earmark.eval.inputs import NewRunPath, not_audio
from earmark.eval.metric_options import chosen_metrics, metric_patterns, metrics_option, own_metrics
from earmark.eval.options import PathText
from earmark.eval.system_options import timeout

if TYPE_CHECKING:
    from earmark.eval.metrics.interface import Metric
    from earmark.eval.scores.many import Work

MODES = ("auto", "speech", "audio")
FORM = "write earmark score REFERENCE DECODED"


@command(
    short_help="Score decoded audio against its reference",
    examples=[
        "earmark score clip.wav decoded.wav",
        "earmark score clips/ dec/A dec/B -m si_snr,pesq --format latex",
        "earmark score clips/ 'A@6=dec/{stem}_out.wav' -o run/",
        "earmark score --pairs pairs.csv --per-file --format csv",
        "earmark score --no-reference dec/A -m dnsmos",
    ],
    environment={"EARMARK_TIMEOUT": "Value of --timeout if the option is not given."},
    exit_status={1: "finished, but files, scores or players failed"},
)
@click.argument("paths", type=PathText(), nargs=-1, metavar="REFERENCE DECODED...")
@metrics_option()
@own_metrics
@metric_patterns
@option(
    "--pairs", type=PathText(), metavar="FILE",
    help="Score the pairs of a CSV file with the columns reference and decoded, and optionally system and category.",
)  # fmt: skip
@option("--no-reference", is_flag=True, help="Score DECODED alone, by metrics that need no reference.")
@option(
    "--mode", type=Choice(MODES), default="auto", metavar="auto|speech|audio",
    help="ViSQOL's mode; auto: speech for recordings of a category that is called speech, voice, talk or the like.",
)  # fmt: skip
@option("-o", "--out", type=NewRunPath(), metavar="RUN", help="Keep the run, with a report, in this folder.")
@shared.printed_format("text", "markdown", "latex", "csv", "json")
@option("--per-file", is_flag=True, help="Print the scores of each pair instead of their means.")
@shared.jobs
@timeout
@shared.keep_going
@shared.quiet
@click.pass_context
def score(
    ctx: click.Context, paths: tuple[str, ...], metrics: tuple[str, ...], own_metrics: tuple[Metric, ...],
    patterns: tuple[str, ...],
    pairs: str | None, no_reference: bool, mode: str, out: Path | None, output: str, per_file: bool, jobs: int | None,
    timeout: float | None, keep_going: bool,
) -> int:  # fmt: skip
    """Score DECODED, made by any codec or program, against REFERENCE.

    Two files give one line per metric, folders the table of `earmark compare`, whose --decoded takes the same patterns.
    Two scp files of Kaldi are joined by utterance. The decoded audio may have another sample rate, channel count and
    delay: it is converted and aligned first, and what was done is printed.
    """
    from earmark.eval.comparison.availability import refuse, unavailable_metrics

    given = ctx.get_parameter_source("metrics") is not ParameterSource.DEFAULT
    if no_reference and not given:
        metrics = _without_reference(own_metrics)
    names = chosen_metrics(metrics, own_metrics, patterns, timeout)
    if no_reference:
        _require_none(names)
    if not keep_going:
        unavailable = unavailable_metrics(names)
        refuse(unavailable, rest=len(unavailable) < len(names))
    located = [path_or_url(path) for path in paths]
    if wrong := next(filter(None, map(not_audio, located)), None):
        raise UserError(wrong)
    one_pair = pairs is None and len(located) == 2 - no_reference and all(map(_is_audio, located))
    if one_pair and out is None:
        return _print_one(located[0], located[-1], names, mode, output, no_reference)
    work = _work(paths, located, pairs, no_reference, keep_going)
    return _print_many(work, names, mode, jobs, out, output, per_file, keep_going)


def _without_reference(own: Sequence[Metric]) -> tuple[str, ...]:
    """The metrics that need no reference and can run here.

    Raises:
        UserError: there is none.
    """
    from earmark.eval.metrics import registry

    able = [metric for metric in registry.registered().values() if not metric.needs_reference]
    names = tuple(metric.name for metric in able if metric.available() is None)
    if not names and not own:
        raise UserError(f"--no-reference: {'; '.join(f'{metric.name}: {metric.available()}' for metric in able)}")
    return names


def _require_none(names: Sequence[str]) -> None:
    """Check that no metric needs a reference."""
    from earmark.eval.metrics import registry

    if needing := [name for name in names if registry.find(name).needs_reference]:
        able = ", ".join(metric.name for metric in registry.registered().values() if not metric.needs_reference)
        verb = "needs" if len(needing) == 1 else "need"
        raise UserError(f"--no-reference: {', '.join(needing)} {verb} a reference; there are {able}")


def _is_audio(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() not in (".toml", ".scp", ".csv")


def _print_one(reference: Path, decoded: Path, names: Sequence[str], mode: str, output: str, alone: bool) -> int:
    from earmark.eval.scores.files import score_files
    from earmark.eval.scores.table import pair_grid
    from earmark.eval.tables.grid import RENDERERS

    scores, notes = score_files(reference, decoded, names, mode)
    click.echo(RENDERERS[output](pair_grid(scores, None if alone else reference, decoded, notes)), nl=False)
    return int(any(one.status == "error" for one in scores.values()))


def _work(
    paths: Sequence[str], located: Sequence[Path], pairs: str | None, no_reference: bool, keep_going: bool
) -> Work:
    """List the pairs to score, if it is not one pair of files that is only printed.

    Raises:
        UserError: paths do not exist or do not fit together.
    """
    from earmark.eval.scores import many
    from earmark.eval.scores.pairs import ListedPair, read_pairs, read_scp_pairs, require_files

    if pairs is not None:
        if paths or no_reference:
            raise UserError("--pairs names the references and decoded files; leave out other paths and --no-reference")
        listed, where = read_pairs(pairs), path_or_url(pairs)
    elif no_reference:
        if len(paths) != 1:
            raise UserError(f"--no-reference: {counted(len(paths), 'path')}; write one file or folder")
        _require_there(located[0])
        if located[0].is_dir():
            return many.without_reference(located[0])
        listed, where = [ListedPair(located[0], located[0], system=many.system_name(located[0].parent))], located[0]
    elif len(paths) < 2:
        raise UserError(f"score: {counted(len(paths), 'path')}; {FORM}")
    else:
        _require_there(located[0])
        if located[0].is_dir() or located[0].suffix == ".toml":
            return many.of_folders(located[0], paths[1:])
        if len(paths) > 2 or not located[1].is_file():
            _require_there(located[1])
            raise UserError(f"score: {located[0]} is one file, so name one decoded file; {FORM}")
        if located[0].suffix == located[1].suffix == ".scp":
            listed, where = read_scp_pairs(located[0], located[1]), located[1]
        else:
            name = many.system_name(located[1].with_suffix("") if located[1].suffix in SUFFIXES else located[1])
            listed, where = [ListedPair(located[0], located[1], system=name)], located[1]
    if not keep_going:
        require_files(listed, str(where))
    return many.of_pairs(listed, where)


def _require_there(path: Path) -> None:
    if not path.exists():
        raise UserError(f"score: {path} does not exist")


def _print_many(
    work: Work, names: Sequence[str], mode: str, jobs: int | None, out: Path | None, output: str, per_file: bool,
    keep_going: bool,
) -> int:  # fmt: skip
    from earmark.eval.compare_cli import print_notes
    from earmark.eval.comparison.run_folder import REPORT
    from earmark.eval.scores.many import score_many
    from earmark.eval.statistics.aggregate import summarise
    from earmark.eval.tables import grid, renderers, terminal
    from earmark.eval.tables import per_file as of_files

    call = shlex.join(["earmark", *sys.argv[1:]])
    result = score_many(work, names, mode, jobs, out, call, keep_going)
    if out is None:
        summary, info, played = summarise(result.scores), result.info, True
    else:
        from earmark.eval.report.results import refresh

        summary, kept, played = refresh(out, if_missing=not result.changed)
        info = dict(kept)
        notice(f"Report: {out / REPORT}")
    if per_file:
        click.echo(grid.RENDERERS[output](of_files.per_file_grid(result.scores)), nl=False)
    elif output == "text":
        terminal.print_table(renderers.terminal_table(summary, info))
    else:
        click.echo(renderers.RENDERERS[output](summary, info), nl=False)
    return 0 if print_notes(result) and played else 1
