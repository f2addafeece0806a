"""Reading of a recipe's tables, by hand: with pydantic every message would have to be translated to name the key, the
rule and a similar key, which takes as much code."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from earmark.codec import plugins
from earmark.codec.checkpoints.config_json import config_from_json
from earmark.codec.encodec.config import EncodecConfig, SEANetConfig, stored_keys
from earmark.codec.errors import UserError
from earmark.codec.training.recipe import LOSSES, LossWeights, PluginRecipe, Recipe
from earmark.codec.training.recipe_rules import check


def from_tables(name: str, tables: Mapping[str, Any]) -> Recipe:
    """Validate the tables of a recipe.

    Raises:
        UserError: a key is missing or unknown, or its value is invalid.
    """
    sections = {each.name: each for each in fields(Recipe) if each.name not in ("name", "tables", "settings")}
    _check_keys(tables, list(sections), "")
    hints = get_type_hints(Recipe)
    plugins.load(_read(PluginRecipe, tables.get("plugins", {}), "plugins").modules)
    parts = {section: _read(hints[section], tables.get(section, {}), section) for section in sections}
    recipe = Recipe(name=name, tables=tables, **parts)
    check(recipe)
    return recipe


def _check_keys(table: Mapping[str, Any], known: list[str], section: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {section}{near[0]}?" if near else f"; there are {', '.join(known)}"
            raise UserError(f"recipe: {section}{key} is unknown{hint}")


def _read(expected: Any, value: Any, key: str) -> Any:
    """Check the type of a value. Integers are accepted for floats; nothing else is converted."""
    if expected is EncodecConfig:
        return _read_model(value)
    if expected is LossWeights:
        return _read_losses(value)
    if is_dataclass(expected):
        return _read_section(expected, value, key)
    if get_origin(expected) is tuple and isinstance(value, list):
        return tuple(_read(get_args(expected)[0], item, key) for item in value)
    if get_origin(expected) is Literal and value in get_args(expected):
        return value
    if expected is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is expected:
        return value
    if get_origin(expected) is Literal:
        wanted = f"one of {', '.join(map(str, get_args(expected)))}"
    else:
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        wanted = names.get(expected, "a list")
    raise UserError(f"recipe: {key} must be {wanted}, not {value!r}")


def _read_section(expected: Any, value: Any, name: str) -> Any:
    """Make a dataclass of a section, whose keys are its fields."""
    if not isinstance(value, Mapping):
        raise UserError(f"recipe: {name} must be a section")
    hints = get_type_hints(expected)
    _check_keys(value, list(hints), f"{name}.")
    if missing := [key for key in hints if key not in value]:
        raise UserError(f"recipe: {name}.{missing[0]} is missing")
    return expected(**{key: _read(hint, value[key], f"{name}.{key}") for key, hint in hints.items()})


def _read_losses(table: Any) -> LossWeights:
    """The weights of our losses, and of those of plug-ins."""
    if not isinstance(table, Mapping):
        raise UserError("recipe: losses must be a section")
    ours = {key: value for key, value in table.items() if key in LOSSES}
    others = {key: value for key, value in table.items() if key not in LOSSES}
    if others:
        try:
            _check_keys(others, [*LOSSES, *plugins.known("loss")], "losses.")
        except UserError as error:
            raise UserError(f"{error}; a plug-in's file belongs in [plugins] modules or {plugins.VARIABLE}") from error
    if missing := [key for key in LOSSES if key not in ours]:
        raise UserError(f"recipe: losses.{missing[0]} is missing")
    read = {key: _read(float, value, f"losses.{key}") for key, value in table.items()}
    return LossWeights(**{key: read[key] for key in ours}, others={key: read[key] for key in others})


def _read_model(table: Any) -> EncodecConfig:
    if isinstance(table, Mapping):
        _check_keys(table, stored_keys(EncodecConfig), "model.")
        if isinstance(table.get("seanet"), Mapping):
            _check_keys(table["seanet"], stored_keys(SEANetConfig), "model.seanet.")
        if table.get("segment") == 0:
            table = {**table, "segment": None}  # TOML has no null
    try:
        return config_from_json(json.dumps(table))
    except UserError as error:
        raise UserError(f"recipe: {str(error).replace('config.', 'model.', 1)}") from error
