"""`earmark systems`."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from baselines.systems import families


@click.command()
def systems() -> None:
    """List every codec: available or not and why, bit rates, sample rates, version, licence."""
    table = Table("System", "Codec", "Rates", "Sample rates", "Version", "Licence", "Here", box=None, pad_edge=False)
    for family in families().values():
        reason = family.unavailable()
        table.add_row(
            family.example, family.title, family.rates, family.sample_rates,
            family.version() if reason is None else "", family.licence, reason or "yes",
        )  # fmt: skip
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
