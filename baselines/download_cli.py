"""`earmark download`."""

from __future__ import annotations

import functools

import click

from earmark.codec.checkpoints.downloads import OFFICIAL_FILES, OFFICIAL_URL
from earmark.codec.command_line import Choice, command, option, shared, show_preview

LYRA_WEIGHTS = "lyra_v2"


@command(
    short_help="Fetch weights; no NAME lists them",
    examples=["earmark download", "earmark download encodec_24khz"],
    environment={"EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark]."},
)
@click.argument("names", nargs=-1, type=Choice([*OFFICIAL_FILES, LYRA_WEIGHTS]), metavar="[NAME]...")
@option(
    "--url", metavar="URL", show_default=f"{OFFICIAL_URL}; for Lyra, GitHub",
    help="Folder of a mirror that has the files.",
)  # fmt: skip
@shared.dry_run
@shared.quiet
def download(names: tuple[str, ...], url: str | None, dry_run: bool) -> None:
    """Download published weights into the user's cache: encodec_24khz, encodec_48khz, lyra_v2 and others.

    Without NAME, list what there is. The hash of each file is checked. An interrupted download continues on the next
    run.
    """
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads

    if not names:
        for name in OFFICIAL_FILES:
            click.echo(f"{name:16}  {_status(downloads.is_cached(name))}")
        click.echo(f"{LYRA_WEIGHTS:16}  {_status(lyra.is_downloaded())}")
    if names and dry_run:
        show_preview({name: _plan(name, url) for name in names})
        return
    for name in names:
        folder = url or (lyra.WEIGHTS_URL if name == LYRA_WEIGHTS else OFFICIAL_URL)
        fetch = lyra.download if name == LYRA_WEIGHTS else functools.partial(downloads.download, name)
        click.echo(fetch(folder.rstrip("/") + "/"))


def _plan(name: str, url: str | None) -> str:
    """What a download would fetch, and to where."""
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads

    if name == LYRA_WEIGHTS:
        here, origin, target = lyra.is_downloaded(), lyra.WEIGHTS_URL, lyra.weights_folder()
    else:
        here, origin = downloads.is_cached(name), OFFICIAL_URL
        target = downloads.cache_folder() / OFFICIAL_FILES[name]
    return f"{_status(here)}: {target}" if here else f"{url or origin} -> {target}"


def _status(here: bool) -> str:
    return "downloaded" if here else "not downloaded"
