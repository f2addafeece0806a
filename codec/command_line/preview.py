"""The output of --dry-run: a preview of the work."""

from __future__ import annotations

from collections.abc import Mapping

import click

from earmark.codec.notices import notice


def show_preview(facts: Mapping[str, object]) -> None:
    """Print names and values in two columns, and say that nothing was written.

    Args:
        facts: name -> value; a value of several lines is indented to its column.
    """
    width = max(map(len, facts))
    for name, value in facts.items():
        lines = str(value).splitlines() or [""]
        labels = [name, *[""] * (len(lines) - 1)]
        click.echo("\n".join(f"{label:<{width}}  {line}" for label, line in zip(labels, lines, strict=True)))
    notice("dry run: nothing was written")
