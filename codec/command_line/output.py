"""The result of a command that prints: on standard output, or in the file of --out."""

from __future__ import annotations

from pathlib import Path

import click

from earmark.codec.command_line.option import option

out_file = option(
    "-o", "--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", show_default="standard output",
    help="File for the result.",
)  # fmt: skip


def show(text: str, out: Path | None) -> None:
    """Print a result, or write it to the file of --out.

    Raises:
        WriteError: the folder cannot be written or the disk is full.
    """
    text = text if text.endswith("\n") else text + "\n"
    if out is None:
        click.echo(text, nl=False)
    else:
        from earmark.codec.files import write_text

        write_text(out, text)
