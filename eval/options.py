"""Types of the command line's options: lists of names, local paths and URLs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import click
from click.shell_completion import CompletionItem

from earmark.codec import remote_paths
from earmark.codec.command_line.types import completed_list
from earmark.codec.text import split_list


class NameList(click.ParamType):
    """A comma-separated list of names; repetitions are dropped."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = split_list(value)
        if not names:
            self.fail("name at least one", param, ctx)
        return names


def together(ctx: click.Context, param: click.Parameter, values: tuple[tuple[str, ...], ...]) -> tuple[str, ...] | None:
    """All names of a repeated list option, each once; None if there are none."""
    return tuple(dict.fromkeys(name for value in values for name in value)) or None


class MetricList(NameList):
    """A list of metrics, separated by commas or spaces."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, str) and ";" in value:
            names = ",".join(part.strip() for part in value.split(";") if part.strip())
            self.fail(f"{value!r}: separate metrics by commas: {names}", param, ctx)
        return super().convert(",".join(value.split()) if isinstance(value, str) else value, param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from earmark.eval.metrics import registry

        return completed_list(incomplete, [registry.ALL, *registry.BY_CATEGORY, *registry.registered()])


class PathOrURL(click.ParamType):
    """A local path or an fsspec URL.

    Args:
        exists: whether it must exist; if not, it is an output folder, and fails if it is a file.
    """

    name = "path or URL"

    def __init__(self, *, exists: bool = False) -> None:
        self.exists = exists

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return click.Path().shell_complete(ctx, param, incomplete)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = remote_paths.path_or_url(value) if isinstance(value, str) else value
        if self.exists and not path.exists():
            self.fail(f"{value} does not exist", param, ctx)
        if not self.exists and path.is_file():
            self.fail(f"{value} is a file", param, ctx)
        return cast(Path, path)


class PathText(click.ParamType):
    """A path, a URL, or a pattern of paths, as it is written; the shell completes it as a path."""

    name = "path"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return click.Path().shell_complete(ctx, param, incomplete)
