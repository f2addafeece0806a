"""The command `earmark reproduce`: the tables and figures of the EnCodec paper, each by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.command_line.types import completed_by
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.eval.options import NameList, together
from earmark.eval.paper.budget import Budget

if TYPE_CHECKING:
    from earmark.mushra_app.paper.scale import Name

LISTED = "LIST"


class BudgetType(click.ParamType):
    """Minutes or updates: 30min, 2000updates."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Budget:
        return value if isinstance(value, Budget) else Budget.parse(value)


def _names() -> list[str]:
    from earmark.mushra_app.paper.items import EVERY, items

    return [LISTED, EVERY, *items()]


@command(
    short_help="Make a table or figure of the paper",
    examples=[
        "earmark reproduce LIST",
        "earmark reproduce all --scale tiny -o paper/",
        "earmark reproduce table1 --audio recordings/ -o table1/",
        "earmark reproduce tableA4 --data shards/ --budget 30min -o tableA4/",
    ],
    exit_status={1: "finished, but something failed"},
)
@click.argument("item", metavar="ITEM", default=LISTED, shell_complete=completed_by(_names))
@option(
    "--scale", type=Choice(["tiny", "small", "paper"]), default="small", metavar="tiny|small|paper",
    help="Size of the work: tiny tries everything in minutes, on synthetic recordings and with simulated listeners; "
    "small trains each row for 30 minutes; paper trains as long as the paper.",
)  # fmt: skip
@option(
    "--data", type=click.Path(exists=True, path_type=Path), multiple=True, metavar="PATH",
    help="Training data: manifest by `earmark data index`, or folder by `earmark data shards`; repeats add up.",
)  # fmt: skip
@option(
    "--audio", type=click.Path(exists=True, path_type=Path), metavar="PATH",
    show_default="excerpts of the split test of --data",
    help="Recordings to code: a folder whose sub-folders are categories, or a corpus file.",
)  # fmt: skip
@option(
    "--budget", type=BudgetType(), metavar="BUDGET", show_default="that of --scale",
    help="Length of each training, e.g. 30min or 2000updates.",
)  # fmt: skip
@option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", show_default="none",
    help="Folder for the result and everything it is made of; needed by all but LIST.",
)  # fmt: skip
@option(
    "--rows", type=NameList(), multiple=True, callback=together, metavar="ROW,...", show_default="all",
    help="Rows of the table to train; repeats add up.",
)  # fmt: skip
@option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting in every training.")
@option("--excerpts", type=click.IntRange(1), default=24, metavar="N", help="Number of excerpts of --data to score.")
@option("--seconds", type=click.FloatRange(0.5), default=5.0, metavar="S", help="Length of an excerpt in seconds.")
@shared.device
@shared.threads
@option("--visqol/--no-visqol", default=True, help="Score by ViSQOL too.")
@shared.dry_run
@shared.quiet
def reproduce(
    item: str, scale: Name, data: tuple[Path, ...], audio: Path | None, budget: Budget | None, out: Path | None,
    rows: tuple[str, ...] | None, settings: tuple[str, ...], excerpts: int, seconds: float, device: str | None,
    threads: int | None, visqol: bool, dry_run: bool,
) -> int:  # fmt: skip
    """Make ITEM of the EnCodec paper, our figures beside the published ones: table1 to table5, tableA2 to tableA4,
    figure1 to figure3, or all.

    LIST, the default, shows what each needs and what is missing. What can run runs; what is missing is named below the
    table, with the remedy. Run the same command again to continue: what is done is skipped.
    """
    from earmark.mushra_app.paper import needs
    from earmark.mushra_app.paper.items import resolve

    if item.upper() == LISTED:
        click.echo(needs.listing(scale, data, audio), nl=False)
        return 0
    chosen = resolve(item)
    if out is None:
        raise UserError(f"-o DIR: name a folder for {item}, e.g. -o paper/")
    if rows and len(chosen) > 1:
        raise UserError("--rows: rows of one table; name the table")
    if rows and not chosen[0].trainings:
        raise UserError(f"--rows: {chosen[0].name} has no rows that are trained; leave --rows out")
    require("torch", extra="encodec", for_="reproduce")
    import torch

    from earmark.codec.training.distributed import single_process
    from earmark.mushra_app.paper.command import Request, preview, run

    if threads:
        torch.set_num_threads(threads)
    group = single_process("reproduce", device)
    request = Request(
        chosen, scale, data, audio, budget, out, rows or (), settings, 3 if scale == "tiny" else excerpts,
        1.0 if scale == "tiny" else seconds, visqol, group,
    )  # fmt: skip
    if dry_run:
        show_preview(preview(request))
        return 0
    return run(request)
