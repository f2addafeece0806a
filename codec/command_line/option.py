"""Options with aliases that stay out of the help, and defaults in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from click.types import OptionHelpExtra

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Option(click.Option):
    """An option that shows its default as `[default: ...]` and no range.

    Args:
        aliases: earlier spellings, which work and are not shown.
        show_default: default in words, if it is not the value itself.
    """

    def __init__(
        self,
        param_decls: Sequence[str] | None = None,
        *,
        aliases: Sequence[str] = (),
        show_default: bool | str = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(param_decls, show_default=show_default, **kwargs)
        self.aliases = list(aliases)

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)  # a value out of range is refused with the range
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        elif self.is_flag and not self.secondary_opts:
            extra.pop("default", None)
        return extra

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        shown = self.opts
        self.opts = [*shown, *self.aliases]
        super().add_to_parser(parser, ctx)
        self.opts = shown


def option(*names: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """Like `click.option`, with the aliases and defaults of `Option`."""
    return click.option(*names, cls=Option, **attributes)
