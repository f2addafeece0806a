"""Every help page: complete, within 80 columns, by the rules that all commands share."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from earmark.cli import cli
from earmark.tree import COMMANDS, SECTIONS

WIDTH = 80
SNAPSHOT = Path(__file__).with_name("help-pages.txt")
HEAVY = {"torch", "flask", "pandas", "matplotlib"}


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield context.command_path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            yield from _walk(inner, click.Context(inner, info_name=name, parent=context))


PAGES = {
    path: (command, context)
    for path, command, context in _walk(cli, click.Context(cli, info_name="earmark", **cli.context_settings))
}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest) -> tuple[str, click.Command, click.Context]:
    return (request.param, *PAGES[request.param])


def _text(page: tuple[str, click.Command, click.Context]) -> str:
    _, command, context = page
    context.terminal_width = WIDTH
    return command.get_help(context)


def test_a_page_has_its_sections_and_no_line_is_too_long(page):
    path, _, _ = page
    text = _text(page)
    assert [line for line in text.splitlines() if len(line) > WIDTH] == []
    assert "\nExit status:\n" in text
    assert "\nEnvironment:\n" in text
    if path != "earmark":
        assert "\nExamples:\n" in text
    assert "RANGE" not in text
    cut_off = re.compile(r"\w\.\.\.$", re.MULTILINE)
    assert not cut_off.search(text.partition("Options:")[2])


def test_every_option_has_a_help_text_that_starts_and_ends_like_a_sentence(page):
    for parameter in page[1].params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            text = parameter.help or ""
            assert text, parameter.opts
            assert text[0].isupper() or text[0] in "`'", (parameter.opts, text)
            assert text.endswith("."), (parameter.opts, text)
            assert not text.startswith(("Of ", "What ", "After which")), (parameter.opts, text)


def _known(words: list[str]) -> bool:
    return " ".join(["earmark", *words]) in PAGES


def test_an_example_is_a_command_line_that_click_accepts(page):
    """Its command exists and its options are known; files of its names need not be there."""
    for example in getattr(page[1], "examples", ()):
        assert example.startswith(("earmark ", "eval ", "torchrun ")) or " | earmark " in example, example
        words = re.split(r"\bearmark ", example, maxsplit=1)[1].partition(" | ")[0].split()
        path = next(" ".join(["earmark", *words[:length]]) for length in (2, 1) if _known(words[:length]))
        options = {name for one in PAGES[path][0].params for name in (*one.opts, *one.secondary_opts)}
        assert {word for word in words if re.match("--?[a-z]", word)} <= options, example


def test_the_first_page_lists_every_command_on_one_short_line():
    listed = _text(("earmark", *PAGES["earmark"]))
    for name, entry in COMMANDS.items():
        line = next(line for line in listed.splitlines() if line.startswith(f"  {name} {entry.arguments}"))
        assert line.endswith(entry.line)
        assert len(entry.line) <= 60
    assert [f"\n{title}:\n" in listed for title in SECTIONS] == [True] * len(SECTIONS)


def test_no_help_page_loads_a_heavy_library():
    program = (
        "import sys, click.testing, earmark.cli\n"
        f"for path in {[path.split()[1:] for path in PAGES]!r}:\n"
        "    done = click.testing.CliRunner().invoke(earmark.cli.cli, [*path, '--help'])\n"
        "    assert done.exit_code == 0, done.output\n"
        f"print(*{HEAVY!r} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def _snapshot() -> str:
    """All pages as text, one after the other."""
    pages = []
    for path, (command, context) in PAGES.items():
        context.terminal_width = WIDTH
        pages.append(f"$ {path} --help\n{command.get_help(context)}\n")
    return "\n".join(pages)


def test_the_pages_are_those_that_were_read():
    """A change of a help page must be seen in review. To accept it: python tests/earmark/test_help.py."""
    assert _snapshot() == SNAPSHOT.read_text(encoding="utf-8")


if __name__ == "__main__":
    SNAPSHOT.write_text(_snapshot(), encoding="utf-8")
