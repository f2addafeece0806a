"""`earmark download`."""

from __future__ import annotations

import functools

import click

from earmark.codec.checkpoints.downloads import OFFICIAL_FILES, OFFICIAL_URL

LYRA_WEIGHTS = "lyra_v2"


@click.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice([*OFFICIAL_FILES, LYRA_WEIGHTS]), metavar="NAME...")
@click.option("--url", help=f"Folder of a mirror that has the files.  [default: {OFFICIAL_URL}; for Lyra, GitHub]")
def download(names: tuple[str, ...], url: str | None) -> None:
    """Download published weights into the user's cache: encodec_24khz, encodec_48khz, lyra_v2 and others.

    The hash of each file is checked. An interrupted download continues on the next run.
    """
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads

    for name in names:
        folder = url or (lyra.WEIGHTS_URL if name == LYRA_WEIGHTS else OFFICIAL_URL)
        fetch = lyra.download if name == LYRA_WEIGHTS else functools.partial(downloads.download, name)
        click.echo(fetch(folder.rstrip("/") + "/"))
