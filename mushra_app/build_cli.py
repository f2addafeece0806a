"""`earmark study build | import`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console

from earmark.codec.command_line import Choice, command, option, shared, show_preview
from earmark.codec.command_line.types import SampleRate
from earmark.codec.errors import UserError
from earmark.codec.notices import is_quiet
from earmark.codec.text import counted, printable, split_list
from earmark.eval.inputs import FilePath, RunPath

if TYPE_CHECKING:
    from earmark.mushra_app.building.build import Built
    from earmark.mushra_app.building.stimulus_layout import Fault
    from earmark.mushra_app.study.study import Study

Folder = click.Path(exists=True, file_okay=False, path_type=Path)
NewFolder = click.Path(file_okay=False, path_type=Path)

out_option = option(
    "-o", "--out", type=NewFolder, required=True, metavar="STUDY", help="Folder for the study, its audio and ratings."
)
annotations_option = option(
    "--annotations",
    type=click.IntRange(1),
    default=10,
    metavar="N",
    help="Collect at least this many ratings per item.",
)


def trials_option(default: str) -> Callable[..., Any]:
    """The option --trials, with its default in words."""
    return option("--trials", type=click.IntRange(1), metavar="N", show_default=default, help="Items per listener.")


hourly_option = option(
    "--hourly", type=click.FloatRange(0), default=12.0, metavar="PAY", help="Pay per hour, to estimate the cost."
)
fit_option = option(
    "--fit", type=Choice(["pad", "cut", "none"]), metavar="pad|cut|none",
    show_default="fit up to 100 ms to the reference",
    help="Conditions of unequal length: pad to the longest, cut to the shortest, or none to accept no difference.",
)  # fmt: skip
rate_option = option(
    "--rate", type=SampleRate(8000, 96000), metavar="HZ",
    show_default="the references' if 44.1k, 48k, 88.2k or 96k, else 48k", help="Sample rate of the study.",
)  # fmt: skip
bits_option = option(
    "--bits", type=Choice(["16", "24"]), metavar="N", show_default="24 if a reference has 24, else 16",
    help="Resolution of the study's audio: 16 or 24.",
)  # fmt: skip


@command(
    short_help="Make a listening test from a run or from audio files",
    examples=[
        "earmark study build run/ -o study/",
        "earmark study build run/ -o study/ -s opus@12,mp3@64 --per-category 20",
        "earmark study build --stimuli wavs/ --reference clean -o study/",
        "earmark study build --stimuli wavs --layout '{item}_{condition}.wav' -o study/",
    ],
    exit_status={1: "items with faults were skipped"},
)
@click.argument("run", type=RunPath(), required=False)
@option("--stimuli", type=Folder, metavar="DIR", help="Folder of audio files to use instead of a run.")
@out_option
@option(
    "-s", "--systems", multiple=True, metavar="SYSTEM,...", show_default="all",
    help="Systems or conditions to test; repeats add up.",
)  # fmt: skip
@option(
    "--layout", default="folders", metavar="PATTERN",
    help="With --stimuli: folders (a sub-folder per condition; folders in it are categories), or a pattern of file "
    "names or paths with {item}, {condition} and perhaps {category}. The extension does not matter.",
)  # fmt: skip
@option(
    "--reference", metavar="NAME", show_default="by its name", help="With --stimuli: condition that is the reference."
)
@option(
    "--low-anchor", metavar="NAME", show_default="by its name, or made",
    help="With --stimuli: condition that is the low anchor.",
)  # fmt: skip
@fit_option
@option("--no-anchor", is_flag=True, help="Do not make the 3.5 kHz low-pass anchor.")
@option("--mid-anchor", is_flag=True, help="Add the 7 kHz low-pass anchor.")
@option(
    "--levels", type=Choice(["equal", "keep"]), default="equal", metavar="equal|keep",
    help="Levels: equal matches the loudness of the conditions of an item, keep changes none.",
)  # fmt: skip
@rate_option
@bits_option
@option(
    "--per-category", type=click.IntRange(1), metavar="N", show_default="50 of a run, all of --stimuli",
    help="Items in each category.",
)  # fmt: skip
@option("--seconds", type=click.FloatRange(0.5, 12), default=5.0, metavar="S", help="Length of an excerpt of a run.")
@annotations_option
@trials_option("all, at most 12")
@hourly_option
@option("--seed", type=int, default=0, metavar="N", help="Seed for the choice of items.")
@option("-k", "--keep-going", is_flag=True, help="With --stimuli: skip items with faults, and exit with status 1.")
@option("-f", "--force", is_flag=True, help="Replace a study that no listener has taken.")
@shared.dry_run
@shared.quiet
@click.pass_context
def build(
    context: click.Context, run: Path | None, stimuli: Path | None, hourly: float, dry_run: bool, **options: Any
) -> None:
    """Build a listening test from RUN, or from the audio files of --stimuli.

    From RUN: excerpts, hidden reference, low anchor, equal levels (EBU R 128). From --stimuli: each item as it is, with
    the same reference, anchors and levels. All faults of the files are listed at once.
    """
    from earmark.mushra_app.building.preflight import check_study

    if (run is None) == (stimuli is None):
        raise UserError("name either a RUN or --stimuli DIR")
    options["systems"] = split_list(",".join(options["systems"]))
    options["anchor"] = not options.pop("no_anchor")
    options["bits"] = int(options["bits"]) if options["bits"] else None
    if run is not None:
        _refuse(context, ("layout", "reference", "low_anchor", "fit", "keep_going"), "is for --stimuli, not for a run")
        built, faults = _built_from_run(run, options, dry_run), 0
    else:
        assert stimuli is not None
        _refuse(context, ("seconds",), "cuts excerpts of a run; the files of --stimuli are used as they are")
        built, faults = _built_from_stimuli(stimuli, options, dry_run)
    if built is not None:
        print_notes(built.notes)
        findings = check_study(built.study, options["out"]).findings
        print_notes(f"{one.check}: {one.evidence}" for one in findings if one.status != "ok")
        _print_size(built.study, hourly)
        if not is_quiet():
            click.echo(f"next: earmark study serve {options['out']}")
    if faults:
        raise click.exceptions.Exit(1)


def _refuse(context: click.Context, names: Iterable[str], why: str) -> None:
    """Raise UserError if the user gave one of these options."""
    for name in names:
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None):
            raise UserError(f"--{name.replace('_', '-')}: {why}")


def _built_from_run(run: Path, options: dict[str, Any], dry_run: bool) -> Built | None:
    """The study, or None after a dry run."""
    from earmark.mushra_app.building.build import Request, build, choice

    for name in ("layout", "reference", "low_anchor", "fit", "keep_going"):
        del options[name]
    options["per_category"] = options["per_category"] or Request.per_category
    options["bits"] = options["bits"] or Request.bits
    request = Request(run, **options)
    if not dry_run:
        return build(request)
    conditions, chosen, notes = choice(request)
    print_notes(notes)
    _preview([category for category, _ in chosen], {one.name: one.role for one in conditions}, request.out)
    return None


def _built_from_stimuli(folder: Path, options: dict[str, Any], dry_run: bool) -> tuple[Built | None, int]:
    """The study, or None after a dry run; and the number of faults that were skipped."""
    from earmark.mushra_app.building.stimulus_study import StimuliRequest, build_from_stimuli, check_stimuli

    del options["seconds"]
    options["fit"] = options["fit"] or StimuliRequest.fit
    request = StimuliRequest(folder, **options)
    with faults_listed():
        checked = check_stimuli(request)
        built = None if dry_run else build_from_stimuli(request, checked)
    _print_skipped(checked.faults)
    if built is None:
        print_notes(checked.notes)
        _preview([category for category, _ in checked.keys], checked.roles, request.out)
    return built, len(checked.faults)


def _preview(categories: Collection[str], roles: Mapping[str, str], out: Path) -> None:
    """Print what a build would make.

    Args:
        categories: of each item.
    """
    counts = ", ".join(f"{count} {name}" for name, count in Counter(categories).items())
    conditions = ", ".join(f"{name} ({role})" for name, role in roles.items())
    show_preview({"items": f"{len(categories)}: {counts}", "conditions": conditions, "output": out})


def _print_size(study: Study, hourly: float) -> None:
    from earmark.mushra_app.building.build import listeners_needed
    from earmark.mushra_app.building.estimate import estimate

    click.echo(
        f"{counted(len(study.items), 'item')}, {counted(len(study.conditions), 'condition')} at "
        f"{study.sample_rate} Hz, {counted(study.trials_per_listener, 'trial')} per listener; "
        f"{counted(listeners_needed(study), 'listener')} "
        f"for {counted(study.annotations, 'rating')} of every item"
    )
    click.echo(estimate(study, hourly))


@command(
    "import",
    short_help="Make a listening test from a webMUSHRA configuration",
    examples=["earmark study import webmushra.yaml -o study/"],
    exit_status={1: "pages with faults were skipped"},
)
@click.argument("config", type=FilePath("a webMUSHRA configuration (YAML)", for_run="earmark study build {} -o study/"))
@out_option
@option(
    "--audio", type=Folder, metavar="DIR", show_default="the folder of CONFIG or a parent of it",
    help="Folder that the paths in CONFIG are relative to.",
)  # fmt: skip
@fit_option
@annotations_option
@trials_option("as many as webMUSHRA shows")
@hourly_option
@option("-k", "--keep-going", is_flag=True, help="Skip pages whose audio has faults, and exit with status 1.")
@shared.dry_run
@shared.quiet
def import_(
    config: Path, out: Path, audio: Path | None, fit: str | None, annotations: int, trials: int | None,
    hourly: float, keep_going: bool, dry_run: bool,
) -> None:  # fmt: skip
    """Make a study from CONFIG, the YAML file of a webMUSHRA test, and its audio.

    Pages of type mushra become items. The first texts become instructions and consent, the last page's questions a
    questionnaire, in STUDY/session.toml. What cannot be imported is listed by name.
    """
    from earmark.mushra_app.building.webmushra_study import import_webmushra, preview

    if dry_run:
        configuration = preview(config, out)
        print_notes(configuration.notes)
        conditions = ", ".join(f"{name} ({role})" for name, role in configuration.roles.items())
        show_preview({"items": len(configuration.pages), "conditions": conditions, "output": out})
        return
    with faults_listed():
        imported = import_webmushra(
            config, out, audio, annotations, trials, fit or "small", keep_going=keep_going  # type: ignore[arg-type]
        )  # fmt: skip
    _print_skipped(imported.faults)
    study = imported.study
    print_notes(imported.notes)
    _print_size(study, hourly)
    if not is_quiet():
        click.echo(f"next: earmark study check {out}, then earmark study serve {out}")
    if imported.faults:
        raise click.exceptions.Exit(1)


def _print_skipped(faults: Collection[Fault]) -> None:
    """Print the faults of what was skipped as a table."""
    from earmark.mushra_app.building.stimulus_faults import faults_table

    if faults:
        Console(stderr=True).print(faults_table(faults))
        click.echo(f"note: skipped what has one of these {counted(len(faults), 'fault')}", err=True)


@contextmanager
def faults_listed() -> Iterator[None]:
    """Print all faults of the stimuli as a table if the block raises StimulusError."""
    from earmark.mushra_app.building.stimulus_faults import StimulusError, faults_table

    try:
        yield
    except StimulusError as error:
        Console(stderr=True).print(faults_table(error.faults))
        raise


def print_notes(notes: Iterable[str]) -> None:
    """Print each note on a line of standard error."""
    for note in notes:
        click.echo(f"note: {printable(note)}", err=True)
