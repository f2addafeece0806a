"""Every command line in the documentation is one that `earmark` understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from earmark.cli import cli
from earmark.codec.errors import UserError

from .markdown import PAGES, ROOT, commands, earmark_calls, inline_commands, title

MISSING = re.compile(r"(?P<type>Directory|File|Path)? ?'?(?P<path>[^\s']+)'? does not exist")
WEIGHTS = re.compile(r"(?P<path>[^\s:]+): no such file; give the checkpoint")
MOST_PATHS = 8  # that one command names


def resolve(args: list[str]) -> tuple[click.Command, str, list[str]]:
    """The command that the first words name, its name, and the words after them."""
    command: click.Command = cli
    name, rest = "earmark", list(args)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, f"{name} has no command {rest[0]!r}"
        command, name, rest = found, f"{name} {rest[0]}", rest[1:]
    return command, name, rest


def parse(args: list[str]) -> None:
    """Parse a command line without running it; files that it reads are made first.

    Raises:
        click.ClickException: the command does not understand it.
    """
    command, name, rest = resolve([arg.replace("s3://", "") for arg in args])  # s3fs is not installed here
    for _ in range(MOST_PATHS):
        try:
            command.make_context(name, list(rest))
        except click.exceptions.Exit:  # --help, --version
            return
        except click.BadParameter as error:
            missing = MISSING.search(error.message)
            if missing is None:
                raise
            make(Path(missing["path"]), missing["type"])
        except UserError as error:
            weights = WEIGHTS.search(str(error))
            if weights is None:
                raise
            checkpoint(Path(weights["path"]))
        else:
            return
    raise AssertionError(f"earmark {' '.join(args)}: more than {MOST_PATHS} missing files")


def checkpoint(path: Path) -> None:
    """Put a checkpoint in place, whose bit rates a system of any name is checked against."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(ROOT / "codec" / "weights" / "encodec_24khz.safetensors")


def make(path: Path, what: str | None) -> None:
    if what == "Directory" or (what != "File" and not path.suffix):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_command_lines_parse(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for args in commands(page):
        try:
            parse(args)
        except click.ClickException as error:
            pytest.fail(f"earmark {' '.join(args)}: {error.format_message()}")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_commands_in_running_text_parse(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """They may leave out what a command requires."""
    monkeypatch.chdir(tmp_path)
    for args in inline_commands(page):
        try:
            parse(args)
        except click.MissingParameter:
            continue
        except click.ClickException as error:
            pytest.fail(f"earmark {' '.join(args)}: {error.format_message()}")


@pytest.mark.parametrize("workflow", sorted((ROOT / "docs" / "workflows").iterdir()), ids=title)
def test_commands_of_workflows_parse(workflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The steps of a workflow for a build server, which the pages show in full."""
    monkeypatch.chdir(tmp_path)
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    calls = [args for job in jobs for step in job["steps"] for args in earmark_calls(step.get("run", ""))]
    assert calls
    for args in calls:
        parse(args)


def test_every_exit_status_is_documented():
    """Each status that the help of some command names is in the table of the reference, and 141, which none names."""
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    section = page.partition("## Exit status")[2].partition("\n## ")[0]
    listed = {int(status) for status in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    assert listed == {status for command in every_command(cli) for status in command.exit_status} | {141}


def every_command(command: Any) -> Iterator[Any]:
    """A command and all commands within it."""
    yield command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from every_command(command.get_command(context, name))


def test_the_pages_have_commands():
    assert sum(len(list(commands(page))) for page in PAGES) > 40


def test_a_wrong_option_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    parse(["tables", "run/", "--format", "latex"])
    with pytest.raises(click.NoSuchOption):
        parse(["tables", "run/", "--layout", "latex"])
