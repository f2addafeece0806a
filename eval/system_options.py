"""The options of all commands that run codecs: which systems, codecs of the user's own, and how long these may take."""

from __future__ import annotations

import os
from typing import Any

import click

from earmark.baselines import programs
from earmark.baselines.commands import define
from earmark.baselines.interface import System
from earmark.baselines.systems import families, parse, parse_list


class SystemList(click.ParamType):
    """A comma-separated list of system strings."""

    name = "systems"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[System]:
        return value if isinstance(value, list) else parse_list(value)


def _define_commands(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[System]:
    """The codecs that the user described; those that take a bit rate only join where --systems names one."""
    defined = [define(value) for value in values]
    return [parse(name) for name in defined if families()[name].example == name]


def _set_limit(ctx: click.Context, param: click.Parameter, seconds: float | None) -> None:
    if seconds is not None:
        os.environ[programs.VARIABLE] = str(seconds)


own_codecs = click.option(
    "--system",
    "commands",
    multiple=True,
    is_eager=True,  # so that --systems may name it
    callback=_define_commands,
    metavar="NAME=COMMAND",
    help="A codec of your own: 'NAME=enc {input} {bitstream} && dec {bitstream} {output}'; see docs/systems.md.",
)
timeout = click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    callback=_set_limit,
    expose_value=False,
    metavar="SECONDS",
    help="After which a codec's program is ended; a minute and 30 times the recording unless told.",
)


def together(systems: list[System] | None, commands: list[System]) -> list[System]:
    """The systems of --systems, then those that --system alone names, each once."""
    named = systems or []
    return [*named, *(command for command in commands if command not in named)]
