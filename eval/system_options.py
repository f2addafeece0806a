"""Options of all commands that run codecs: the systems, codecs of the user's own, and a time limit for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import click

from earmark.baselines.commands import Command, read_command
from earmark.baselines.interface import System
from earmark.baselines.registry import BUILT_IN
from earmark.baselines.systems import parse, parse_list
from earmark.codec.errors import UserError

OWN = "earmark.own_codecs"  # key in click's context: name -> Command, which --systems may name


class SystemList(click.ParamType):
    """A comma-separated list of system strings."""

    name = "systems"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[System]:
        own = ctx.meta.get(OWN) if ctx is not None else None
        return value if isinstance(value, list) else parse_list(value, own)


def _define_commands(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[System]:
    """Define the user's codecs, and return those without a bit rate; --systems names the others with one."""
    own: dict[str, Command] = {}
    for value in values:
        command = read_command(value)
        if command.name in BUILT_IN:
            raise UserError(f"--system {command.name}: a codec of Earmark has this name; choose another")
        own[command.name] = command
    ctx.meta[OWN] = own
    return [parse(name, own) for name, command in own.items() if not command.takes_rate]


def _check_finite(ctx: click.Context, param: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a number of seconds; write one, e.g. 600", ctx, param)
    return seconds


own_codecs = click.option(
    "--system",
    "commands",
    multiple=True,
    is_eager=True,  # so that --systems may name it
    callback=_define_commands,
    metavar="NAME=COMMAND",
    help="A codec of your own: 'NAME=enc {input} {bitstream} && dec {bitstream} {output}'.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    envvar="EARMARK_TIMEOUT",
    show_envvar=True,
    show_default="60 s, and 30 s per second of audio",
    callback=_check_finite,
    metavar="SECONDS",
    help="Time limit for each program of a codec.",
)


def chosen_systems(
    systems: Iterable[System] | None, commands: Iterable[System], timeout: float | None, default: str = ""
) -> list[System]:
    """Return the systems of --systems, then those that --system alone names, each once and with the time limit.

    Args:
        default: comma-separated system strings, for a command line that names none.

    Raises:
        UserError: no system is named, and there is no default.
    """
    chosen = dict.fromkeys([*(systems or ()), *commands]) or parse_list(default)
    return [replace(system, timeout=timeout) for system in chosen]
