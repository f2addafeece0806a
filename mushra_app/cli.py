"""`earmark study`: making, serving, reviewing and reporting a listening test."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from earmark.codec.command_line import Choice, command, group, option, shared
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.text import counted
from earmark.mushra_app.addresses import frame_sites, public_address
from earmark.mushra_app.backup_cli import backup
from earmark.mushra_app.build_cli import build, import_, print_notes
from earmark.mushra_app.crowd_cli import approve, reject, submissions
from earmark.mushra_app.crowd_money_cli import bonus, publish
from earmark.mushra_app.plan_cli import plan

if TYPE_CHECKING:
    from earmark.mushra_app.database.store import Store

Folder = click.Path(exists=True, file_okay=False, path_type=Path)
File = click.Path(exists=True, dir_okay=False, path_type=Path)
NewFolder = click.Path(file_okay=False, path_type=Path)
PAGE = "report.html"
CLASSROOM = 100  # listeners behind one address


class SessionLimit(click.ParamType):
    """A number of sessions, "classroom" or "any" (None)."""

    name = "limit"

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> int | None:
        """The number, or None for "any"."""
        if value is None or isinstance(value, int):
            return value
        text = str(value)
        if text in ("classroom", "any"):
            return CLASSROOM if text == "classroom" else None
        if not text.isdecimal() or not text.isascii() or not int(text[:9]) > 0:
            self.fail(f"{text} is not a whole number above 0, classroom or any", parameter, context)
        return int(text[:9])


Rule = Choice(["paper", "bs1534", "bs1534-iqr", "none"])


@group(
    "study",
    examples=["earmark study build run/ -o study/", "earmark study serve study/", "earmark study report study/"],
)
def study_group() -> None:
    """Make, check, serve and report listening tests.

    The method is MUSHRA (ITU-R BS.1534-3). `earmark mushra` is another name of this group.
    """


database_option = option(
    "--database", metavar="URL", show_default="STUDY/ratings.sqlite", help="SQLAlchemy URL of the ratings."
)


study_group.add_command(build)
study_group.add_command(import_)
study_group.add_command(plan)
study_group.add_command(backup)
for crowd_command in (publish, submissions, approve, reject, bonus):
    study_group.add_command(crowd_command)


@command(
    parent=study_group,
    short_help="Check a study before it opens",
    examples=["earmark study check study/"],
    exit_status={1: "a check failed"},
)
@click.argument("study", type=Folder)
@option("--url", metavar="URL", help="Also check that this public address leads to the running study.")
@shared.quiet
def check(study: Path, url: str | None) -> None:
    """Check STUDY before it opens: its audio, its length, and ITU-R BS.1534-3 point by point.

    If a check fails, `earmark study serve` opens the study only with --force.
    """
    from earmark.mushra_app.building import bs1534, preflight, preflight_tables
    from earmark.mushra_app.study.study import load
    from earmark.mushra_app.study.translations import review_note

    loaded, address = load(study), public_address(url)
    result = preflight.check_study(loaded, study)
    console = Console()
    console.print(preflight_tables.findings_table(result))
    console.print(preflight_tables.points_table(bs1534.points(loaded, result)))
    failed, warned = len(result.with_status("fail")), len(result.with_status("warn"))
    click.echo(f"{failed} of {counted(len(result.findings), 'check')} failed, {counted(warned, 'warning')}")
    platform = loaded.platform
    print_notes(filter(None, [review_note(loaded.texts.language), platform.credit_note() if platform else ""]))
    problem = None
    if address is not None:
        from earmark.mushra_app.database.connection import fingerprint
        from earmark.mushra_app.web.reach import mismatch, study_mark

        problem = mismatch(address, study_mark(fingerprint(loaded)))
        click.echo(problem or f"--url {address}: leads to this study")
    if failed or problem:
        raise click.exceptions.Exit(1)


@command(
    parent=study_group,
    short_help="Serve a study to browsers",
    examples=[
        "earmark study serve study/",
        "earmark study serve study/ --workers 4 --url https://example.org/listen/",
    ],
)
@click.argument("study", type=Folder)
@database_option
@option("--host", default="127.0.0.1", metavar="ADDRESS", help="Address to listen on.")
@option("--port", type=click.IntRange(0, 65535), default=8000, metavar="N", help="Port to listen on; 0: any free one.")
@option(
    "--workers", type=click.IntRange(1), metavar="N", show_default="one process, without gunicorn",
    help="Worker processes, run by gunicorn.",
)  # fmt: skip
@option(
    "--url", metavar="URL", help="Public address of this server, if a reverse proxy forwards to it; may have a path."
)
@option(
    "--embed-in", multiple=True, metavar="SITE",
    help="Site whose pages can show the test in a frame, such as https://survey.example.org. May be repeated.",
)  # fmt: skip
@option(
    "--screen", type=Rule, default="paper", metavar="RULE",
    help="Rule that decides whether a finished listener's ratings count: paper, bs1534, bs1534-iqr or none. Other "
    "listeners replace those whose ratings do not.",
)  # fmt: skip
@option(
    "--lease", type=click.FloatRange(0.1), default=60, metavar="MINUTES",
    help="Reserve the unfinished trials of an idle listener for this long.",
)  # fmt: skip
@option(
    "--sessions-per-address", type=SessionLimit(), default="10", metavar="N|classroom|any",
    help="Open sessions that one network address may have; `classroom` stands for 100. Personal links do not count.",
)  # fmt: skip
@option(
    "--implausible", type=Choice(["flag", "refuse"]), default="flag", metavar="flag|refuse",
    help="How to treat sessions that took less time than their audio lasts, or that never loaded it: flag them on "
    "the admin page and in reports, or also exclude their ratings and give no completion code.",
)  # fmt: skip
@option(
    "--retire-ratings", is_flag=True,
    help="Exclude ratings of audio that has changed since it was rated. They stay in the database.",
)  # fmt: skip
@option("-f", "--force", is_flag=True, help="Open STUDY even if it fails a check of `earmark study check`.")
@option("--new-password", is_flag=True, help="Make a new password for the admin page and print it.")
def serve(
    study: Path, database: str | None, host: str, port: int, workers: int | None, url: str | None,
    embed_in: tuple[str, ...], screen: str,
    lease: float, sessions_per_address: int | None, implausible: str, retire_ratings: bool, force: bool,
    new_password: bool,
) -> None:  # fmt: skip
    """Serve the listening test STUDY to browsers until interrupted."""
    from earmark.mushra_app.building.preflight import refuse_failures
    from earmark.mushra_app.study.study import load
    from earmark.mushra_app.study.translations import review_note
    from earmark.mushra_app.web import Options, create_app, reach, serving
    from earmark.mushra_app.web.served import EXTENSION

    options = Options(
        database, public_address(url), screen, 60 * lease, sessions_per_address, implausible == "refuse",
        retire_ratings, frame_sites(embed_in, url),
    )  # fmt: skip
    bound = serving.bind(host, port)
    if not force:
        refuse_failures(load(study), study)
    app = create_app(study, options)
    address = options.url or serving.address_of(host, bound.getsockname()[1])
    store = app.extensions[EXTENSION].store
    password = admin_password(store, renew=new_password)
    print_notes(serving.warnings(store, host, options.url))
    print_notes(filter(None, [review_note(store.study.texts.language)]))
    print_notes([app.config["RETIRED_RATINGS"]] if app.config["RETIRED_RATINGS"] else [])

    def announce() -> None:
        click.echo(f"listening test {study}: {address}  (Ctrl-C stops it; ratings are kept)")
        click.echo(f"admin page: {address}admin/  password: {password}")
        reach.warn_of_mismatch(options.url, app.config["STUDY"])

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


@command(
    parent=study_group,
    short_help="Screen listeners and report means with intervals",
    examples=[
        "earmark study report study/ --screen bs1534",
        "earmark study report --ratings webmushra.csv --low-anchor LP3500 -o report/",
    ],
)
@click.argument("study", type=Folder, required=False)
@option(
    "--ratings", type=click.Path(exists=True, path_type=Path), multiple=True, metavar="PATH",
    help="Rating file of another tool, or a folder of them; repeats add up. Reads results of webMUSHRA, pymushra, "
    "GoListen, listen-and-rate, BeaqleJS and the Web Audio Evaluation Tool, and other tables by --columns.",
)  # fmt: skip
@option(
    "--columns", multiple=True, metavar="NAME=COLUMN,...",
    help="Columns of another table, such as jsPsych's: listener, item, condition, score; conditions=A,B,... for a "
    "column per condition; stimulus for the name of an audio file, ITEM-CONDITION or ITEM_CONDITION; also category, "
    "comment, seconds, session.",
)  # fmt: skip
@option("--scale", metavar="LOW-HIGH", show_default="0-100", help="Scale of the scores, mapped to 0 to 100.")
@option(
    "--skip-item", multiple=True, metavar="NAME", help="Leave out an item, such as practice; * and ? are wildcards."
)
@option("--reference", metavar="NAME", help="Condition of the rating file that is the hidden reference.")
@option("--low-anchor", metavar="NAME", help="Condition of the rating file that is the low anchor.")
@option("--mid-anchor", metavar="NAME", help="Condition of the rating file that is the mid anchor.")
@option(
    "--screen", type=Rule, default="paper", metavar="RULE",
    help="Rule by which listeners are dropped: paper, bs1534, bs1534-iqr or none.",
)  # fmt: skip
@option(
    "--intervals", type=Choice(["listeners", "paper"]), default="listeners", metavar="KIND",
    help="Intervals to show first: listeners (for these items, and for other items too) or paper (over ratings).",
)  # fmt: skip
@database_option
@option(
    "-o", "--out", type=NewFolder, metavar="DIR", show_default="STUDY/report, or FILE-report beside the rating file",
    help="Folder for report.html, its plots and tables.",
)  # fmt: skip
@option(
    "--rates", type=click.Path(exists=True, path_type=Path), metavar="PATH", show_default="the run of STUDY",
    help="Bit rates for a plot of scores against them: a run, or a CSV file with the columns condition and kbps, and "
    "if known category and coded_kbps (with entropy coding).",
)  # fmt: skip
@option("--published", is_flag=True, help="Draw the points of the EnCodec paper (Figure 3) in that plot, too.")
@option("-f", "--force", is_flag=True, help="Replace an existing report.")
@shared.quiet
def report(
    study: Path | None, ratings: tuple[Path, ...], columns: tuple[str, ...], scale: str | None,
    skip_item: tuple[str, ...], reference: str | None, low_anchor: str | None, mid_anchor: str | None, screen: str,
    intervals: str, database: str | None, out: Path | None, rates: Path | None, published: bool, force: bool,
) -> None:  # fmt: skip
    """Screen the listeners of STUDY or of another tool's rating file, and report means with 95 % intervals."""
    from earmark.mushra_app.ratings.columns import parse_columns
    from earmark.mushra_app.ratings.errors import SHOWN, RatingsError
    from earmark.mushra_app.ratings.scales import parse_scale
    from earmark.mushra_app.report.loading import load_ratings, report_folder
    from earmark.mushra_app.report.writing import terminal_table
    from earmark.mushra_app.study.study import load

    sources = ratings or ((study,) if study is not None else ())
    if not sources or (ratings and study is not None):
        raise UserError("name either a STUDY or --ratings PATH")
    out = out or (study / "report" if study is not None else report_folder(sources[0]))
    if study is not None:
        load(study)  # refuses a folder that is no study
    require_new(out / PAGE, force)
    try:
        loaded = load_ratings(
            sources, reference=reference, low_anchor=low_anchor, mid_anchor=mid_anchor, database=database,
            columns=parse_columns(columns), scale=parse_scale(scale) if scale else None, skip_items=skip_item,
        )  # fmt: skip
    except RatingsError as error:
        for line in error.errors if len(error.errors) > SHOWN else ():
            click.echo(line, err=True)
        raise
    written = loaded.report(out, screen, intervals, rates=rates, published=published)
    Console().print(terminal_table(written.summary, written.intervals))
    print_notes(written.notes)
    click.echo(f"{written.kept} of {counted(written.listeners, 'listener')} kept; report: {written.page}")
    click.echo(f"a paragraph on the method for a paper: {written.method_txt}")
