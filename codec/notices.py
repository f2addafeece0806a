"""Lines on standard error that --quiet drops: hints, and news of long work. Warnings and errors do not belong here."""

from __future__ import annotations

import click

_QUIET = "earmark.quiet"  # key in click's context


def set_quiet(context: click.Context) -> None:
    """Drop hints and progress until this command ends."""
    context.meta[_QUIET] = True


def is_quiet() -> bool:
    """Whether the command that runs was given --quiet; False without a command."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def notice(text: str) -> None:
    """Print a line on standard error, unless --quiet was given."""
    if not is_quiet():
        click.echo(text, err=True)
