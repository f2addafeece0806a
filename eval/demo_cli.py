"""`earmark demo-audio`."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from earmark.codec.command_line import command
from earmark.codec.errors import UserError
from earmark.codec.text import counted


@command(
    "demo-audio", short_help="Write a small synthetic set of recordings", examples=["earmark data demo demo/audio"]
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def demo_audio(folder: Path) -> None:
    """Write a small synthetic set of speech, music and sounds into FOLDER; always the same set."""
    from earmark.eval.demo import write_demo_audio

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty; name a new folder, as the set is written as a whole")
    part = folder.with_name(f".{folder.name}.part")  # an interrupted call leaves no incomplete set
    shutil.rmtree(part, ignore_errors=True)
    paths = write_demo_audio(part)
    if folder.exists():
        folder.rmdir()
    part.rename(folder)
    click.echo(f"{counted(len(paths), 'recording')} in {folder}")
