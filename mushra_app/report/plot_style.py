"""Style of a listening test's plots, on paper and in an HTML page with a light or dark theme."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from earmark.mushra_app.study.study import Role

SCALE = (0, 100)
LIMITS = (-3, 103)  # of an axis of scores: the scale, with room for a marker at its ends
BANDS = ("Bad", "Poor", "Fair", "Good", "Excellent")  # twenty points each (BS.1534-3, 5.4)
GROUND, INK, MUTED, LINE = "#ffffff", "#1c2430", "#5a6270", "#d5d9e0"
SHADES = ("#f4f5f7", "#e9ebef")
# From the palette of Okabe and Ito, which is safe for common types of colour blindness; markers differ as well.
STYLES: dict[Role, tuple[str, str]] = {
    "system": ("o", "#0072b2"),
    "hidden reference": ("D", "#009e73"),
    "mid anchor": ("s", "#e69f00"),
    "low anchor": ("v", "#d55e00"),
}
# Codecs in the plot against bit rate, from the same palette; its yellow is invisible on white.
SERIES = ("#0072b3", "#d55e01", "#009e74", "#cc79a7", "#e69f01", "#56b4e9")
# In a page, each colour becomes a CSS variable, which the style sheet lightens in the dark theme.
VARIABLES = {
    GROUND: "--ground", INK: "--ink", MUTED: "--soft", LINE: "--rule", SHADES[0]: "--band-0", SHADES[1]: "--band-1",
    **{colour: f"--{role.replace(' ', '-')}" for role, (_, colour) in STYLES.items()},
    **{colour: f"--series-{number}" for number, colour in enumerate(SERIES)},
}  # fmt: skip
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK, "axes.labelcolor": INK, "axes.titlecolor": INK,
    "xtick.color": INK, "ytick.color": INK, "axes.edgecolor": MUTED, "axes.facecolor": "none",
    "svg.fonttype": "none",  # keeps text searchable, and lets the reader's fonts fill in missing scripts
    "svg.hashsalt": "earmark",  # makes the file reproducible
    "pdf.fonttype": 42,  # TrueType, which journals require
    "text.parse_math": False,  # a condition may be called "$6"
}  # fmt: skip


@contextmanager
def drawing() -> Iterator[None]:
    """Apply this style while drawing and saving; suppresses warnings about missing glyphs."""
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def score_label(is_cut: bool) -> str:
    """Label of the axis of mean scores.

    Args:
        is_cut: whether an interval ends at an end of the scale, where no score can be beyond; tables have it in full.
    """
    return "mean score, 95 % intervals" + (", cut at the ends of the scale" if is_cut else "")


def draw_bands(axes: Axes, named: bool = True) -> None:
    """Draw the five bands of the quality scale along the x axis, by default with their names."""
    for index, band in enumerate(BANDS):
        axes.axvspan(20 * index, 20 * index + 20, color=SHADES[index % 2], linewidth=0, zorder=0)
        if named:
            axes.annotate(
                band, (20 * index + 10, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", va="bottom", fontsize=7, color=MUTED,
            )  # fmt: skip


def add_role_legend(figure: Figure, roles: Iterable[str]) -> None:
    """Add a legend of the roles' markers below the panels, unless there is a single role."""
    shown = set(roles)
    handles = [
        Line2D([], [], marker=marker, color=colour, linewidth=1.6, markersize=5, label=role)
        for role, (marker, colour) in STYLES.items()
        if role in shown
    ]
    if len(handles) > 1:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)


def svg(figure: Figure) -> str:
    """Render the figure as an SVG file on white."""
    return _rendered(figure, "svg").decode("utf-8")


def pdf(figure: Figure) -> bytes:
    """Render the figure as a PDF file with vectors and text."""
    return _rendered(figure, "pdf")


def png(figure: Figure) -> bytes:
    """Render the figure as a PNG image with 200 dots per inch."""
    return _rendered(figure, "png")


def in_page(drawn: str, name: str) -> str:
    """Convert an SVG file from `svg` to an element for a page, without style sheet, and with CSS variables.

    Args:
        name: of the drawing, which makes its ids unique in the page: drawings may share markers.
    """
    text = drawn[drawn.index("<svg") :]
    text = re.sub(r"<style.*?</style>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    ids = re.compile(r'(href="#|url\(#|\bid=")')
    text = re.sub(r"<[^>]+>", lambda tag: ids.sub(rf"\g<1>{name}-", tag[0]), text)
    return re.sub(r'style="[^"]*"', _with_variables, text)  # only in styles: a condition may be called "#1c2430"


def _with_variables(style: re.Match[str]) -> str:
    return re.sub(r"#[0-9a-f]{6}\b", lambda colour: f"var({VARIABLES[colour[0]]}, {colour[0]})"
                  if colour[0] in VARIABLES else colour[0], style[0])  # fmt: skip


def _rendered(figure: Figure, file_format: str) -> bytes:
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    buffer = BytesIO()
    with drawing():
        figure.savefig(buffer, format=file_format, dpi=200, metadata=undated[file_format])
    return buffer.getvalue()
