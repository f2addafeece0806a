"""Options of all commands that run codecs: the systems, codecs of the user's own, and a time limit for programs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import click
from click.shell_completion import CompletionItem

from earmark.baselines.commands import Command, read_command
from earmark.baselines.interface import System
from earmark.baselines.registry import BUILT_IN, families
from earmark.baselines.systems import parse, parse_list
from earmark.codec.command_line import option, shared
from earmark.codec.command_line.types import completed_list
from earmark.codec.errors import UserError

OWN = "earmark.own_codecs"  # key in click's context: name -> Command, which --systems may name


ENVIRONMENT = {
    "EARMARK_TIMEOUT": "Value of --timeout if the option is not given.",
    "EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark].",
}


class SystemList(click.ParamType):
    """System strings, separated by commas or spaces."""

    name = "systems"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[System]:
        own = ctx.meta.get(OWN) if ctx is not None else None
        return value if isinstance(value, list) else parse_list(",".join(value.split()), own)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return completed_list(incomplete, (family.example for family in families().values()))


def _together(ctx: click.Context, param: click.Parameter, values: tuple[list[System], ...]) -> list[System] | None:
    """All values of a repeated --systems, each system once; None if there are none."""
    return list(dict.fromkeys(system for value in values for system in value)) or None


def systems_option(default: str | None = None) -> shared.Decorator:
    """The option --systems, which may be repeated."""
    return option(
        "-s", "--systems", type=SystemList(), multiple=True, callback=_together, metavar="SYSTEM,...",
        show_default=default or False,
        help="Codecs to run, e.g. opus@6,opus@12,encodec_24khz@3; repeats add up. `earmark systems` lists them.",
    )  # fmt: skip


def _define_commands(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[System]:
    """Define the user's codecs, and return those without a bit rate; --systems names the others with one."""
    own: dict[str, Command] = {}
    for value in values:
        command = read_command(value)
        if command.name in BUILT_IN:
            raise UserError(f"--codec {command.name}: a codec of Earmark has this name; choose another")
        own[command.name] = command
    ctx.meta[OWN] = own
    return [parse(name, own) for name, command in own.items() if not command.takes_rate]


def _check_finite(ctx: click.Context, param: click.Parameter, seconds: float | None) -> float | None:
    if seconds is not None and not math.isfinite(seconds):
        raise click.BadParameter(f"{seconds} is not a number of seconds; write one, e.g. 600", ctx, param)
    return seconds


own_codecs = option(
    "--codec",
    "commands",
    aliases=["--system"],
    multiple=True,
    is_eager=True,  # so that --systems may name it
    callback=_define_commands,
    metavar="NAME=CMD",
    help="A codec of your own: 'NAME=enc {input} {bitstream} && dec {bitstream} {output}'.",
)
timeout = option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    envvar="EARMARK_TIMEOUT",
    show_envvar=True,
    callback=_check_finite,
    metavar="SECONDS",
    show_default="60 s + 30 x recording length",
    help="Stop a program of a codec or metric after this long.",
)


def chosen_systems(
    systems: Iterable[System] | None, commands: Iterable[System], timeout: float | None, default: str = ""
) -> list[System]:
    """Return the systems of --systems, then those that --codec alone names, each once and with the time limit.

    Args:
        default: comma-separated system strings, for a command line that names none.

    Raises:
        UserError: no system is named, and there is no default.
    """
    chosen = dict.fromkeys([*(systems or ()), *commands]) or parse_list(default)
    return [replace(system, timeout=timeout) for system in chosen]
