"""TOML files of recipes: each states only what differs from its parent. A table of the paper has a recipe per row."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from earmark.codec.audio.files import SUFFIXES
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean, same
from earmark.codec.training.recipe import Recipe
from earmark.codec.training.recipe_reading import from_tables

ROOT = "encodec_24khz"  # the recipe with all settings, ancestor of all others


@dataclass(frozen=True)
class Row:
    """A row of a table in the paper.

    Args:
        recipe: name of its recipe, for load().
        label: label of the row.
        paper: the paper's scores by metric, as printed.
    """

    recipe: str
    label: str
    paper: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table in the paper whose rows are recipes, scored at `kbps`."""

    title: str
    kbps: float
    rows: tuple[Row, ...]


def names() -> list[str]:
    """Names of the recipes in the package, without the rows of tables."""
    return [name for name in _files() if "rows" not in _read(name)]


def tables() -> list[str]:
    """Names of the paper's tables in the package."""
    return [name for name in _files() if "rows" in _read(name)]


def table(name: str) -> Table:
    """Read one of the paper's tables; table_a4 is another spelling of tableA4.

    Raises:
        UserError: there is no such table.
    """
    exact = same(name, tables())
    if exact is None:
        raise UserError(f"{name}: no such table; there are {', '.join(tables())}{did_you_mean(name, tables())}")
    content = _read(exact)
    rows = (Row(f"{exact}:{key}", row["label"], row["paper"]) for key, row in content["rows"].items())
    return Table(content["title"], content["kbps"], tuple(rows))


def load(source: str | Path, settings: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe.

    Args:
        source: name of a recipe in the package, row of a table as "table:row", or path of a TOML file.
        settings: values to change, as given by `--set`: "section.key=value" each, the value in TOML.

    Raises:
        UserError: there is no such recipe, it is not TOML, or a key or value is invalid.
    """
    source = _canonical(str(source))
    whole = _with_parents(source, ())
    for setting in settings:
        _set(whole, setting)
    return replace(from_tables(Path(source).stem, whole), settings=settings)


def completed(recorded: dict[str, Any]) -> dict[str, Any]:
    """Complete tables stored by an earlier version. The root recipe has the newer settings, turned off."""
    return _merged(_read(ROOT), recorded)


def _files() -> list[str]:
    paths = (resources.files("earmark.codec.training") / "recipes").iterdir()
    return sorted(path.name.removesuffix(".toml") for path in paths if path.name.endswith(".toml"))


def _canonical(source: str) -> str:
    """The name of a recipe as its file has it; a path is returned unchanged."""
    file, colon, row = source.partition(":")
    exact = None if Path(file).is_file() else same(file, _files())
    return f"{exact}{colon}{row}" if exact else source


def _read(source: str) -> dict[str, Any]:
    ours = resources.files("earmark.codec.training") / "recipes" / f"{source}.toml"
    path = ours if ours.is_file() else Path(source)
    if not path.is_file():
        hint = did_you_mean(source, [*names(), *tables()]) or f"; the recipes are {', '.join(names())}"
        if path.is_dir():
            raise UserError(f"{source}: a folder, not a recipe; {_listed()}")
        raise UserError(f"{source}: no such recipe; give a TOML file or the name of a recipe{hint}")
    if Path(source).suffix.lower() in SUFFIXES:
        raise UserError(f"{source}: a recording, not a recipe; {_listed()}, and recordings by --data")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{source}: not a recipe (TOML), but a binary file; {_listed()}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{source}: not TOML: {error}") from error


def _listed() -> str:
    return f"give a TOML file or one of {', '.join(names())}"


def _with_parents(source: str, children: tuple[str, ...]) -> dict[str, Any]:
    """The tables of a recipe, merged with those of its ancestors."""
    if source in children:
        raise UserError(f"recipe {source}: is its own ancestor, through {', '.join(children)}; change one `parent`")
    own = _own_tables(source)
    parent = own.pop("parent", None if source == ROOT else ROOT)
    if parent is None:
        return own
    if not isinstance(parent, str):
        raise UserError(f"recipe {source}: parent must be the name of a recipe, not {parent!r}")
    beside = Path(source).parent / f"{parent}.toml"
    if source not in _files() and beside.is_file():
        parent = str(beside)
    return _merged(_with_parents(parent, (*children, source)), own)


def _own_tables(source: str) -> dict[str, Any]:
    """The tables that one file, or one row of a table, states itself."""
    file, _, row = source.partition(":")
    content = _read(file)
    if Path(file).is_file() and isinstance(modules := content.get("plugins", {}).get("modules"), list):
        beside = Path(file).resolve().parent
        content["plugins"]["modules"] = [str(beside / name) if name.endswith(".py") else name for name in modules]
    if "rows" not in content:
        return content
    rows = content.pop("rows")
    if row not in rows:
        raise UserError(
            f"{source}: a table of recipes; name a row, one of {', '.join(f'{file}:{key}' for key in rows)}"
        )
    descriptive = ("title", "kbps", "label", "paper")
    return {key: value for key, value in _merged(content, rows[row]).items() if key not in descriptive}


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two tables, section by section. Values of `above` take precedence."""
    merged = dict(below)
    for key, value in above.items():
        inner = isinstance(value, dict) and isinstance(below.get(key), dict)
        merged[key] = _merged(below[key], value) if inner else value
    return merged


def _set(whole: dict[str, Any], setting: str) -> None:
    """Apply one setting, "section.key=value"."""
    key, equals, value = setting.partition("=")
    *sections, last = key.strip().split(".")
    if not equals or not sections:
        raise UserError(f"--set {setting}: write section.key=value, e.g. training.epochs=3")
    section = whole
    for name in sections:
        section = section.setdefault(name, {})
        if not isinstance(section, dict):
            raise UserError(f"--set {setting}: {name} is a value, not a section")
    try:
        section[last] = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        section[last] = value  # a bare word is a string
