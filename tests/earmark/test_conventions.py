"""The conventions of the command line, as two tables: every page follows them, and later commands cannot stray."""

from __future__ import annotations

import re

import click
import pytest

from earmark.tree import ALIASES, COMMANDS, HIDDEN, SECTIONS

from .test_help import PAGES, WIDTH

# Section -> its commands; a command that is not there yet is one of later work. A new one is entered here first.
TREE = {
    "Judge": ["compare", "score", "probe", "bench", "level"],
    "Read a run": ["tables", "differences", "worst", "figures", "validate", "run"],
    "Listen": ["study"],
    "Code": ["encode", "decode", "inspect"],
    "Train": ["data", "train", "train-lm", "sweep", "reproduce", "export"],
    "Set up": ["systems", "metrics", "download", "doctor", "completion", "help"],
}
GROUPS = {
    "study": [
        "build", "import", "check", "serve", "report", "invite", "items", "status", "plan", "export", "backup", "erase",
        "publish", "submissions", "approve", "reject", "bonus",
    ],
    "data": ["index", "shards", "open-corpus", "demo"],
    "run": ["drop", "merge", "show", "gc"],
}  # fmt: skip

ANY, FLAG, REQUIRED, NONE = object(), object(), object(), object()
# Option -> short form, metavars that it may have, defaults that it may show. The same wherever it occurs.
OPTIONS = {
    "--out": ("-o", {"RUN", "STUDY", "DIR", "FILE", "PATH"}, ANY),
    "--systems": ("-s", {"SYSTEM,..."}, ANY),
    "--codec": ("", {"NAME=CMD"}, {NONE}),
    "--decoded": ("", {"NAME=FOLDER"}, {NONE}),
    "--metrics": ("-m", {"METRIC,...", "METRIC"}, ANY),
    "--metric": ("", {"NAME=CMD"}, {NONE}),
    "--against": ("", {"SYSTEM"}, {NONE}),
    "--with": ("", {"RUN"}, {NONE}),
    "--format": (
        "",
        {"text|markdown|latex|csv|json", "text|markdown|csv|json", "earmark|huggingface|encodec|onnx"},
        {"text", "earmark"},
    ),
    "--container": ("", {"earmark|reference"}, {"earmark"}),
    "--rate": ("", {"HZ"}, ANY),
    "--kbps": ("", {"KBPS"}, {"6"}),
    "--jobs": ("-j", {"N"}, {"all cores"}),
    "--threads": ("", {"N"}, ANY),
    "--seed": ("", {"N"}, {"0"}),
    "--data": ("", {"PATH"}, {REQUIRED, NONE}),  # reproduce makes synthetic data at the scale tiny
    "--checkpoint": ("", {"FILE|official"}, {"bundled"}),
    "--device": ("", {"cpu|cuda[:N]|mps"}, {"auto"}),
    "--keep-going": ("-k", FLAG, {NONE}),
    "--force": ("-f", FLAG, {NONE}),
    "--dry-run": ("-n", FLAG, {NONE}),
    "--quiet": ("-q", FLAG, {NONE}),
    "--version": ("-V", FLAG, {NONE}),
    "--help": ("-h", FLAG, {NONE}),
}
SHORT = {short for short, _, _ in OPTIONS.values() if short}
# Commands with --out that need no --force, as they add to the folder or refuse one that is not theirs.
ADD_TO_OUT = {"compare", "score", "train", "train-lm", "reproduce", "sweep", "data shards", "study import"}
EARLIER = {  # spellings of earlier versions, which work and are not shown
    "compare": ["--system"], "bench": ["--system"], "encode": ["--format"], "data shards": ["--sample-rate"],
    "data index": ["--kind"], "differences": ["--metric"],
}  # fmt: skip


def _options(command: click.Command, context: click.Context) -> dict[str, click.Option]:
    """Long name -> option, of all that the page shows, --help included."""
    shown = [one for one in command.get_params(context) if isinstance(one, click.Option) and not one.hidden]
    return {next(name for name in one.opts if name.startswith("--")): one for one in shown}


COMMAND_PAGES = {path.removeprefix("earmark "): page for path, page in PAGES.items() if path != "earmark"}


@pytest.fixture(params=COMMAND_PAGES)
def path(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _text(path: str) -> str:
    command, context = COMMAND_PAGES[path]
    context.terminal_width = WIDTH
    return command.get_help(context)


def test_the_first_page_has_the_sections_and_commands_of_the_tree_in_their_order():
    assert list(SECTIONS) == list(TREE)
    for section, entries in SECTIONS.items():
        known = TREE[section]
        assert list(entries) == sorted(entries, key=known.index), section  # an unknown one has no index


def test_groups_have_the_commands_of_the_tree():
    for name in COMMANDS:
        command, context = COMMAND_PAGES[name]
        inside = command.list_commands(context) if isinstance(command, click.Group) else []
        assert set(inside) <= set(GROUPS.get(name, ())), name


def test_earlier_names_are_commands_of_the_tree():
    for earlier, name in ALIASES.items():
        assert name in COMMANDS
        assert earlier not in COMMANDS
    assert not HIDDEN.keys() & COMMANDS.keys()


def test_a_page_has_its_parts_in_order(path: str):
    parts = ["Usage: ", "Options:\n", "Commands:\n", "Examples:\n", "Environment:\n", "Exit status:\n"]
    text = "\n" + _text(path)
    found = [text.find(f"\n{part}") for part in parts]
    present = [place for part, place in zip(parts, found, strict=True) if part != "Commands:\n"]
    assert -1 not in present
    assert [place for place in found if place >= 0] == sorted(place for place in found if place >= 0)
    for status, meaning in ((0, "done"), (2, "refused"), (130, "interrupted")):
        assert re.search(rf"^  {status} +{meaning}", text, re.MULTILINE)


def _default(option: click.Option, context: click.Context) -> object:
    """Default as the page shows it."""
    return REQUIRED if option.required else option.get_help_extra(context).get("default", NONE)


def test_options_have_the_short_form_metavar_and_default_of_the_table(path: str):
    command, context = COMMAND_PAGES[path]
    for name, option in _options(command, context).items():
        short = [one for one in option.opts if not one.startswith("--")]
        if name not in OPTIONS:
            assert not set(short) & SHORT, f"{name}: this short form belongs to another option"
            continue
        expected, metavars, defaults = OPTIONS[name]
        assert short == ([expected] if expected else []), name
        if metavars is FLAG:
            assert option.is_flag, name
        else:
            assert option.metavar in metavars, (name, option.metavar)
        if defaults is not ANY:
            assert _default(option, context) in defaults, name


def test_metavars_are_nouns_in_capitals_or_the_choices_themselves(path: str):
    command, context = COMMAND_PAGES[path]
    for name, option in _options(command, context).items():
        if option.is_flag or option.count:
            continue
        noun = r"[A-Z][A-Z_-]*(=[A-Z]+)?(,\.\.\.)?"
        choices = r"[\w:\[\]-]+(\|[\w:\[\]-]+)+"
        assert re.fullmatch(f"{noun}|{choices}", option.metavar or ""), (name, option.metavar)


def test_a_command_that_replaces_files_does_so_only_with_force(path: str):
    options = _options(*COMMAND_PAGES[path])
    if "--out" in options and path not in ADD_TO_OUT:
        assert "--force" in options


def test_long_work_can_be_quiet_where_it_can_be_shown(path: str):
    options = _options(*COMMAND_PAGES[path])
    if "--dry-run" in options:
        assert "--quiet" in options


@pytest.mark.parametrize(("command", "spellings"), EARLIER.items())
def test_earlier_spellings_of_options_work_and_are_hidden(command: str, spellings: list[str]):
    aliases = [name for one in COMMAND_PAGES[command][0].params for name in getattr(one, "aliases", ())]
    assert set(spellings) <= set(aliases)
    for spelling in spellings:
        assert not re.search(rf"^  {spelling} ", _text(command), re.MULTILINE)
