"""`earmark metrics`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from earmark.baselines.listing import print_facts, print_listing
from earmark.codec.command_line import command, shared
from earmark.codec.errors import UserError

if TYPE_CHECKING:
    from earmark.eval.metrics.interface import Metric

HEADINGS = ("Metric", "Title", "Unit", "Range", "Better", "Input", "Version", "Licence", "Available", "Reference")
Row = tuple[str, ...]


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from earmark.eval.metrics import registry

    return [
        CompletionItem(name) for name in [*registry.BY_CATEGORY, *registry.registered()] if name.startswith(incomplete)
    ]


@command(
    short_help="List metrics; NAME explains one",
    examples=["earmark metrics", "earmark metrics visqol", "earmark metrics --format markdown"],
)
@click.argument("name", required=False, shell_complete=_complete)
@shared.printed_format("text", "markdown", "csv", "json")
def metrics(name: str | None, output: str) -> None:
    """List every metric: available or not and why, unit, range, direction, rate, reference, licence.

    With NAME, explain one metric.
    """
    from earmark.eval.metrics import registry
    from earmark.eval.tables import grid

    if name is not None:
        try:
            exact = registry.names([name])[0]
        except UserError as error:
            raise UserError(str(error).removeprefix("--metrics: ")) from None
        for mode in registry.BY_CATEGORY.get(exact, (exact,)):
            print_facts(dict(zip(HEADINGS, _row(registry.find(mode)), strict=True)))
        return
    known = registry.registered()
    rows = [_by_category(name, [known[mode] for mode in modes]) for name, modes in registry.BY_CATEGORY.items()]
    rows += [_row(metric) for metric in known.values()]
    reasons = {name: metric.available() for name, metric in known.items()}
    notes = [f"{name}: {reason}" for name, reason in reasons.items() if reason is not None]
    if output == "text":
        print_listing(HEADINGS, rows, notes, narrow=("Metric", "Title", "Range", "Better", "Available"))
    else:
        table = grid.Grid("Metrics", HEADINGS, tuple(rows), tuple(notes), left=len(HEADINGS))
        click.echo(grid.RENDERERS[output](table), nl=False)


def _row(metric: Metric) -> Row:
    return (
        metric.name, metric.title, metric.unit, metric.value_range, metric.better, metric.input_format,
        metric.version(), metric.licence, _yes(metric.available() is None), metric.source,
    )  # fmt: skip


def _by_category(name: str, modes: list[Metric]) -> Row:
    """The row of a metric whose mode depends on the category of a recording."""
    either = " or ".join(mode.name for mode in modes)
    first = modes[0]
    return (
        name, f"{either}, by the recording's category", first.unit, f"as {either}", first.better, f"as {either}",
        first.version(), first.licence, _yes(all(mode.available() is None for mode in modes)), first.source,
    )  # fmt: skip


def _yes(answer: bool) -> str:
    return "yes" if answer else "no"
