"""`earmark metrics`."""

from __future__ import annotations

import click

from earmark.baselines.listing import print_listing

HEADINGS = ("Metric", "Title", "Unit", "Range", "Better", "Heard", "Version", "Licence", "Here", "Reference")


@click.command()
@click.option("--format", "form", type=click.Choice(["text", "markdown", "csv"]), default="text", show_default=True)
def metrics(form: str) -> None:
    """List every metric: available or not and why, unit, range, direction, rate, reference, licence."""
    from earmark.eval.metrics import registry
    from earmark.eval.tables import grid

    known = registry.registered()
    rows, missing = [], []
    for name, modes in registry.BY_CATEGORY.items():
        both = [known[mode] for mode in modes]
        here = "yes" if all(mode.available() is None for mode in both) else "no"
        either = " or ".join(modes)
        rows.append((
            name, f"{either}, by the recording's category", both[0].unit, f"as {either}", both[0].better,
            f"as {either}", both[0].version(), both[0].licence, here, both[0].source,
        ))  # fmt: skip
    for name, metric in known.items():
        reason = metric.available()
        if reason is not None:
            missing.append(f"{name}: {reason}")
        rows.append((
            name, metric.title, metric.unit, metric.value_range, metric.better, metric.heard, metric.version(),
            metric.licence, "yes" if reason is None else "no", metric.source,
        ))  # fmt: skip
    if form == "text":
        print_listing(HEADINGS, rows, missing)
    else:
        listed = grid.Grid("Metrics", HEADINGS, tuple(rows), tuple(missing), left=len(HEADINGS))
        click.echo(grid.RENDERERS[form](listed), nl=False)
