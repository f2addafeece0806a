"""The gate of `earmark differences --fail-if-worse`: what it compares, what it prints, how it ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from earmark.codec.command_line import show
from earmark.codec.errors import UserError
from earmark.codec.suggestions import choose
from earmark.codec.text import split_list

REGRESSION, MISSING = 3, 2  # exit statuses


class Margins(click.ParamType):
    """A tolerated loss for all metrics, "0.05", or one per metric, "visqol=0.05,si_snr=0.5"."""

    name = "margin"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str | None, float]:  # fmt: skip
        if isinstance(value, dict):
            return value
        result: dict[str | None, float] = {}
        for part in split_list(value):
            name, equals, number = part.rpartition("=")
            try:
                margin = float(number)
            except ValueError:
                margin = math.nan
            if not 0 <= margin < math.inf:
                self.fail(f"{part} is not a loss of 0 or more, e.g. 0.05 or pesq=0.05,si_snr=0.5", param, ctx)
            result[name.strip() if equals else None] = margin
        return result


def run_gate(
    run: Path,
    other: Path | None,
    against: str | None,
    cluster_by: str | None,
    metrics: Sequence[str],
    margins: Mapping[str | None, float],
    output: str,
    junit_file: Path | None,
    out: Path | None = None,
) -> int:
    """Compare a run with an earlier one, or its systems with one of them; print the result.

    Args:
        other: the earlier run, each of whose systems the run must have.
        against: system of the run that the others must not fall behind, if there is no earlier run.
        cluster_by: groups of recordings that are not independent; see `earmark.eval.statistics.clusters.clusters_of`.
        margins: metric -> tolerated loss; None -> that of all other metrics.
        output: "text" or a format of `earmark.eval.tables.grid`.
        junit_file: file for JUnit XML.
        out: file for the result; None for standard output.

    Returns:
        The exit status: 0, 3 if a system is worse, otherwise 2 if a metric, system or score is missing.

    Raises:
        UserError: the runs are not comparable, or an option is not valid.
    """
    from earmark.codec.files import write_text
    from earmark.eval.comparison.comparability import require_comparable
    from earmark.eval.comparison.run_folder import read_info, read_scores
    from earmark.eval.metrics import registry
    from earmark.eval.statistics.clusters import clusters_of
    from earmark.eval.statistics.gate import check
    from earmark.eval.statistics.rates import is_yardstick
    from earmark.eval.tables import gate_report
    from earmark.eval.tables.grid import RENDERERS

    if (other is None) == (against is None):
        raise UserError("--fail-if-worse needs what to compare with: either --with RUN or --against SYSTEM")
    speech = read_info(run)["speech_categories"]  # first, as it makes metrics of the user's own known
    names = registry.names(metrics)
    chosen = {registry.names([name])[0]: margin for name, margin in margins.items() if name is not None}
    if unused := chosen.keys() - set(names):
        raise UserError(f"--margin: {', '.join(unused)} is not among the metrics of --fail-if-worse")
    new = read_scores(run)
    if other is not None:
        require_comparable(run, other)
        old = read_scores(other)
        pairs = [(name, name) for name in map(str, old["system"].unique()) if not is_yardstick(name)]
    else:
        old, present = new, [str(name) for name in new["system"].unique()]
        against = choose(str(against), present, option="--against")
        pairs = [(name, against) for name in present if name != against and not is_yardstick(name)]
    if not pairs:
        raise UserError(f"{other or run}: has no system to compare with")
    clusters = clusters_of(new["file"].unique().tolist(), cluster_by) if cluster_by is not None else None
    limits = {name: chosen.get(name, margins.get(None, 0.0)) for name in names}
    checks = check(new, old, pairs, limits, speech, clusters)
    title = f"{run} against {other or against}"
    if output == "text":
        show("\n".join([*gate_report.lines(checks), gate_report.summary_line(checks)]), out)
    else:
        show(RENDERERS[output](gate_report.gate_grid(checks, title)), out)
    if output != "text" or out is not None:
        for line, one in zip(gate_report.lines(checks), checks, strict=True):
            if one.verdict != "passed":  # the log of a build has them even if a file has the rest
                click.echo(line, err=True)
    if junit_file is not None:
        write_text(junit_file, gate_report.junit(checks, f"earmark differences {title}"))
    verdicts = {one.verdict for one in checks}
    return REGRESSION if "regression" in verdicts else MISSING if "missing" in verdicts else 0
