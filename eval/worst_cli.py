"""`earmark worst`: the worst recordings of a codec, to read and to hear."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line import command, option, shared
from earmark.codec.files import require_new
from earmark.eval.inputs import RunPath
from earmark.eval.tables_cli import FORMATS


@command(
    short_help="List the worst recordings of a codec",
    examples=[
        "earmark worst run/ --system opus@6",
        "earmark worst run/ --system opus@6 -m pesq --count 20 -o worst.html",
        "earmark worst run/ --system mine@6 --against opus@6 -o losses.html",
    ],
    exit_status={1: "finished, but players of the page failed"},
)
@click.argument("run", type=RunPath())
@option(
    "--system", aliases=["-s", "--systems"], metavar="SYSTEM", show_default="the only one",
    help="System of the run to rank.",
)  # fmt: skip
@option(
    "-m", "--metrics", "metric", aliases=["--metric"], metavar="METRIC", show_default="ViSQOL, or the run's first",
    help="Metric to rank by.",
)  # fmt: skip
@option("--count", aliases=["-n"], type=click.IntRange(1), default=10, metavar="N", help="Number of recordings.")
@option("--against", metavar="SYSTEM", help="Rank by the loss against this system, and play it too.")
@option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write a page (HTML) with scores, players of source and decoded audio, and spectrograms.",
)  # fmt: skip
@shared.force
@shared.printed_format(*FORMATS)
def worst(
    run: Path, system: str | None, metric: str | None, count: int, against: str | None, out: Path | None, force: bool,
    output: str,
) -> int:  # fmt: skip
    """List the recordings of RUN with the worst scores of one system.

    CSV and JSON have the scores by all metrics of the run.
    """
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.report.choice import headline_metric
    from earmark.eval.statistics import worst as ranking
    from earmark.eval.tables.grid import RENDERERS
    from earmark.eval.tables.worst_grid import worst_grid

    if out is not None:
        require_new(out, force)
    scores, info = read_scores(run), read_info(run)
    system = system or ranking.only_system(scores)
    name = metric or headline_metric(scores) or str(scores["metric"].iloc[0])
    found = ranking.worst(scores, system, name, count, against, info["speech_categories"])
    rendered = RENDERERS[output](worst_grid(found, scores))
    click.echo(rendered, nl=not rendered.endswith("\n"))
    if out is not None:
        from earmark.eval.report.worst_page import write_worst_page  # loads matplotlib, which takes a second

        played = write_worst_page(out, run, scores, info, found)
        click.echo(f"page: {out}", err=True)
        return 0 if played else 1
    return 0
