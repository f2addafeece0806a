"""A run of `earmark reproduce`: one item after the other, and an index of the results."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import require_own, write_text
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.examples.shard_cache import describe
from earmark.codec.training.folder import circumstances
from earmark.eval.paper.budget import Budget
from earmark.eval.paper.reproduce import select_rows
from earmark.eval.tables.grid import Grid, markdown, text
from earmark.mushra_app.paper import figures, making
from earmark.mushra_app.paper.items import Item
from earmark.mushra_app.paper.making import Job, Made
from earmark.mushra_app.paper.material import Material
from earmark.mushra_app.paper.scale import Name, scale
from earmark.mushra_app.paper.trainings import Options, key_of

INDEX = "index.md"
RECORD = "reproduce.json"  # in the folder of the results: what was made, when, by which command and versions


@dataclass(frozen=True)
class Request:
    """The options of the command; see its help.

    Args:
        excerpts, seconds: number and length of the excerpts that trainings are scored on.
    """

    items: list[Item]
    scale: Name
    data: tuple[Path, ...]
    audio: Path | None
    budget: Budget | None
    out: Path
    rows: tuple[str, ...]
    settings: tuple[str, ...]
    excerpts: int
    seconds: float
    visqol: bool
    group: ProcessGroup

    def folder(self, item: Item) -> Path:
        """Folder of an item: OUT itself if it is the only one."""
        return self.out if len(self.items) == 1 else self.out / item.name


def run(request: Request) -> int:
    """Make the items; returns 1 if something failed, else 0. An item that fails does not affect the others.

    Raises:
        UserError: the only item cannot be made, or the folder has files that it did not write.
        WriteError: the folder cannot be written or the disk is full.
    """
    _claim(request)
    job = _job(request)
    results: list[tuple[Made, float]] = []
    for item in request.items:
        started = time.monotonic()
        try:
            made = _make(item, request, job)
        except WriteError:  # a full disk ends the other items, too
            raise
        except Exception as error:  # an item that fails, for whatever reason, must not cost the others
            if len(request.items) == 1:
                raise
            made = _not_made(item, error)
        results.append((made, time.monotonic() - started))
        click.echo(made.text or f"{item.title}\n\nnot made: {[*made.missing, *made.failed][-1]}\n", nl=False)
        if len(request.items) > 1:
            click.echo()
            write_text(request.out / INDEX, markdown(_index(results)))
    if len(request.items) > 1:
        click.echo(text(_index(results)), nl=False)
    return 1 if any(made.failed for made, _ in results) else 0


def _not_made(item: Item, error: Exception) -> Made:
    """An item that an error has ended. The traceback of an error that is not the user's is printed."""
    if isinstance(error, UserError):
        return Made(item, missing=[str(error)])
    click.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    return Made(item, failed=[f"{type(error).__name__}: {error}"])


def _claim(request: Request) -> None:
    """Refuse a folder in which files would be replaced that it did not write, and record this command in it."""
    out = request.out
    earlier = [path.relative_to(out).as_posix() for path in out.glob("*/run.json")]  # rows made by version 0.1.0
    figure = [f"{figures.NAME}{suffix}" for suffix in (".svg", ".pdf", ".png")]
    require_own(out, [RECORD, *earlier], [INDEX, *making.FORMS, *figure])
    about = {"items": [item.name for item in request.items], "scale": request.scale, **circumstances()}
    write_text(out / RECORD, json.dumps(about, indent=1) + "\n")


def _job(request: Request) -> Job:
    chosen = scale(request.scale, request.budget)
    material = Material(
        request.out, chosen.synthetic, request.data, request.audio, request.group, request.excerpts, request.seconds
    )
    options = Options(request.rows, request.settings, request.visqol, request.excerpts, request.seconds)
    return Job(chosen, material, options, request.out / "models")


def _make(item: Item, request: Request, job: Job) -> Made:
    folder = request.folder(item)
    if item.kind == "drawing":
        return figures.make_drawing(item, folder)
    if item.kind == "plot":
        home = folder if len(request.items) == 1 else request.out / "table1"
        return figures.make_plot(item, folder, home, job)
    return making.make_table(item, folder, job)


def _index(results: list[tuple[Made, float]]) -> Grid:
    rows = []
    notes: dict[str, None] = {}
    for made, seconds in results:
        state = "failed in part" if made.failed else "missing in part" if made.missing else "complete"
        rows.append((made.item.name, made.item.title, state if made.text else "not made", f"{seconds:.0f}"))
        notes |= dict.fromkeys(f"missing: {line.rstrip('.')}." for line in made.missing)
        notes |= dict.fromkeys(f"failed: {line.rstrip('.')}." for line in made.failed)
    return Grid("Tables and figures", ("Item", "Title", "State", "seconds"), tuple(rows), tuple(notes), left=3)


def preview(request: Request) -> Mapping[str, object]:
    """The work of a request, for --dry-run.

    Raises:
        UserError: data or rows that do not fit.
    """
    job = _job(request)
    shown: dict[str, object] = {"items": "\n".join(item.title for item in request.items)}
    rows = [
        f"{key_of(row)}: {row.label}"
        for item in request.items if item.trainings
        for row in select_rows(item.trainings[0].recipe.partition(":")[0], request.rows)
    ]  # fmt: skip
    if rows:
        shown |= {"rows": "\n".join(rows), "budget": f"{job.scale.budget} for each row"}
        first = next(item for item in request.items if item.trainings)
        recipe = job.scale.load(first.trainings[0].recipe, first.kbps, request.settings)
        rate, channels = recipe.model.sample_rate, recipe.model.channels
        if not request.data and not job.scale.synthetic:
            raise UserError("no recordings to train on: give --data, from `earmark data index` or `data shards`")
        shown["data"] = "\n".join(
            describe(path, request.out / f"shards-{number}", rate, channels) for number, path in enumerate(request.data)
        ) or "synthetic"  # fmt: skip
    return {**shown, "output": request.out}
