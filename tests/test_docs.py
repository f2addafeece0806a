"""The documentation agrees with the code: Python blocks run, names and files exist, the drawing is current."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path

import pytest

from .markdown import PAGES, ROOT, blocks, title

READERS = {"toml": tomllib.loads, "json": json.loads}
EXAMPLES = {
    "baselines/foo.py",
    "eval/metrics/foo.py",
    "mushra_app/web/translations/it",
    "tests/baselines/test_foo.py",
    "tests/eval/metrics/test_foo.py",
}  # made by following the text
FOLDERS = "benchmarks|baselines|codec|docs|earmark|eval|mushra_app|tests"


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_python_blocks_compile(page: Path):
    """Those that cannot run, too. test_docs_run.py runs the others."""
    for block in blocks(page):
        if block.language == "python":
            compile(block.code, f"{title(page)}:{block.line}", "exec")


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_toml_and_json_blocks_parse(page: Path):
    for block in blocks(page):
        if block.language in READERS:
            READERS[block.language](block.code)


def exists(name: str) -> bool:
    """Whether earmark.a.b.c is a module, or a name that is defined in one."""
    parts = name.split(".")
    base = ROOT if len(parts) > 1 and (ROOT / parts[1]).is_dir() else ROOT / "earmark"
    for count in range(len(parts), 0, -1):
        path = base.joinpath(*parts[1:count])
        module = next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)
        if module is not None:
            rest = parts[count:]
            text = module.read_text(encoding="utf-8")
            return all(re.search(rf"\b(def|class) {word}\b|\b{word}\b( *[:=]|[\",])", text) for word in rest)
    return False


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_modules_exist(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"`(earmark(?:\.[A-Za-z_]\w*)+)\b", text) + re.findall(
        r"^::: (earmark[\w.]+)", text, re.MULTILINE
    )
    others = {"earmark.codecs", "earmark.metrics", "earmark.plugins"}  # groups of entry points
    assert [name for name in names if name not in others and not exists(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_files_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    named = re.findall(rf"`(?:python )?((?:{FOLDERS})/[\w./-]+)", text)
    links = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s:]+)\)", text)]
    assert [path for path in named if not (ROOT / path).exists() and path not in EXAMPLES] == []
    assert [path for path in links if not (page.parent / path).exists()] == []


def test_the_drawing_of_the_packages_is_current():
    """If not: python docs/scripts/draw_packages.py."""
    path = ROOT / "docs" / "scripts" / "draw_packages.py"
    spec = importlib.util.spec_from_file_location("draw_packages", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.DRAWING.read_text(encoding="utf-8") == module.drawing()


def test_every_environment_variable_is_documented():
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    sources = [
        path
        for folder in FOLDERS.split("|")
        if folder not in ("docs", "tests")
        for path in (ROOT / folder).rglob("*.py")
    ]
    named = {
        name for path in sources for name in re.findall(r"EARMARK_[A-Z0-9_]*[A-Z0-9]", path.read_text(encoding="utf-8"))
    }
    assert named == set(re.findall(r"^\| `(EARMARK_\w+)`", page, re.MULTILINE))


def test_every_page_is_in_the_menu():
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page not in menu] == []
