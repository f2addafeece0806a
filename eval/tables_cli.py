"""`earmark tables` and `earmark differences`: the results of a run in numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from earmark.codec.command_line import command, option, out_file, shared, show
from earmark.codec.errors import UserError
from earmark.codec.files import require_new
from earmark.codec.suggestions import choose
from earmark.eval.gate import Margins, run_gate
from earmark.eval.inputs import RunPath
from earmark.eval.options import MetricList, NameList, together

FORMATS = ("text", "markdown", "latex", "csv", "json")
macro_option = option("--macro", is_flag=True, help="Add the average over the categories, each with the same weight.")


@command(
    short_help="Print mean scores",
    examples=[
        "earmark tables run/",
        "earmark tables run/ --format latex -o scores.tex",
        "earmark tables run/ -m visqol -s opus@12,mine@6 --against opus@12",
        "earmark tables run/ --macro",
        "earmark tables run/ --per-file --format csv -o per-file.csv",
        "earmark tables run/ --add paper.csv --report",
        "earmark tables run/ --paper table1",
    ],
    exit_status={1: "finished, but players of the report failed"},
)
@click.argument("run", type=RunPath())
@shared.printed_format(*FORMATS)
@option(
    "-s", "--systems", type=NameList(), multiple=True, callback=together, metavar="SYSTEM,...", show_default="all",
    help="Systems of the run to show; repeats add up.",
)  # fmt: skip
@option(
    "-m", "--metrics", type=MetricList(), multiple=True, callback=together, metavar="METRIC,...",
    aliases=["--metric"], show_default="all",
    help="Metrics of the run to show; with --paper, those beside the paper's. Repeats add up.",
)  # fmt: skip
@option(
    "--category", "categories", type=NameList(), multiple=True, callback=together, metavar="CATEGORY,...",
    show_default="all", help="Categories to show; repeats add up.",
)  # fmt: skip
@macro_option
@option("--against", metavar="SYSTEM", help="Mark the scores that differ significantly from this system's.")
@option("--per-file", is_flag=True, help="Print the scores of each recording instead of their means.")
@out_file
@shared.force
@option(
    "--add", "added", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, metavar="FILE",
    help="Add published figures: a CSV file with the columns system, kbps, metric, mean, interval, n and source.",
)  # fmt: skip
@option("--report", is_flag=True, help="Write RUN/report.html again, with the figures of --add.")
@option("--paper", metavar="TABLE", help="Arrange it like table1, table2, tableA2 or another of the EnCodec paper.")
@option(
    "--mushra", type=click.Path(exists=True, path_type=Path), metavar="STUDY",
    help="With --paper: a listening test, the folder of its report or its summary.csv, for the MUSHRA columns.",
)  # fmt: skip
@option(
    "--bench", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE",
    help="With --paper: output file of `earmark bench --out`, for real-time factors and latency.",
)  # fmt: skip
def tables(
    run: Path, output: str, out: Path | None, force: bool, macro: bool, per_file: bool, added: tuple[Path, ...],
    report: bool, paper: str | None, mushra: Path | None, bench: Path | None, metrics: tuple[str, ...] | None,
    systems: tuple[str, ...] | None, categories: tuple[str, ...] | None, against: str | None,
) -> int:  # fmt: skip
    """Print the table of RUN: means with 95 % confidence intervals per system and category."""
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.statistics.aggregate import summarise
    from earmark.eval.statistics.macro import with_macro
    from earmark.eval.tables import grid, renderers, terminal
    from earmark.eval.tables.per_file import per_file_grid
    from earmark.eval.tables.published import read_published, with_published
    from earmark.eval.tables.significance import part, with_significance

    if (per_file and (paper or added)) or (paper and added):
        raise UserError("--per-file, --add and --paper make different tables; use one of them")
    if report and not added:
        raise UserError("--report shows published figures in the report; add them by --add FILE")
    if macro and (per_file or paper):
        raise UserError("--macro adds a section to the table of means; leave out --per-file and --paper")
    if out is not None:
        require_new(out, force)
    if against is not None and (per_file or paper):
        raise UserError("--against marks scores in the table of means; leave out --per-file and --paper")
    whole, info = read_scores(run), read_info(run)
    scores = part(whole, systems, metrics if paper is None else None, categories)
    if per_file:
        show(grid.RENDERERS[output](per_file_grid(scores)), out)
        return 0
    summary = with_macro(summarise(scores)) if macro else summarise(scores)
    if against is not None:
        summary = with_significance(summary, scores, against, info["speech_categories"])
    published = [read_published(path) for path in added]
    if published:
        summary = with_published(summary, published)
    if paper is not None:
        from earmark.eval.paper import sources
        from earmark.eval.paper.tables import lay_out_like

        study = sources.read_study(mushra) if mushra is not None else None
        timings = sources.read_bench(bench) if bench is not None else None
        table = lay_out_like(paper, summary, info, study, timings, metrics or (), scores)
        show(grid.RENDERERS[output](table), out)
    elif mushra is not None or bench is not None:
        raise UserError("--mushra and --bench fill columns of the paper's tables; add --paper, e.g. --paper table1")
    elif output == "text":
        scores_table = renderers.terminal_table(summary, info)
        if out is None:
            terminal.print_table(scores_table)
        else:
            show(terminal.plain_text(scores_table), out)
    else:
        show(renderers.RENDERERS[output](summary, info), out)
    if report:
        from earmark.eval.comparison.run_folder import EXCERPTS
        from earmark.eval.report.page import begin_players, write_report

        linked = (run / EXCERPTS).exists()  # as the report was before
        players = begin_players(run, whole, linked=linked, listen_by=None)
        path = write_report(run, whole, info, linked=linked, published=published, begun=players)
        click.echo(f"report: {path}", err=True)
        return 1 if players.failures else 0
    return 0


@command(
    short_help="Test which codecs differ",
    examples=[
        "earmark differences run/ --against opus@12",
        "earmark differences new/ --with old/ --format csv",
        "earmark differences new/ --with old/ --fail-if-worse visqol,pesq --margin 0.05",
    ],
    exit_status={2: "refused, or --fail-if-worse lacks something", 3: "--fail-if-worse found a regression"},
)
@click.argument("run", type=RunPath())
@option(
    "-m", "--metrics", type=MetricList(), multiple=True, callback=together, metavar="METRIC,...", aliases=["--metric"],
    show_default="all", help="Metrics of the run to compare by; repeats add up.",
)  # fmt: skip
@option("--against", metavar="SYSTEM", help="Compare all other systems with this one only.")
@option(
    "--with", "other", type=RunPath(), metavar="RUN",
    help="Add the systems of another run of the same recordings; a run that is not comparable is refused, with the "
    "reason.",
)  # fmt: skip
@option(
    "--cluster-by", metavar="GROUPS",
    help="Take the files of one talker or source as one unit: folder, a CSV file with columns file and cluster, or a "
    "pattern that finds the group in a file's name.",
)  # fmt: skip
@macro_option
@option("--bjontegaard", "deltas_only", is_flag=True, help="Print only the Bjontegaard deltas, also as CSV.")
@option(
    "--fail-if-worse", "gated", type=MetricList(), multiple=True, callback=together, metavar="METRIC,...",
    help="A gate: exit with 3 if a system of RUN is significantly worse than in --with, or than --against.",
)  # fmt: skip
@option(
    "--margin", type=Margins(), default="0", metavar="LOSS",
    help="Mean loss that --fail-if-worse tolerates, e.g. 0.05, or pesq=0.05,si_snr=0.5.",
)  # fmt: skip
@option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="File for the result of --fail-if-worse as JUnit XML.",
)  # fmt: skip
@shared.printed_format(*FORMATS)
@out_file
@shared.force
def differences(
    run: Path, metrics: tuple[str, ...] | None, against: str | None, other: Path | None, cluster_by: str | None,
    macro: bool, deltas_only: bool, gated: tuple[str, ...] | None, margin: dict[str | None, float], junit: Path | None,
    output: str, out: Path | None, force: bool,
) -> int:  # fmt: skip
    """Compare the systems of RUN pair by pair: differences with intervals, wins, significance, bit rate saved.

    CSV and JSON have every number in full: the differences, or with --bjontegaard the deltas.
    """
    for file in filter(None, (out, junit)):
        require_new(file, force)
    if gated is not None:
        if metrics is not None or deltas_only:
            raise UserError("--fail-if-worse names the metrics of the gate; leave out --metrics and --bjontegaard")
        if macro:
            raise UserError("--fail-if-worse compares all recordings together; leave out --macro")
        return run_gate(run, other, against, cluster_by, gated, margin, output, junit, out)
    if junit is not None or margin != {None: 0.0}:
        raise UserError("--margin and --junit belong to a gate; add --fail-if-worse, e.g. --fail-if-worse visqol")
    from earmark.eval.comparison.comparability import joined
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.statistics import bjontegaard
    from earmark.eval.statistics import differences as paired
    from earmark.eval.statistics.clusters import clusters_of
    from earmark.eval.statistics.macro import require_categories
    from earmark.eval.tables.difference_grids import delta_grid, difference_grid
    from earmark.eval.tables.grid import RENDERERS

    scores = read_scores(run) if other is None else joined(run, other)
    if scores["system"].nunique() < 2:
        raise UserError(f"{run}: has one system, and nothing to compare it with; add another run by --with")
    if deltas_only and against is not None:
        raise UserError("--against does not apply to Bjontegaard deltas; leave out --against or --bjontegaard")
    if macro:
        require_categories(scores)
    speech = read_info(run)["speech_categories"]
    with_deltas = deltas_only or (against is None and output not in ("csv", "json"))
    clusters = clusters_of(scores["file"].unique().tolist(), cluster_by) if cluster_by is not None else None
    grids = []
    known = paired.metrics_of(scores)
    for name in dict.fromkeys(choose(name, known, option="--metrics") for name in metrics or known):
        if not deltas_only:
            pairs = paired.differences(scores, name, against, speech, clusters=clusters, macro=macro)
            grids.append(difference_grid(pairs, name, speech))
        if with_deltas and (deltas := bjontegaard.deltas(scores, name, speech)):
            grids.append(delta_grid(deltas, name, speech))
    if not grids:
        raise UserError(f"{run}: --bjontegaard needs two codecs with two bit rates each")
    if output in ("csv", "json"):  # one table under one heading
        grids = [replace(grids[0], data=tuple(record for grid in grids for record in grid.data))]
    show("\n".join(RENDERERS[output](grid) for grid in grids), out)
    return 0
