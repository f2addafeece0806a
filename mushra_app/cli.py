"""`earmark study build | import | check | serve | report`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from earmark.codec.errors import UserError
from earmark.codec.text import counted, split_list

if TYPE_CHECKING:
    from earmark.mushra_app.database.store import Store

Folder = click.Path(exists=True, file_okay=False, path_type=Path)
File = click.Path(exists=True, dir_okay=False, path_type=Path)
NewFolder = click.Path(file_okay=False, path_type=Path)
Rule = click.Choice(["paper", "bs1534", "bs1534-iqr", "none"])


@click.group("study")
def study_group() -> None:
    """Build, serve and report MUSHRA listening tests (ITU-R BS.1534-3)."""


@study_group.command()
@click.argument("run", type=Folder)
@click.option(
    "--out", type=NewFolder, required=True, metavar="STUDY", help="Folder for the study, its audio and its ratings."
)
@click.option("--systems", default="", help="Systems of RUN to test, comma-separated; default: all of them.")
@click.option("--per-category", type=click.IntRange(1), default=50, show_default=True, help="Items in each category.")
@click.option("--seconds", type=click.FloatRange(0.5, 12), default=5.0, show_default=True, help="Length of an excerpt.")
@click.option(
    "--annotations", type=click.IntRange(1), default=10, show_default=True, help="Minimum number of ratings per item."
)
@click.option("--trials", type=click.IntRange(1), default=None, help="Items per listener; default: all, at most 12.")
@click.option("--mid-anchor", is_flag=True, help="Add the 7 kHz low-pass anchor to the 3.5 kHz one.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed for the choice of excerpts.")
def build(
    run: Path, out: Path, systems: str, per_category: int, seconds: float, annotations: int, trials: int | None,
    mid_anchor: bool, seed: int,
) -> None:  # fmt: skip
    """Build a listening test from RUN: excerpts, hidden reference, low anchor, equal levels (EBU R 128)."""
    from earmark.mushra_app.building.build import Request, listeners_needed
    from earmark.mushra_app.building.build import build as build_study
    from earmark.mushra_app.building.preflight import check_study

    built = build_study(
        Request(run, out, split_list(systems), per_category, seconds, annotations, trials, mid_anchor, seed)
    )
    study = built.study
    print_notes(built.notes)
    print_notes(f"{one.check}: {one.evidence}" for one in check_study(study, out).findings if one.status != "ok")
    click.echo(
        f"{counted(len(study.items), 'item')}, {counted(len(study.conditions), 'condition')}, "
        f"{counted(study.trials_per_listener, 'trial')} per listener; {counted(listeners_needed(study), 'listener')} "
        f"for {counted(study.annotations, 'rating')} of every item"
    )
    click.echo(f"next: earmark study serve {out}")


@study_group.command("import")
@click.argument("config", type=File)
@click.option(
    "--out", type=NewFolder, required=True, metavar="STUDY", help="Folder for the study, its audio and its ratings."
)
@click.option(
    "--audio", type=Folder, default=None, metavar="DIR",
    help="Folder that the paths in CONFIG are relative to; default: that of CONFIG or a parent of it.",
)  # fmt: skip
@click.option(
    "--annotations", type=click.IntRange(1), default=10, show_default=True, help="Minimum number of ratings per item."
)
def import_(config: Path, out: Path, audio: Path | None, annotations: int) -> None:
    """Make a study from CONFIG, the YAML file of a webMUSHRA test, and its audio."""
    from earmark.mushra_app.building.webmushra_study import import_webmushra

    imported = import_webmushra(config, out, audio, annotations)
    study = imported.study
    print_notes(imported.notes)
    size = f"{counted(len(study.items), 'item')}, {counted(len(study.conditions), 'condition')}"
    click.echo(f"{size} at {study.sample_rate} Hz")
    click.echo(f"next: earmark study check {out}, then earmark study serve {out}")


@study_group.command()
@click.argument("study", type=Folder)
def check(study: Path) -> None:
    """Check STUDY before it opens: its audio, its length, and ITU-R BS.1534-3 point by point.

    Exits with status 1 if a check fails. `earmark study serve` then opens the study only with --force.
    """
    from earmark.mushra_app.building import bs1534, preflight, preflight_tables
    from earmark.mushra_app.study.study import load

    loaded = load(study)
    result = preflight.check_study(loaded, study)
    console = Console()
    console.print(preflight_tables.findings_table(result))
    console.print(preflight_tables.points_table(bs1534.points(loaded, result)))
    failed, warned = len(result.with_status("fail")), len(result.with_status("warn"))
    click.echo(f"{failed} of {counted(len(result.findings), 'check')} failed, {counted(warned, 'warning')}")
    if failed:
        raise click.exceptions.Exit(1)


@study_group.command()
@click.argument("study", type=Folder)
@click.option("--database", default=None, metavar="URL", help="SQLAlchemy URL; default: STUDY/ratings.sqlite.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any free port.")
@click.option(
    "--workers", type=click.IntRange(1), default=None, help="Worker processes, run by gunicorn; default: one process."
)
@click.option("--url", default=None, metavar="URL", help="Public address, if a reverse proxy forwards to this server.")
@click.option(
    "--screen", type=Rule, default="paper", show_default=True,
    help="Rule that decides whether a finished listener's ratings count; other listeners replace those that do not.",
)  # fmt: skip
@click.option(
    "--lease", type=click.FloatRange(0.1), default=60, show_default=True,
    help="Minutes for which unfinished trials stay reserved for an idle listener.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Open STUDY even if it fails a check of `earmark study check`.")
@click.option("--new-password", is_flag=True, help="Make a new password for the admin page and print it.")
def serve(
    study: Path, database: str | None, host: str, port: int, workers: int | None, url: str | None, screen: str,
    lease: float, force: bool, new_password: bool,
) -> None:  # fmt: skip
    """Serve the listening test STUDY to browsers until interrupted."""
    from earmark.mushra_app.building.preflight import refuse_failures
    from earmark.mushra_app.study.study import load
    from earmark.mushra_app.web import Options, create_app, serving
    from earmark.mushra_app.web.served import EXTENSION

    options = Options(database, public_address(url), screen, 60 * lease)
    bound = serving.bind(host, port)
    if not force:
        refuse_failures(load(study), study)
    app = create_app(study, options)
    address = options.url or serving.address_of(host, bound.getsockname()[1])
    store = app.extensions[EXTENSION].store
    password = admin_password(store, renew=new_password)

    def announce() -> None:
        click.echo(f"listening test {study}: {address}  (Ctrl-C stops it; ratings are kept)")
        click.echo(f"admin page: {address}admin/  password: {password}")

    app.test_client().get("/")  # compiles templates and fills caches before the first browser comes
    try:
        if workers is None:
            serving.run(app, bound, announce)
        else:
            store.engine.dispose()
            serving.run_workers(app, bound, announce, workers)
    except KeyboardInterrupt:
        click.echo()


def admin_password(store: Store, *, renew: bool) -> str:
    """Return a new password for the admin page, or where to find the present one."""
    from earmark.mushra_app.database import admin_access

    if renew or not admin_access.has_password(store):
        return f"{admin_access.new_password(store)}  (shown once; write it down)"
    return "the one printed by the first run (--new-password makes another)"


def public_address(url: str | None) -> str | None:
    """Return the value of --url with a slash at its end.

    Raises:
        UserError: if it is not an HTTP address.
    """
    if url is not None and not url.startswith(("https://", "http://")):
        raise UserError(f"--url {url}: must begin with https:// (or http://)")
    return url if url is None or url.endswith("/") else f"{url}/"


@study_group.command()
@click.argument("study", type=Folder, required=False)
@click.option("--ratings", type=File, default=None, help="Rating file: webMUSHRA, pymushra, GoListen or a long table.")
@click.option("--reference", default=None, metavar="NAME", help="Condition that is the hidden reference in --ratings.")
@click.option("--low-anchor", default=None, metavar="NAME", help="Condition that is the low anchor in --ratings.")
@click.option("--mid-anchor", default=None, metavar="NAME", help="Condition that is the mid anchor in --ratings.")
@click.option("--screen", type=Rule, default="paper", show_default=True, help="Rule by which listeners are dropped.")
@click.option(
    "--database", default=None, metavar="URL",
    help="SQLAlchemy URL of STUDY's ratings; default: STUDY/ratings.sqlite.",
)  # fmt: skip
@click.option(
    "--out", type=NewFolder, default=None, metavar="DIR",
    help="Folder for report.html, its plots, summary.csv, listeners.csv, comparisons.csv; default: STUDY/report, or "
    "FILE-report beside the rating file.",
)  # fmt: skip
def report(
    study: Path | None, ratings: Path | None, reference: str | None, low_anchor: str | None, mid_anchor: str | None,
    screen: str, database: str | None, out: Path | None,
) -> None:  # fmt: skip
    """Screen the listeners of STUDY or of another tool's rating file, and report means with 95 % intervals."""
    from earmark.mushra_app.report.loading import load_ratings
    from earmark.mushra_app.report.writing import terminal_table

    if study is not None and ratings is None:
        source, default = study, study / "report"
    elif ratings is not None and study is None:
        source, default = ratings, ratings.with_name(f"{ratings.stem}-report")
    else:
        raise UserError("name either a STUDY or --ratings FILE")
    loaded = load_ratings(source, reference=reference, low_anchor=low_anchor, mid_anchor=mid_anchor, database=database)
    written = loaded.report(out or default, screen)
    Console().print(terminal_table(written.summary))
    print_notes(written.notes)
    click.echo(f"{written.kept} of {counted(written.listeners, 'listener')} kept; report: {written.page}")


def print_notes(notes: Iterable[str]) -> None:
    """Print each note on a line of standard error."""
    for note in notes:
        click.echo(f"note: {note}", err=True)
