"""The command group `earmark data`: manifests and shards for training."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import Choice, SampleRate, command, group, option, shared, show_preview
from earmark.codec.cores import usable_cores
from earmark.codec.datasets import layouts, open_corpus
from earmark.codec.datasets.indexing import Candidate, Index, index
from earmark.codec.datasets.manifest import CATEGORIES, SPLITS, Category, Entry
from earmark.codec.datasets.screening import Limits
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.text import counted
from earmark.codec.training.examples import shard_sources, shards

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW = click.Path(path_type=Path)


class Manifest(click.Path):
    """A manifest; for a folder, the message names the command that makes one of it."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.is_dir():
            self.fail(
                f"{path} is a folder; index it first by `earmark data index {path} --layout folder "
                f"--category speech -o {path.name or 'clips'}.jsonl`",
                param, ctx,
            )  # fmt: skip
        return path


JOBS = option(
    "-j", "--jobs", type=click.IntRange(1), metavar="N", show_default="all cores", help="Threads that decode."
)


@group(
    short_help="Prepare recordings to train on",
    examples=[
        "earmark data index jamendo/ --layout jamendo -o jamendo.jsonl",
        "earmark data shards jamendo.jsonl --rate 24k -o shards/",
    ],
)
def data() -> None:
    """Index and decode recordings to train on."""


@command(
    "index",
    parent=data,
    short_help="List the recordings of a data set in a manifest",
    examples=[
        "earmark data index jamendo/ --layout jamendo -o jamendo.jsonl",
        "earmark data index clips/ --layout folder --category speech -o clips.jsonl",
    ],
)
@click.argument("root", type=FOLDER)
@option(
    "--layout", type=Choice([*layouts.LAYOUTS, "folder"]), required=True, metavar="LAYOUT",
    help=f"Layout of ROOT: {', '.join(layouts.LAYOUTS)}, or folder for any other.",
)  # fmt: skip
@option("-o", "--out", type=NEW, required=True, metavar="FILE", help="Manifest to write, e.g. jamendo.jsonl.")
@option(
    "--category", type=Choice(CATEGORIES), metavar="speech|music|sound", aliases=["--kind"],
    help="With --layout folder: category of the recordings.",
)  # fmt: skip
@option("--licence", default="not stated", metavar="TEXT", help="With --layout folder: licence of the recordings.")
@option(
    "--creator", metavar="REGEX",
    help="With --layout folder: regular expression whose group finds the speaker or artist.",
)  # fmt: skip
@option("--screen", is_flag=True, help="Decode each file and skip clipped, narrow-band and noisy ones.")
@JOBS
@shared.force
@shared.dry_run
@shared.quiet
def index_command(
    root: Path, layout: str, out: Path, category: Category | None, licence: str, creator: str | None, screen: bool,
    jobs: int | None, force: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Write the manifest of a data set: one JSON line per recording, with category, length and split.

    The splits (train, valid, test) are those of the EnCodec paper (appendix A.1).
    """
    require_new(out, force)
    if layout != "folder":
        candidates = layouts.LAYOUTS[layout](root)
    elif category is None:
        raise UserError("--layout folder: give --category speech, music or sound too")
    else:
        candidates = layouts.plain_folder(root, category, licence, creator)
    if dry_run:
        _preview(candidates, out)
        return
    report(index(candidates, out, Limits() if screen else None, jobs or usable_cores()), out)


@command(
    "open-corpus",
    parent=data,
    short_help="Index recordings under free licences",
    examples=["earmark data open-corpus corpus/", "earmark data open-corpus corpus/ -o open-corpus.jsonl"],
)
@click.argument("root", type=click.Path(file_okay=False, path_type=Path))
@option(
    "-o", "--out", type=NEW, metavar="FILE", show_default="print commands that fetch missing parts",
    help="Manifest to write.",
)  # fmt: skip
@JOBS
@shared.force
@shared.dry_run
@shared.quiet
def open_corpus_command(root: Path, out: Path | None, jobs: int | None, force: bool, dry_run: bool) -> None:
    """Index the open corpus: speech, music and sounds under free licences, chosen for training.

    ROOT is the folder of the corpus, with each part extracted to a folder of its name.

    Without --out, prints the shell commands that fetch the missing parts; nothing is downloaded. Skips recordings that
    are clipped or end below 7 kHz, and noisy speech.
    """
    if out is not None:
        require_new(out, force)
        if not root.is_dir():
            raise UserError(f"{root}: there is no such folder; `earmark data open-corpus {root}` says how to fetch it")
    else:
        click.echo(f"mkdir -p {shlex.quote(str(root))} && cd {shlex.quote(str(root))}")
    candidates: list[Candidate] = []
    for source in open_corpus.sources():
        recordings = list(open_corpus.recordings(source, root))
        candidates += recordings
        if not recordings:
            click.echo("\n".join(fetch_commands(source)), err=out is not None)
    if out is not None and dry_run:
        _preview(candidates, out)
    elif out is not None:
        report(index(candidates, out, Limits(), jobs or usable_cores()), out)


def _preview(candidates: Iterable[Candidate], out: Path) -> None:
    """Show the files that would be indexed, by category and split."""
    count = Counter((candidate.category, candidate.split) for candidate in candidates)
    found = [f"{count[category, split]} {category} {split}" for category in CATEGORIES for split in SPLITS]
    show_preview({
        "files": "\n".join(text for text in found if not text.startswith("0 ")) or "none",
        "manifest": out,
    })  # fmt: skip


def fetch_commands(source: open_corpus.Source) -> list[str]:
    """Shell commands that fetch one part, to be run in the corpus's root."""
    lines = [f"# {source.name}: {source.category}, {source.licence}"]
    if source.package:
        lines.append(f"apt-get download {source.package} && dpkg -x {source.package}_*.deb {source.package}")
    else:
        lines.append(f"# clone the public repository {source.repository} to {source.name}/")
    if source.prepare:
        lines.append(f"(cd {source.subfolder}/{source.folder} && {source.prepare})")
    return lines


@command(
    "shards",
    parent=data,
    short_help="Decode recordings for training, once",
    examples=["earmark data shards speech.jsonl music.jsonl --rate 24k --hours 10 -o shards/"],
)
@click.argument("manifests", nargs=-1, required=True, type=Manifest())
@option(
    "--rate", "sample_rate", type=SampleRate(1, 384000), required=True, metavar="HZ", aliases=["--sample-rate"],
    help="Sample rate of the shards, e.g. 24k.",
)  # fmt: skip
@option("--channels", type=click.IntRange(1, 2), default=1, metavar="N", help="Channels of the shards, 1 or 2.")
@option("-o", "--out", type=NEW, required=True, metavar="DIR", help="Folder for the shards.")
@option("--shard-size", default="1G", metavar="SIZE", help="Largest file, e.g. 60M.")
@option(
    "--hours", type=click.FloatRange(min=0, min_open=True), metavar="HOURS", show_default="all",
    help="Keep about this many hours, a fair sample of all.",
)  # fmt: skip
@JOBS
@shared.dry_run
@shared.quiet
def shards_command(
    manifests: tuple[Path, ...],
    sample_rate: int,
    channels: int,
    out: Path,
    shard_size: str,
    hours: float | None,
    jobs: int | None,
    dry_run: bool,
) -> None:
    """Decode and resample the recordings in MANIFESTS once, so that training does not wait for decoders."""
    if dry_run:
        size(shard_size)
        show_preview({
            "recordings": hours_table(shard_sources.entries(manifests, hours)),
            "shards": f"{out}: {sample_rate} Hz, {counted(channels, 'channel')}",
        })  # fmt: skip
        return
    recordings = shards.write(
        manifests,
        out,
        sample_rate=sample_rate,
        channels=channels,
        shard_bytes=size(shard_size),
        hours=hours,
        jobs=jobs or usable_cores(),
    )
    for stored in recordings:
        if not stored.parts:
            click.echo(f"skipped: {stored.entry.path}: silent or not readable", err=True)
    click.echo(hours_table(stored.entry for stored in recordings if stored.parts))


def size(text: str) -> int:
    """Parse a number of bytes: "60M" is 60 million."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise UserError(f"--shard-size {text}: not a size; give e.g. 60M or 1G")
    return int(float(match[1]) * {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}[match[2]])


def report(result: Index, out: Path) -> None:
    """Print the hours in a manifest, and the skipped recordings by reason."""
    click.echo(hours_table(result.entries))
    skipped: dict[tuple[str, str], list[float]] = defaultdict(list)
    for recording in result.skipped:
        skipped[recording.category, recording.reason].append(recording.seconds / 3600)
    for (category, reason), hours in sorted(skipped.items()):
        click.echo(f"skipped: {sum(hours):.2f} h of {category}, {len(hours)} files: {reason}")
    if result.moved:
        others = f" and {len(result.moved) - 1} more of its creator" if len(result.moved) > 1 else ""
        click.echo(f"note: no recording fell into the split valid; {result.moved[0]}{others} moved there from train")
    click.echo(f"manifest: {out}")


def hours_table(entries: Iterable[Entry]) -> str:
    """Hours and files by category and split, as text."""
    hours: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in entries:
        hours[entry.category, entry.split].append(entry.seconds / 3600)
    lines = ["         " + "".join(f"{split:>20}" for split in SPLITS)]
    for category in CATEGORIES:
        cells = [hours[category, split] for split in SPLITS]
        if any(cells):
            lines.append(f"{category:9}" + "".join(f"{sum(cell):9.2f} h {len(cell):7}" for cell in cells))
    return "\n".join(lines)
