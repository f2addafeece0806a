"""`earmark systems`, `earmark download`."""

from __future__ import annotations

import functools

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from baselines.systems import families
from codec.downloads import OFFICIAL_FILES, OFFICIAL_URL

LYRA = "lyra_v2"


@click.command()
def systems() -> None:
    """List every codec: available or not and why, bit rates, sample rates, version, licence."""
    table = Table("System", "Codec", "Rates", "Sample rates", "Version", "Licence", "Here", box=None, pad_edge=False)
    missing = []
    for family in families().values():
        reason = family.unavailable()
        if reason is not None:
            missing.append(f"{family.name}: {reason.removeprefix(f'{family.name}: ')}")
        table.add_row(
            family.example, family.title, family.rates, family.sample_rates,
            family.version() if reason is None else "", family.licence, "yes" if reason is None else "no",
        )  # fmt: skip
    console = Console()
    console.width = max(console.width, 110)
    console.print(table)
    for line in missing:
        console.print()
        console.print(Text(line), soft_wrap=True)


@click.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice([*OFFICIAL_FILES, LYRA]), metavar="NAME...")
@click.option("--url", help=f"Folder of the files, for a mirror.  [default: {OFFICIAL_URL} or, for Lyra, GitHub]")
def download(names: tuple[str, ...], url: str | None) -> None:
    """Fetch published weights into the user's cache: encodec_24khz, encodec_48khz, lyra_v2 and others.

    Each file is checked by its hash. Run it again to go on with a download that broke off.
    """
    from baselines import lyra
    from codec import downloads

    for name in names:
        folder = url or (lyra.WEIGHTS_URL if name == LYRA else OFFICIAL_URL)
        fetch = lyra.download if name == LYRA else functools.partial(downloads.download, name)
        click.echo(fetch(folder.rstrip("/") + "/"))
