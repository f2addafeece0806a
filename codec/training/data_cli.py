"""The command `earmark data`: manifests and shards of recordings to train on."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import click

from earmark.codec.datasets import layouts, open_corpus
from earmark.codec.datasets.indexing import Found, Index, index
from earmark.codec.datasets.manifest import KINDS, SPLITS, Entry, Kind
from earmark.codec.datasets.screening import Limits
from earmark.codec.errors import UserError
from earmark.codec.training.examples import shards

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)
JOBS = click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Threads that decode.")


@click.group()
def data() -> None:
    """Index and decode recordings to train on."""


@data.command("index")
@click.argument("root", type=FOLDER)
@click.option("--layout", type=click.Choice([*layouts.LAYOUTS, "folder"]), required=True, help="How ROOT is laid out.")
@click.option("--out", type=NEW, required=True, help="The manifest to write, e.g. jamendo.jsonl.")
@click.option("--kind", type=click.Choice(KINDS), help="With --layout folder: what the recordings are.")
@click.option("--licence", default="not stated", help="With --layout folder: the recordings' licence.")
@click.option("--creator", help="With --layout folder: regular expression whose group finds the speaker or artist.")
@click.option("--screen", is_flag=True, help="Decode each file and leave out clipped, narrow-band and noisy ones.")
@JOBS
def index_command(
    root: Path, layout: str, out: Path, kind: Kind | None, licence: str, creator: str | None, screen: bool, jobs: int
) -> None:
    """Write the manifest of a data set, with the splits of the EnCodec paper (appendix A.1)."""
    if layout != "folder":
        found = layouts.LAYOUTS[layout](root)
    elif kind is None:
        raise UserError("--layout folder: --kind is missing: say whether it is speech, music or sound")
    else:
        found = layouts.plain_folder(root, kind, licence, creator)
    report(index(found, out, Limits() if screen else None, jobs), out)


@data.command("open-corpus")
@click.argument("root", type=FOLDER)
@click.option("--out", type=NEW, help="The manifest to write; without it: how to fetch what is missing in ROOT.")
@JOBS
def open_corpus_command(root: Path, out: Path | None, jobs: int) -> None:
    """Index the open corpus, whose parts lie in ROOT, each extracted to a folder of its name.

    Nothing is downloaded: without --out the shell commands that fetch the missing parts are printed. Recordings that
    clip, end below 7 kHz or, of speech, are noisy, are left out.
    """
    found: list[Found] = []
    for source in open_corpus.sources():
        recordings = list(open_corpus.recordings(source, root))
        found += recordings
        if not recordings:
            click.echo("\n".join(how_to_fetch(source)), err=out is not None)
    if out is not None:
        report(index(found, out, Limits(), jobs), out)


def how_to_fetch(source: open_corpus.Source) -> list[str]:
    """Shell lines, to be run in the corpus's root."""
    lines = [f"# {source.name}: {source.kind}, {source.licence}"]
    if source.package:
        lines.append(f"apt-get download {source.package} && dpkg -x {source.package}_*.deb {source.package}")
    else:
        lines.append(f"# clone the public repository {source.repository} to {source.name}/")
    if source.prepare:
        lines.append(f"(cd {source.place}/{source.folder} && {source.prepare})")
    return lines


@data.command("shards")
@click.argument("manifests", nargs=-1, required=True, type=FILE)
@click.option("--sample-rate", type=click.IntRange(min=1), required=True, help="Hz, e.g. 24000.")
@click.option("--channels", type=click.IntRange(1, 2), default=1, show_default=True, help="1 or 2.")
@click.option("--out", type=NEW, required=True, help="The folder to write to.")
@click.option("--shard-size", default="1G", show_default=True, help="Largest file, e.g. 60M.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="No more than this: a fair sample.")
@JOBS
def shards_command(
    manifests: tuple[Path, ...],
    sample_rate: int,
    channels: int,
    out: Path,
    shard_size: str,
    hours: float | None,
    jobs: int,
) -> None:
    """Decode and resample MANIFESTS once, so that training never waits for a decoder."""
    recordings = shards.write(
        manifests,
        out,
        sample_rate=sample_rate,
        channels=channels,
        shard_bytes=size(shard_size),
        hours=hours,
        jobs=jobs,
    )
    for stored in recordings:
        if not stored.parts:
            click.echo(f"left out: {stored.entry.path}: silent or not readable", err=True)
    click.echo(hours_table(stored.entry for stored in recordings if stored.parts))


def size(text: str) -> int:
    """Bytes: "60M" is 60 million."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise UserError(f"--shard-size {text}: not a size; give e.g. 60M or 1G")
    return int(float(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]])


def report(result: Index, out: Path) -> None:
    """Say how much is in a manifest and what was left out of it."""
    click.echo(hours_table(result.entries))
    left: dict[tuple[str, str], list[float]] = defaultdict(list)
    for recording in result.left_out:
        left[recording.kind, recording.reason].append(recording.seconds / 3600)
    for (kind, reason), hours in sorted(left.items()):
        click.echo(f"left out: {sum(hours):.2f} h of {kind}, {len(hours)} files: {reason}")
    click.echo(f"manifest: {out}")


def hours_table(entries: Iterable[Entry]) -> str:
    """Hours and files of each kind and split."""
    hours: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in entries:
        hours[entry.kind, entry.split].append(entry.seconds / 3600)
    lines = ["         " + "".join(f"{split:>20}" for split in SPLITS)]
    for kind in KINDS:
        cells = [hours[kind, split] for split in SPLITS]
        if any(cells):
            lines.append(f"{kind:9}" + "".join(f"{sum(cell):9.2f} h {len(cell):7}" for cell in cells))
    return "\n".join(lines)
