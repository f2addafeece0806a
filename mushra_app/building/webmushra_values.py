"""Values of a webMUSHRA configuration, which are read as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.mushra_app.ratings.text_table import tidy

NULLS = ("", "~", "null", "Null", "NULL")  # no value in YAML


def page_name(settings: Mapping[str, Any], number: int) -> str:
    """How messages call a page: by its id, its title, or its number."""
    return tidy(text_of(settings.get("id")) or text_of(settings.get("name"))) or f"page {number}"


def text_of(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) and value not in NULLS else ""


def is_on(value: object) -> bool:
    """Whether an option is set."""
    return str(value).lower() in ("true", "yes", "on")


def is_off(value: object) -> bool:
    """Whether an option is switched off."""
    return str(value).lower() in ("false", "no", "off")


def is_number(value: object) -> bool:
    """Whether the value is a number."""
    return isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
