"""`earmark download`."""

from __future__ import annotations

import functools
import re
from typing import Any

import click

from earmark.codec.checkpoints.downloads import (
    HUB_LICENCES,
    HUB_NAME,
    OFFICIAL_FILES,
    OFFICIAL_LICENCE,
    OFFICIAL_URL,
)
from earmark.codec.command_line import Choice, command, option, shared, show_preview

LYRA_WEIGHTS, LYRA_LICENCE = "lyra_v2", "Apache-2.0"


class WeightsName(Choice):
    """The name of published weights, or OWNER/MODEL on the Hugging Face hub."""

    def __init__(self) -> None:
        super().__init__([*OFFICIAL_FILES, LYRA_WEIGHTS])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if "/" not in text:
            return super().convert(value, param, ctx)
        if re.fullmatch(HUB_NAME, text) is None:
            self.fail(f"{text}: a model on the Hugging Face hub has a name like facebook/encodec_32khz", param, ctx)
        return text


@command(
    short_help="Fetch weights; no NAME lists them",
    examples=["earmark download", "earmark download encodec_24khz"],
    environment={"EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark]."},
)
@click.argument("names", nargs=-1, type=WeightsName(), metavar="[NAME]...")
@option(
    "--url", metavar="URL", show_default=f"{OFFICIAL_URL}; for Lyra, GitHub",
    help="Folder of a mirror that has the files.",
)  # fmt: skip
@shared.dry_run
@shared.quiet
def download(names: tuple[str, ...], url: str | None, dry_run: bool) -> None:
    """Download published weights into the user's cache: encodec_24khz, encodec_48khz, lyra_v2 and others.

    A NAME with a slash, such as facebook/encodec_32khz, is a model on the Hugging Face hub. Without NAME, list what
    there is, with the licence. The hash of each file is checked, except of files from the hub. An interrupted download
    continues on the next run.
    """
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads, hub

    if not names:
        lines = [(name, downloads.is_cached(name), OFFICIAL_LICENCE) for name in OFFICIAL_FILES]
        lines += [(LYRA_WEIGHTS, lyra.is_downloaded(), LYRA_LICENCE)]
        lines += [(name, hub.is_downloaded(name), licence) for name, licence in HUB_LICENCES.items()]
        for name, here, licence in lines:
            click.echo(f"{name:22}  {_status(here):14}  {licence}")
    if names and dry_run:
        show_preview({name: _plan(name, url) for name in names})
        return
    for name in names:
        if "/" in name:
            path = hub.download(name, url)
        else:
            folder = url or (lyra.WEIGHTS_URL if name == LYRA_WEIGHTS else OFFICIAL_URL)
            fetch = lyra.download if name == LYRA_WEIGHTS else functools.partial(downloads.download, name)
            path = fetch(folder.rstrip("/") + "/")
        click.echo(path)
        click.echo(f"note: {name}: licence: {_licence(name)}", err=True)


def _licence(name: str) -> str:
    from earmark.codec.checkpoints.hub import HUB_URL

    if name == LYRA_WEIGHTS:
        return LYRA_LICENCE
    return HUB_LICENCES.get(name, f"see {HUB_URL}/{name}") if "/" in name else OFFICIAL_LICENCE


def _plan(name: str, url: str | None) -> str:
    """Source and target of a download, for --dry-run."""
    from earmark.baselines import lyra
    from earmark.codec.checkpoints import downloads, hub

    if "/" in name:
        here, origin, target = hub.is_downloaded(name), f"{hub.HUB_URL}/{name}", hub.folder_of(name)
    elif name == LYRA_WEIGHTS:
        here, origin, target = lyra.is_downloaded(), lyra.WEIGHTS_URL, lyra.weights_folder()
    else:
        here, origin = downloads.is_cached(name), OFFICIAL_URL
        target = downloads.cache_folder() / OFFICIAL_FILES[name]
    return f"{_status(here)}: {target}" if here else f"{url or origin} -> {target}"


def _status(here: bool) -> str:
    return "downloaded" if here else "not downloaded"
