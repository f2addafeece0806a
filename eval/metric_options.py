"""Options of all commands that compute metrics: their names, and metrics of the user's own as commands."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from earmark.codec.command_line import option, shared
from earmark.eval.options import MetricList, together

if TYPE_CHECKING:
    from earmark.eval.metrics.interface import Metric

DEFAULT = "si_snr,visqol"


class OwnMetric(click.ParamType):
    """A metric as a command, or as a TOML file that describes one."""

    name = "metric"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Metric:
        from earmark.eval.metrics.command_options import read_metric

        return read_metric(value) if isinstance(value, str) else value


def metrics_option(default: str = DEFAULT) -> shared.Decorator:
    """The option --metrics, which may be repeated."""
    return option(
        "-m", "--metrics", type=MetricList(), multiple=True, callback=together, metavar="METRIC,...",
        default=[default], show_default=default,
        help="Metrics to compute; repeats add up. `earmark metrics` lists them.",
    )  # fmt: skip


own_metrics = option(
    "--metric", "own_metrics", type=OwnMetric(), multiple=True, metavar="NAME=CMD",
    help="A metric of your own: 'NAME=PROGRAM {reference} {decoded}', or a TOML file.",
)  # fmt: skip


metric_patterns = option(
    "--metric-pattern", "patterns", multiple=True, metavar="NAME=REGEX", show_default="the last number",
    help="Regular expression of the score in what a --metric prints: its first group, or the whole match, e.g. "
    "'polqa=MOS: (\\S+)'.",
)  # fmt: skip


def chosen_metrics(
    names: Iterable[str], own: Iterable[Metric], patterns: Iterable[str], timeout: float | None
) -> tuple[str, ...]:  # fmt: skip
    """Names of the metrics to compute: those of --metrics, then the user's own, which are registered.

    Args:
        patterns: values of --metric-pattern.
        timeout: seconds after which a command is ended, unless its TOML file says so.

    Raises:
        UserError: there is no such metric, a name is taken, or a pattern is not possible.
    """
    from earmark.eval.metrics import registry
    from earmark.eval.metrics.command_options import with_patterns, with_timeout

    added = [with_timeout(metric, timeout) for metric in with_patterns(list(own), patterns)]
    for metric in added:
        registry.add(metric, "--metric:")
    return tuple(dict.fromkeys([*registry.names(names), *(metric.name for metric in added)]))
