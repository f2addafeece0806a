"""`earmark study plan`: how many listeners and items a test needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich import box
from rich.console import Console
from rich.table import Table

from earmark.codec.command_line import command, option
from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.eval.tables.numbers import DASH
from earmark.mushra_app.build_cli import hourly_option
from earmark.mushra_app.study.cost import reward
from earmark.mushra_app.study.duration import OTHER_PAGES_MINUTES, with_other_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earmark.mushra_app.analysis.planning import Plan, Spread

ITEMS = (8, 12, 24, 48)
MOST_TRIALS = 12  # of a listener, as `earmark study build` has it


def numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:
    """Read a comma-separated list of numbers of items, at least 2 each."""
    try:
        counts = tuple(int(part) for part in (value or ",".join(map(str, ITEMS))).split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 2:
        raise UserError(f"--items {value}: must be whole numbers of at least 2, e.g. --items 8,12,24")
    return counts


@command(
    short_help="Plan how many listeners and items a test needs",
    examples=[
        "earmark study plan --difference 5 --power 0.8",
        "earmark study plan --difference 3 --pilot ratings.csv --items 12,24 --pairs 6",
    ],
)
@option("--difference", type=click.FloatRange(0, 100, min_open=True), required=True, metavar="POINTS",
        help="Smallest difference between two systems to find, in points of the 0 to 100 scale.")  # fmt: skip
@option(
    "--power",
    type=click.FloatRange(0.05, 0.99),
    default=0.8,
    metavar="P",
    help="Probability of finding that difference.",
)
@option("--pilot", type=click.Path(exists=True, path_type=Path), metavar="PATH", show_default="typical variances",
        help="Study or rating file to take the variances from.")  # fmt: skip
@option("--items", callback=numbers, metavar="N,...", show_default=",".join(map(str, ITEMS)),
        help="Numbers of items to consider.")  # fmt: skip
@option("--trials", type=click.IntRange(1), default=MOST_TRIALS, metavar="N", help="Most items per listener.")
@option("--pairs", type=click.IntRange(1), default=1, metavar="N",
        help="Pairs of systems to test; Holm's correction makes each test stricter.")  # fmt: skip
@option("--minutes", type=click.FloatRange(0, min_open=True), default=1.5, metavar="MIN",
        help="Minutes that a trial takes.")  # fmt: skip
@hourly_option
def plan(
    difference: float, power: float, pilot: Path | None, items: tuple[int, ...], trials: int, pairs: int,
    minutes: float, hourly: float,
) -> None:  # fmt: skip
    """Print how many listeners it takes to find a difference, for these items and for other items too, and the cost."""
    from earmark.mushra_app.analysis import planning

    spread, source = planning.TYPICAL, "typical values; --pilot takes those of a pilot"
    if pilot is not None:
        spread, source = _pilot(pilot), f"from {pilot}"
    plans = [
        tuple(
            planning.plan(difference, power, count, min(trials, count), spread, other_items=others, pairs=pairs)
            for others in (False, True)
        )
        for count in items
    ]
    console = Console(highlight=False, markup=False)
    console.print(
        f"Standard deviations of a difference: {spread.listener:.1f} points between listeners, {spread.item:.1f} "
        f"between items, {spread.error:.1f} within a trial ({source})."
    )
    console.print(_table(plans, minutes, hourly))
    level = f"p < 0.05 / {pairs}, for {counted(pairs, 'pair')}" if pairs > 1 else "p < 0.05"
    console.print(
        f"Listeners, after screening, who find a difference of {difference:g} points at {level} with a probability of "
        f"{power:g}; power: share of {planning.SIMULATED} simulated tests that found it. These items: other listeners "
        "would confirm it. Other items too: with other items of the same kind. A trial takes "
        f"{minutes:g} minutes, the other pages of a session {OTHER_PAGES_MINUTES}; an hour costs {hourly:g}."
    )
    if any(one.listeners is None for pair in plans for one in pair):
        console.print(f"{DASH}: no number of listeners is enough with so few items.")


def _pilot(path: Path) -> Spread:
    from earmark.mushra_app.analysis import planning
    from earmark.mushra_app.analysis.comparisons import family_of
    from earmark.mushra_app.report.loading import load_ratings

    loaded = load_ratings(path)
    spread = planning.spread_of(loaded.table, family_of(loaded.roles))
    if spread is None:
        raise UserError(f"{path}: no two systems were rated by two listeners with two items; a pilot needs that")
    return spread


def _table(plans: Sequence[Sequence[Plan]], minutes: float, hourly: float) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    headings = ["items", "trials"]
    for kind in ("these items", "other items too"):
        headings += [f"{kind}\nlisteners", "\npower", "\nhours", "\ncost"]
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in plans:
        cells = [f"{pair[0].items}", f"{pair[0].trials}"]
        for one in pair:
            if one.listeners is None:
                cells += [DASH] * 4
                continue
            session = with_other_pages(one.trials * minutes)
            hours, pay = one.listeners * session / 60, one.listeners * reward(session, hourly)
            cells += [f"{one.listeners}", f"{100 * one.power:.0f} %", f"{hours:.0f}", f"{(pay + 50) // 100}"]
        table.add_row(*cells)
    return table
