"""The templates of pages, and how numbers stand in them."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from earmark.eval.report import assets
from earmark.eval.tables.numbers import factor_text, kbps_text, nominal_text

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **variables: object) -> str:
    """Render a page, which holds its style sheets and scripts."""
    return _environment().get_template(template).render(
        **variables, style=Markup(assets.style()), import_map=assets.import_map(), modules=assets.MODULES,
    )  # fmt: skip


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "kbps": kbps_text, "nominal": nominal_text, "factor": factor_text, "clock": clock, "minus": minus,
        "decibels": lambda gain: minus(f"{gain:+.1f} dB"),
    }  # fmt: skip
    return environment


def clock(seconds: float) -> str:
    """Format a duration: "0:07.5", and "1:02:03" from an hour on."""
    minutes, rest = divmod(round(seconds, 1), 60)
    if minutes < 60:
        return f"{minutes:.0f}:{rest:04.1f}"
    return f"{minutes // 60:.0f}:{minutes % 60:02.0f}:{rest:02.0f}"


def minus(text: str) -> str:
    """Replace a leading hyphen by a minus sign."""
    return re.sub(r"^-", "−", text)
