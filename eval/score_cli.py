"""`earmark score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.codec.command_line import Choice, command, option, shared
from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.eval.metric_options import chosen_metrics, metrics_option, own_metrics
from earmark.eval.options import PathOrURL
from earmark.eval.system_options import timeout

if TYPE_CHECKING:
    from earmark.eval.metrics.interface import Metric

MODES = ("auto", "speech", "audio")


@command(
    short_help="Score decoded audio against its reference",
    examples=[
        "earmark score clip.wav decoded.wav",
        "earmark score clip.wav decoded.wav -m si_snr,pesq --format json",
    ],
    environment={"EARMARK_TIMEOUT": "Value of --timeout if the option is not given."},
    exit_status={1: "finished, but scores failed"},
)
@click.argument("paths", type=PathOrURL(exists=True), nargs=-1, metavar="REFERENCE DECODED")
@metrics_option()
@own_metrics
@option(
    "--mode", type=Choice(MODES), default="auto", metavar="MODE",
    help="ViSQOL's mode, speech or audio; auto: speech for recordings whose category is speech.",
)  # fmt: skip
@shared.printed_format("text", "markdown", "latex", "csv", "json")
@timeout
@shared.keep_going
def score(
    paths: tuple[Path, ...], metrics: tuple[str, ...], own_metrics: tuple[Metric, ...], mode: str, output: str,
    timeout: float | None, keep_going: bool,
) -> int:  # fmt: skip
    """Score DECODED, made by any codec or program, against REFERENCE: one line per metric.

    The decoded audio may have another sample rate, channel count and delay: it is converted and aligned first, and what
    was done is printed.
    """
    from earmark.eval.comparison.availability import refuse, unavailable_metrics
    from earmark.eval.scores.files import score_files
    from earmark.eval.scores.table import pair_grid
    from earmark.eval.tables.grid import RENDERERS

    if len(paths) != 2:
        raise UserError(f"score: {counted(len(paths), 'path')}; write earmark score REFERENCE DECODED")
    reference, decoded = paths
    names = chosen_metrics(metrics, own_metrics, timeout)
    if not keep_going:
        refuse(unavailable_metrics(names), rest=len(unavailable_metrics(names)) < len(names))
    scores, notes = score_files(reference, decoded, names, mode)
    click.echo(RENDERERS[output](pair_grid(scores, reference, decoded, notes)), nl=False)
    return int(any(one.status == "error" for one in scores.values()))
