"""`earmark systems`."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from baselines.systems import families

COLUMNS = ("System", "Codec", "Rates", "Sample rates", "Latency", "Version", "Licence", "Here")


@click.command()
def systems() -> None:
    """List every codec: available or not and why, bit rates, sample rates, latency, version, licence."""
    table = Table(*(Column(name, overflow="fold") for name in COLUMNS), box=None, pad_edge=False)
    missing = []
    for family in families().values():
        reason = family.unavailable()
        if reason is not None:
            missing.append(f"{family.name}: {reason.removeprefix(f'{family.name}: ')}")
        table.add_row(
            family.example, family.title, family.rates, family.sample_rates,
            family.latency, family.version() if reason is None else "", family.licence,
            "yes" if reason is None else "no",
        )  # fmt: skip
    console = Console()
    console.width = max(console.width, 140)
    console.print(table)
    for line in missing:
        console.print()
        console.print(Text(line), soft_wrap=True)
