"""Options that several commands share, spelled and explained once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line.option import option
from earmark.codec.command_line.types import Choice
from earmark.codec.notices import set_quiet

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

jobs = option("-j", "--jobs", type=click.IntRange(1), metavar="N", show_default="all cores", help="Worker processes.")
threads = option(
    "--threads", type=click.IntRange(1), metavar="N", show_default="all cores", help="Threads per process."
)
seed = option("--seed", type=int, default=0, metavar="N", help="Seed of random choices.")
device = option(
    "--device", metavar="cpu|cuda[:N]|mps", show_default="auto",
    help="Processor to compute on; auto takes a GPU if there is one, else the CPU.",
)  # fmt: skip
data = option(
    "--data", type=click.Path(exists=True, path_type=Path), required=True, multiple=True, metavar="PATH",
    help="Manifest by `earmark data index`, or folder by `earmark data shards`; repeats add up.",
)  # fmt: skip
training_folder = option(
    "-o", "--out", type=click.Path(file_okay=False, path_type=Path), required=True, metavar="DIR",
    help="Folder for the training: its state, weights and results.",
)  # fmt: skip
force = option("-f", "--force", is_flag=True, help="Replace an existing output file.")
keep_going = option(
    "-k", "--keep-going", is_flag=True, help="Run what can run if something cannot, and exit with status 1."
)
dry_run = option("-n", "--dry-run", is_flag=True, help="Show what would be done, and write nothing.")


def _quieten(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        set_quiet(ctx)


quiet = option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_quieten,
    help="Show no progress and no hints; results, warnings and errors remain.",
)  # fmt: skip


def printed_format(*formats: str) -> Decorator:
    """The option --format of a command that prints a table: its value is one of `formats`, the first by default."""
    words = Choice(formats, {"table": formats[0]})
    return option(
        "--format", "output", type=words, default=formats[0], metavar="|".join(formats),
        help="Form of the result.",
    )  # fmt: skip
