"""`earmark study backup`."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import click

from earmark.codec.command_line import command, option
from earmark.codec.errors import UserError
from earmark.codec.files import require_new


@command(
    short_help="Copy the ratings of a study that is running",
    examples=["earmark study backup study/ -o ratings-monday.sqlite"],
)
@click.argument("study", type=click.Path(exists=True, file_okay=False, path_type=Path))
@option("-o", "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="The copy.")
@option("-f", "--force", is_flag=True, help="Replace FILE.")
def backup(study: Path, out: Path, force: bool) -> None:
    """Copy STUDY/ratings.sqlite to FILE while the server runs; FILE is then a whole database.

    Only its owner can read it: it holds secrets and people's ids. To restore it, stop the server and copy it back. For
    PostgreSQL, use pg_dump.
    """
    source = study / "ratings.sqlite"
    if not source.is_file():
        raise UserError(f"{source}: not there; back up a PostgreSQL database by pg_dump")
    require_new(out, force)
    part = out.with_name(f".{out.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(source, timeout=30)) as live, closing(sqlite3.connect(part)) as copy:
            live.backup(copy)
            (state,) = copy.execute("PRAGMA integrity_check").fetchone()
        if state != "ok":
            raise UserError(f"{source}: damaged ({state}); keep the file, and stop the server")
        part.replace(out)
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"{source}: not copied to {out} ({error})") from error
    finally:
        part.unlink(missing_ok=True)
    click.echo(f"ratings of {study}: {out}")
