"""Commands whose help ends with examples, environment variables and exit statuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from earmark.codec.suggestions import did_you_mean, near

WIDTH = 80  # columns of a help page
ENVIRONMENT = {"NO_COLOR": "Print without colours.", "COLUMNS": "Width of tables and help on a terminal."}
PLAIN_WORDS = {  # click's words for a number that is none, or out of range -> ours
    r"not a valid float( range)?": "not a number",
    r"not a valid integer( range)?": "not a whole number",
    r"is not in the range (\S+)<=x<=(\S+)\.": r"is not from \1 to \2.",
    r"is not in the range x>=(\S+)\.": r"is below \1.",
    r"is not in the range x<=(\S+)\.": r"is above \1.",
    r"is not in the range x>(\S+)\.": r"is not above \1.",
}
DONE, REFUSED, INTERRUPTED = "done", "refused, or could not run", "interrupted"


class _WithSections(click.Command):
    """The parts that commands and groups share.

    Args:
        examples: command lines that work as they stand, given files of these names.
        environment: variable -> its meaning, beside those that all commands read.
        exit_status: status -> its meaning, beside 0, 2 and 130, which all commands have.
    """

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        exit_status: Mapping[int, str] | None = None,
        **kwargs: Any,
    ) -> None:
        # Every command has these, and not from its parent: click remembers the help option of a command's first use.
        settings = {"max_content_width": WIDTH, "help_option_names": ["-h", "--help"]}
        kwargs["context_settings"] = {**settings, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.environment = {**ENVIRONMENT, **(environment or {})}
        self.exit_status = {0: DONE, 2: REFUSED, 130: INTERRUPTED, **(exit_status or {})}

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        with formatter.section("Environment"):
            formatter.write_dl(sorted(self.environment.items()))
        with formatter.section("Exit status"):
            formatter.write_dl([(str(status), text) for status, text in sorted(self.exit_status.items())])


class Command(_WithSections):
    """A command; see `_WithSections` for what its help shows.

    Args:
        remedies: option -> what to do instead, for options that users expect and that do not exist; "" -> what to do
            about surplus arguments.
    """

    def __init__(self, *args: Any, remedies: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remedies = dict(remedies or {})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            options = [name for parameter in self.params for name in parameter.opts if name.startswith("--")]
            nearest = near(error.option_name, [*self.remedies, *options])
            remedy = self.remedies.get(nearest[0]) if nearest else None  # of a misspelled --kpbs as well
            end = f"; {remedy}" if remedy else did_you_mean(error.option_name, options)
            message = f"{error.option_name} is no option of this command{end}"
            raise click.NoSuchOption(error.option_name, message, ctx=ctx) from error
        except click.BadParameter as error:
            raise _plain(error, ctx) from error
        except click.UsageError as error:
            if "" in self.remedies and "unexpected extra argument" in error.message:
                raise click.UsageError(f"{error.message}; {self.remedies['']}", ctx) from error
            raise


def _plain(error: click.BadParameter, ctx: click.Context) -> click.BadParameter:
    """The same error, in words: an argument by its name instead of '[NAME]...', and a range without code."""
    hint, message = error.param_hint, error.message
    if isinstance(error.param, click.Argument) and hint is None:
        hint = f"'{error.param.make_metavar(ctx).strip('[].').split()[0]}'"
    for written, plain in PLAIN_WORDS.items():
        message = re.sub(written, plain, message)
    if isinstance(error, click.MissingParameter):
        return click.MissingParameter(message, error.ctx, error.param, hint, error.param_type)
    return click.BadParameter(message, error.ctx, error.param, hint)


class Group(_WithSections, click.Group):
    """A group of commands, which suggests near names for one that does not exist."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands with their lines in full; click would cut long ones."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, made.get_short_help_str(WIDTH)) for name, made in commands if made is not None])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            ctx.fail(f"{name} is no command of {ctx.command_path}{did_you_mean(name, self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


Group.group_class = Group


def command(
    name: str | None = None, *, parent: Group | None = None, **attributes: Any
) -> Callable[[Callable[..., Any]], Command]:
    """Like `click.command`, for a `Command`, which joins the group `parent`."""

    def decorate(function: Callable[..., Any]) -> Command:
        made = click.command(name, cls=Command, **attributes)(function)
        if parent is not None:
            parent.add_command(made)
        return made

    return decorate


def group(name: str | None = None, **attributes: Any) -> Callable[[Callable[..., Any]], Group]:
    """Like `click.group`, for a `Group`."""
    return click.group(name, cls=Group, **attributes)
