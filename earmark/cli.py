"""The command `earmark`: its commands lie in each package and are imported only when they run.

`earmark --help` therefore loads none of torch, Flask, pandas and matplotlib.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from typing import NoReturn

import click

from earmark.codec.command_line import Group, command
from earmark.streams import make_safe
from earmark.tree import ALIASES, COMMANDS, HIDDEN, NESTED, PATH, SECTIONS, Entry

VERSIONS_OF = (
    "numpy", "scipy", "pandas", "soundfile", "soxr", "av", "opuslib", "torch", "visqol-python", "pesq", "flask",
)  # fmt: skip


def _load(entry: Entry) -> click.Command:
    command = getattr(importlib.import_module(f"earmark.{entry.module}"), entry.attribute)
    assert isinstance(command, click.Command)
    return command


class RootGroup(Group):
    """The top level, which lists its commands by purpose without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = cmd_name.casefold().replace("_", "-")
        entry = {**COMMANDS, **HIDDEN}.get(ALIASES.get(name, name))
        if entry is None:
            return None
        command = _load(entry)
        for inner, nested in NESTED.get(name, {}).items():
            assert isinstance(command, click.Group)
            command.add_command(_load(nested), inner)
        return command

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        formatter.write_paragraph()
        formatter.write("Most people start like this:\n\n")
        for line in PATH:
            formatter.write(f"  {line}\n")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(len(f"{name} {entry.arguments}") for name, entry in COMMANDS.items())
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                for name, entry in entries.items():
                    formatter.write(f"  {f'{name} {entry.arguments}':<{width}}  {entry.line}\n")


def _leave_broken_pipe() -> NoReturn:
    sys.stderr.close()
    sys.exit(141)


def _show_versions(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    click.echo(f"earmark {version('earmark')}, Python {sys.version.split()[0]}")
    for name in VERSIONS_OF:
        try:
            click.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"{name}: not installed")
    ctx.exit()


@click.group(
    cls=RootGroup,
    environment={
        "NO_COLOR": "Print without colours.",
        "EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark].",
    },
    exit_status={1: "finished, with failures or damage", 3: "a gate failed"},
)
@click.option(
    "-V", "--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_versions,
    help="Show the versions of Earmark and of what it uses.",
)  # fmt: skip
def cli() -> None:
    """Evaluate audio codecs by objective metrics and by listening tests."""


@command("help", examples=["earmark help compare", "earmark help study build"])
@click.argument("names", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_command(ctx: click.Context, names: tuple[str, ...]) -> None:
    """Show help for a command."""
    root = ctx.find_root()
    current: click.Command = root.command
    context = root
    for name in names:
        if not isinstance(current, click.Group):
            raise click.UsageError(f"{context.command_path} has no commands", ctx)
        found = current.resolve_command(context, [name])[1]
        assert found is not None
        context = click.Context(found, info_name=name, parent=context)
        current = found
    click.echo(current.get_help(context))


def main() -> None:
    """Run the command line; a UserError is one line and status 2, an interrupt is status 130."""
    from earmark.codec.errors import UserError

    # Large tensors in pages of 2 MiB, with which a step of an EnCodec stream takes a tenth less time. torch reads this
    # at its first allocation. It is set for the command's own process only: importing earmark changes nothing.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM ends like Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            make_safe(stream)
    output = sys.stdout
    try:
        status = cli.main(prog_name="earmark", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _leave_broken_pipe()
    except SystemExit as error:
        # `earmark ... | head`: rich and click exit with 1, which has another meaning; click then replaces its stream
        if isinstance(error.__context__, BrokenPipeError) or sys.stdout is not output:
            _leave_broken_pipe()
        raise
    except UserError as error:
        fail(str(error), 2)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        if isinstance(error, click.exceptions.NoArgsIsHelpError):
            error.show()
            sys.exit(2)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        fail(error.format_message() + hint, error.exit_code)
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python would write the rest, and fail again, when it ends
        fail(f"standard output cannot be written: {error.strerror}", 2)
    except (click.Abort, KeyboardInterrupt):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would end Python itself, without this line
        fail("interrupted; run the same command again to continue: finished work is not repeated", 130)
    sys.exit(status if isinstance(status, int) else 0)


def fail(message: str, status: int) -> NoReturn:
    """Print one line on stderr and leave."""
    from earmark.codec.text import printable

    click.echo("earmark: " + printable(" ".join(message.split())), err=True)
    sys.exit(status)
