"""`earmark systems`."""

from __future__ import annotations

import click

from earmark.baselines.listing import print_listing
from earmark.baselines.registry import families

COLUMNS = ("System", "Codec", "Rates", "Sample rates", "Latency", "Version", "Licence", "Here")


@click.command()
def systems() -> None:
    """List every codec: available or not and why, bit rates, sample rates, latency, version, licence."""
    rows, missing = [], []
    for family in families().values():
        reason = family.unavailable()
        if reason is not None:
            missing.append(f"{family.name}: {reason.removeprefix(f'{family.name}: ')}")
        rows.append((
            family.example, family.title, family.rates, family.sample_rates,
            family.latency, family.version() if reason is None else "", family.licence,
            "yes" if reason is None else "no",
        ))  # fmt: skip
    print_listing(COLUMNS, rows, missing)
