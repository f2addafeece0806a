"""The command `earmark sweep`: trains a codec over a grid of settings and several seeds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from earmark.codec.command_line import command, option, shared, show_preview
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.notices import notice
from earmark.codec.text import counted

if TYPE_CHECKING:
    from earmark.eval.sweep.rows import Item

FORMATS = ("text", "markdown", "latex", "csv", "json")


@command(
    short_help="Train over a grid of settings",
    examples=[
        "earmark sweep grid.toml --data shards/ --seeds 3 -o sweep/",
        "earmark sweep grid.toml --data shards/ -o sweep/ --slurm",
        "earmark sweep grid.toml --data shards/ -o sweep/ --table",
    ],
    exit_status={1: "some trainings failed"},
)
@click.argument("grid", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@shared.data
@option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR",
    help="Folder for the trainings, one folder per row and seed.",
)  # fmt: skip
@option("--seeds", type=click.IntRange(1), default=1, metavar="N", help="Trainings per row, with the seeds 0, 1, ...")
@option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting in every row.")
@option(
    "--cluster", metavar="ADDRESS",
    help="Run on this Dask cluster, e.g. tcp://host:8786; its workers must see the same paths.",
)  # fmt: skip
@option("--slurm", is_flag=True, help="Write a script for an array of Slurm, and run nothing.")
@option("--only", type=click.IntRange(0), metavar="N", help="Run training N only, counted from 0; for Slurm.")
@option("--table", "table_only", is_flag=True, help="Print the table of what is there, and run nothing.")
@shared.device
@shared.threads
@option("--visqol/--no-visqol", default=True, help="Score the validation by ViSQOL too.")
@shared.keep_going
@shared.printed_format(*FORMATS)
@shared.dry_run
@shared.quiet
def sweep(
    grid: Path, data: tuple[Path, ...], out: Path, seeds: int, settings: tuple[str, ...], cluster: str | None,
    slurm: bool, only: int | None, table_only: bool, device: str | None, threads: int | None, visqol: bool,
    keep_going: bool, output: str, dry_run: bool,
) -> int:  # fmt: skip
    """Train every row of GRID with several seeds; print mean and standard deviation of the scores per row.

    GRID is a TOML file: `recipe = "tiny"`; `set`, a list of settings of all rows; `[grid]`, lists of values by setting,
    of which every combination is a row; and `[rows]`, lists of settings by label. Run the same command again to
    continue: trainings that are done are skipped, and interrupted ones are resumed.
    """
    require("torch", extra="encodec", for_="sweep")
    from earmark.codec.training import recipe_files
    from earmark.eval.sweep import running
    from earmark.eval.sweep.results import table
    from earmark.eval.sweep.rows import read
    from earmark.eval.tables.grid import RENDERERS

    items = read(grid, seeds, settings)
    for item in items:
        recipe_files.load(item.recipe, item.settings)  # a mistake in the last row must not cost the others
    if only is not None and only >= len(items):
        raise UserError(f"--only {only}: there are {counted(len(items), 'training')}, counted from 0")
    if dry_run:
        listed = [f"{number}: {item.row}, seed {item.seed}" for number, item in enumerate(items)]
        show_preview({"recipe": items[0].recipe, "trainings": "\n".join(listed), "output": out})
        return 0
    paths = [path.resolve() for path in data]
    options = [] if device is None else ["--device", device]
    options += [] if threads is None else ["--threads", str(threads)]
    options += [] if visqol else ["--no-visqol"]
    if slurm:
        given = [part for path in paths for part in ("--data", str(path))]
        given += [part for setting in settings for part in ("--set", setting)]
        start = [sys.executable, "-m", "earmark", "sweep", str(grid.resolve()), "--out", str(out.resolve())]
        script = running.write_slurm(out.resolve(), items, [*start, "--seeds", str(seeds), *given, *options])
        click.echo(f"{script}: {counted(len(items), 'job')}; send it by sbatch, then print the table by --table")
        return 0
    failed: list[str] = []
    if not table_only:
        chosen = items if only is None else [items[only]]
        folder = out if cluster is None else out.resolve()

        def command_line(item: Item) -> list[str]:
            return running.command_of(item, folder, paths, [*options, "--quiet", "--no-tensorboard"])

        results = running.on_cluster(chosen, command_line, cluster) if cluster else _here(chosen, command_line)
        for item, reason in results:
            if reason is not None:
                failed.append(f"{item.row}, seed {item.seed}: {reason}")
                click.echo(f"failed: {failed[-1]}", err=True)
                if not keep_going:
                    raise UserError(f"{failed[-1]}; --keep-going goes on with the others")
    if only is None:
        click.echo(RENDERERS[output](table(items, out, f"{grid.stem}: {counted(seeds, 'seed')} per row")), nl=False)
    return 1 if failed else 0


def _here(items: Sequence[Item], command_line: Callable[[Item], list[str]]) -> Iterator[tuple[Item, str | None]]:
    """Run trainings one after the other in this process."""
    from earmark.eval.training_cli import train

    for number, item in enumerate(items, 1):
        notice(f"training {number} of {len(items)}: {item.row}, seed {item.seed}")
        try:
            with train.make_context("train", command_line(item)[1:]) as context:
                train.invoke(context)
        except UserError as error:
            yield item, str(error)
        else:
            yield item, None
