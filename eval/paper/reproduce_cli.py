"""`earmark reproduce`: a table of the paper at the budget at hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.eval.options import NameList

if TYPE_CHECKING:
    from earmark.codec.training.recipe import Recipe


class BudgetType(click.ParamType):
    """Minutes or updates: 30min, 2000updates."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from earmark.eval.paper.reproduce import Budget

        return Budget.parse(value) if isinstance(value, str) else value


@click.command()
@click.argument("table")
@click.option(
    "--data", type=click.Path(exists=True, path_type=Path), required=True, multiple=True,
    help="Manifest by `earmark data index`, or folder by `earmark data shards`; may be given several times.",
)  # fmt: skip
@click.option("--budget", type=BudgetType(), required=True, help="Of each row's training, e.g. 30min or 2000updates.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder of it all.")
@click.option("--rows", type=NameList(), default=None, help="Only these rows, comma-separated; all otherwise.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting in every row.")
@click.option("--excerpts", type=click.IntRange(1), default=24, show_default=True, help="To score each row on.")
@click.option("--seconds", type=click.FloatRange(0.5), default=5.0, show_default=True, help="Of each excerpt.")
@click.option("--device", help="cpu, cuda or cuda:1; a GPU where there is one.")
@click.option("--threads", type=click.IntRange(min=1), help="Of the processor; all cores otherwise.")
@click.option("--visqol/--no-visqol", default=True, show_default=True, help="Score by ViSQOL too.")
def reproduce(
    table: str, data: tuple[Path, ...], budget: Any, out: Path, rows: tuple[str, ...] | None,
    settings: tuple[str, ...], excerpts: int, seconds: float, device: str | None, threads: int | None, visqol: bool,
) -> None:  # fmt: skip
    """Train the rows of TABLE (table2, table_a2, table_a3, table_a4) at a budget; print our scores beside the paper's.

    A row that is done is not done again, and one that was interrupted goes on: run the same command again.
    """
    import torch

    from earmark.codec.training import recipe_files
    from earmark.codec.training.distributed import single_process
    from earmark.codec.training.examples.shard_cache import open_shards
    from earmark.eval.paper import reproduce as rows_of
    from earmark.eval.tables import grid as grids
    from earmark.eval.training_cli import visqol_scorer

    if threads:
        torch.set_num_threads(threads)
    group = single_process("reproduce", device)
    about = recipe_files.table(table)
    chosen = rows_of.chosen_rows(table, rows or ())
    settings = (*budget.settings, f"validation.kbps=[{about.kbps:g}]", *settings)
    recipes = rows_of.recipes_of(chosen, settings)
    scorers = {"visqol": visqol_scorer()} if visqol else {}
    rate, channels = recipes[0].model.sample_rate, recipes[0].model.channels
    opened = [open_shards(path, out / f"shards-{index}", rate, channels, group) for index, path in enumerate(data)]
    held_out = rows_of.held_out(recipes[0], opened, excerpts, seconds)

    def experiment(recipe: Recipe) -> rows_of.Experiment:
        return rows_of.Experiment.of(recipe, opened, budget, held_out, seconds)

    done = {}
    for row in about.rows:  # those that an earlier call trained are shown too
        known = rows_of.read_scores(rows_of.row_folder(out, row))
        if known and known.experiment == experiment(recipe_files.load(row.recipe, settings)):
            done[row.recipe] = known
    for number, (row, recipe) in enumerate(zip(chosen, recipes, strict=True), 1):
        click.echo(f"row {number} of {len(chosen)}: {row.label}, {budget}", err=True)
        done[row.recipe] = rows_of.reproduce_row(
            recipe, about.kbps, opened, rows_of.row_folder(out, row), budget, group, experiment(recipe), held_out,
            scorers,
        )  # fmt: skip
        shown = rows_of.grid(about, done, budget)
        rows_of.write_tables(shown, out)
    click.echo(grids.text(shown), nl=False)
