"""The command `earmark reproduce`: trains the rows of a table in the paper at an affordable budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from earmark.codec.command_line import command, option, shared, show_preview
from earmark.codec.command_line.types import completed_by
from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.notices import notice
from earmark.codec.suggestions import same
from earmark.eval.options import NameList, together
from earmark.eval.paper.budget import Budget

if TYPE_CHECKING:
    from earmark.codec.training.recipe import Recipe


class BudgetType(click.ParamType):
    """Minutes or updates: 30min, 2000updates."""

    name = "budget"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Budget:
        return value if isinstance(value, Budget) else Budget.parse(value)


def _items() -> list[str]:
    from earmark.codec.training import recipe_files

    return recipe_files.tables()


@command(
    short_help="Make a table of the paper",
    examples=["earmark reproduce tableA4 --data shards/ --budget 30min -o table/"],
)
@click.argument("table", metavar="ITEM", shell_complete=completed_by(_items))
@shared.data
@option(
    "--budget", type=BudgetType(), required=True, metavar="BUDGET",
    help="Length of each training, e.g. 30min or 2000updates.",
)  # fmt: skip
@shared.training_folder
@option(
    "--rows", type=NameList(), multiple=True, callback=together, metavar="ROW,...", show_default="all",
    help="Rows to train; repeats add up.",
)  # fmt: skip
@option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a setting in every row.")
@option(
    "--excerpts", type=click.IntRange(1), default=24, metavar="N", help="Number of excerpts on which to score each row."
)
@option("--seconds", type=click.FloatRange(0.5), default=5.0, metavar="S", help="Length of an excerpt in seconds.")
@shared.device
@shared.threads
@option("--visqol/--no-visqol", default=True, help="Score by ViSQOL too.")
@shared.dry_run
@shared.quiet
def reproduce(
    table: str, data: tuple[Path, ...], budget: Budget, out: Path, rows: tuple[str, ...] | None,
    settings: tuple[str, ...], excerpts: int, seconds: float, device: str | None, threads: int | None, visqol: bool,
    dry_run: bool,
) -> None:  # fmt: skip
    """Train the rows of ITEM (table2, tableA2, tableA3, tableA4) at a budget; print our scores beside the paper's.

    Run the same command again to continue: rows that are done are skipped, and an interrupted row is resumed.
    """
    require("torch", extra="encodec", for_="reproduce")
    import torch

    from earmark.codec.training import recipe_files
    from earmark.codec.training.distributed import single_process
    from earmark.codec.training.examples.shard_cache import describe, open_shards
    from earmark.eval.paper import published_tables
    from earmark.eval.paper import reproduce as reproduction
    from earmark.eval.paper.reproduced_table import build_grid, write_tables
    from earmark.eval.tables import grid as grids
    from earmark.eval.training_cli import visqol_scorer

    if threads:
        torch.set_num_threads(threads)
    group = single_process("reproduce", device)
    if same(table, recipe_files.tables()) is None and (other := same(table, published_tables.names())):
        raise UserError(
            f"{table}: no table of trainings; arrange a run like it by `earmark tables RUN --paper {other}`"
        )
    content = recipe_files.table(table)
    selected = reproduction.select_rows(table, rows or ())
    settings = (*budget.settings, f"validation.kbps=[{content.kbps:g}]", *settings)
    recipes = reproduction.load_recipes(selected, settings)
    scorers = {"visqol": visqol_scorer()} if visqol else {}
    rate, channels = recipes[0].model.sample_rate, recipes[0].model.channels
    if dry_run:
        show_preview({
            "table": content.title,
            "rows": "\n".join(f"{row.recipe.partition(':')[2]}: {row.label}" for row in selected),
            "budget": f"{budget} for each row",
            "data": "\n".join(describe(path, out / f"shards-{i}", rate, channels) for i, path in enumerate(data)),
            "output": out,
        })  # fmt: skip
        return
    shards = [open_shards(path, out / f"shards-{index}", rate, channels, group) for index, path in enumerate(data)]
    held_out = reproduction.held_out(recipes[0], shards, excerpts, seconds)

    def experiment(recipe: Recipe) -> reproduction.Experiment:
        return reproduction.Experiment.of(recipe, shards, budget, held_out, seconds)

    done = {}
    for row in content.rows:  # include rows that an earlier call trained
        known = reproduction.read_scores(reproduction.row_folder(out, row))
        if known and known.experiment == experiment(recipe_files.load(row.recipe, settings)):
            done[row.recipe] = known
    for number, (row, recipe) in enumerate(zip(selected, recipes, strict=True), 1):
        notice(f"row {number} of {len(selected)}: {row.label}, {budget}")
        done[row.recipe] = reproduction.reproduce_row(
            recipe, content.kbps, shards, reproduction.row_folder(out, row), budget, group, experiment(recipe),
            held_out, scorers,
        )  # fmt: skip
        grid = build_grid(content, done, budget)
        write_tables(grid, out)
    click.echo(grids.text(grid), nl=False)
