"""Scripts and style sheets of the report page."""

from __future__ import annotations

import base64
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PLAYER = STATIC / "player.js"  # also served by the listening test, as /static/player.js

STYLE_SHEETS = ("report", "tables", "figures", "players", "print")
MODULES = ("player", "versions", "embedded", "linked", "cells", "sort", "jump", "print")


def style() -> str:
    """Style sheets of the report page, joined."""
    return "\n".join((STATIC / f"{name}.css").read_text(encoding="utf-8") for name in STYLE_SHEETS)


def import_map() -> dict[str, dict[str, str]]:
    """Import map of the report page: `#NAME` is static/NAME.js as a data URL, so that one file holds everything."""
    return {"imports": {f"#{name}": _data_url(f"{name}.js") for name in MODULES}}


def _data_url(name: str) -> str:
    content = base64.b64encode((STATIC / name).read_bytes()).decode()
    return f"data:text/javascript;base64,{content}"
