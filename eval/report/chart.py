"""A chart as an SVG element for a page with a light or a dark background: axes, grid, series and legend.

Twenty of them take as long as one of a plotting library. Lengths are in points, in a figure of fixed width.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import escape

# Okabe and Ito's palette, distinguishable with all common types of colour blindness, without its black (text) and its
# yellow (invisible on white). Each is a CSS variable, so that a page can lighten it on a dark ground.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, MUTED, GRID = "#1c2024", "#6b7280", "#d5d9df"
_VARIABLES = {
    **{color: f"--series-{index}" for index, color in enumerate(PALETTE)},
    INK: "--ink", MUTED: "--muted", GRID: "--line",
}  # fmt: skip

WIDTH, PLOT_HEIGHT = 317.0, 172.0
TEXT, SMALL = 9.0, 8.0  # font sizes
GAP, TICK = 5.0, 3.0
MOST_COLUMNS, ROW, HANDLE = 4, 14.0, 16.0  # of the legend
LETTER = 0.56  # mean width in a sans-serif font, of its size

# Corners of the markers, the first from the centre and each other from the one before, in half sizes.
_OUTLINES: dict[str, Sequence[tuple[float, float]]] = {
    "s": [(-0.9, -0.9), (1.8, 0), (0, 1.8), (-1.8, 0)],
    "^": [(0, -1), (1, 2), (-2, 0)],
    "v": [(0, 1), (1, -2), (-2, 0)],
    "D": [(0, -1.2), (1.2, 1.2), (-1.2, 1.2), (-1.2, -1.2)],
    "P": [
        (-0.4, -1), (0.8, 0), (0, 0.6), (0.6, 0), (0, 0.8), (-0.6, 0), (0, 0.6), (-0.8, 0), (0, -0.6), (-0.6, 0),
        (0, -0.8), (0.6, 0),
    ],
    "X": [
        (0, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5), (0.5, 0.5), (-0.5, 0.5), (-0.5, -0.5), (-0.5, 0.5),
        (-0.5, -0.5), (0.5, -0.5), (-0.5, -0.5), (0.5, -0.5),
    ],
}  # fmt: skip

Point = tuple[float, float]
Place = Callable[[float, float], Point]


@dataclass(frozen=True)
class Axis:
    """An axis: its range, the values to mark, its label, and whether it is logarithmic."""

    low: float
    high: float
    ticks: Sequence[float]
    label: str
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """The position of a value, 0 at the low end and 1 at the high end."""
        low, high, at = (math.log(one) if self.logarithmic else one for one in (self.low, self.high, value))
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Series:
    """Points with a name in the legend.

    Args:
        points: pairs of x and y.
        bars: low and high end of the error bar of each point, NaN where there is none; () for no bars.
        line: width and dashes of the line that joins the points; None for no line.
        hollow: whether markers are outlines.
        size, opacity: of the markers.
    """

    name: str
    points: Sequence[Point]
    color: str
    marker: str
    bars: Sequence[Point] = ()
    line: tuple[float, str] | None = None
    hollow: bool = False
    size: float = 5.5
    opacity: float = 1.0


@dataclass(frozen=True)
class Level:
    """A dashed line across the chart, with its name in the right margin."""

    name: str
    value: float
    dashes: str


def linear(low: float, high: float, label: str, most: int = 7) -> Axis:
    """An axis with at most `most` marks or so, at round values."""
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, [step * number for number in range(first, last + 1)], label)


def draw(x: Axis, y: Axis, series: Sequence[Series], levels: Sequence[Level] = ()) -> str:
    """Draw an `<svg>` element, which has no ids, so that a page can hold many."""
    ticks = _numbers(y)
    left = TEXT + 2 * GAP + TICK + max((text_width(one, TEXT) for one in ticks), default=0)
    right = GAP + max((GAP + text_width(one.name, SMALL) for one in levels), default=0)
    legend, top = _legend(series)
    width, bottom = WIDTH - left - right, top + PLOT_HEIGHT
    columns = [(left + width * x.place(tick), text) for tick, text in zip(x.ticks, _numbers(x), strict=True)]
    rows = [(bottom - PLOT_HEIGHT * y.place(tick), text) for tick, text in zip(y.ticks, ticks, strict=True)]
    grid = "".join(f"M{at:.1f} {top:.1f}V{bottom:.1f}" for at, _ in columns)
    grid += "".join(f"M{left:.1f} {at:.1f}H{left + width:.1f}" for at, _ in rows)
    frame = f"M{left:.1f} {top:.1f}V{bottom:.1f}H{left + width:.1f}"
    frame += "".join(f"M{at:.1f} {bottom:.1f}v{TICK:g}" for at, _ in columns)
    frame += "".join(f"M{left:.1f} {at:.1f}h{-TICK:g}" for at, _ in rows)

    def place(horizontal: float, vertical: float) -> Point:
        """Position in the panel, whose element cuts off what leaves it."""
        return width * x.place(horizontal), PLOT_HEIGHT * (1 - y.place(vertical))

    shapes = [_across(one, place(x.low, one.value)[1], width) for one in levels]
    shapes += [_drawn(one, place) for one in series]
    below = bottom + TICK + TEXT
    height = below + 2 * GAP + TEXT
    middle = top + PLOT_HEIGHT / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:g} {height:.1f}" font-family="sans-serif"'
        f' font-size="{TEXT:g}" style="fill: {_color(INK)}">',
        f'<path d="{grid}" {_stroke(GRID, 0.6)}/>',
        f'<svg x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{PLOT_HEIGHT:g}">{"".join(shapes)}</svg>',
        f'<path d="{frame}" {_stroke(MUTED, 0.8)}/>',
        *(_text(at, below, text, anchor="middle") for at, text in columns),
        *(_text(left - TICK - 2, at + 0.35 * TEXT, text, anchor="end") for at, text in rows),
        _text(left + width / 2, height - 0.4 * GAP, x.label, anchor="middle"),
        _text(TEXT, middle, y.label, anchor="middle", turned=True),
        *_in_margin([(place(x.low, one.value)[1] + top, one.name) for one in levels], left + width + GAP),
        legend,
        "</svg>\n",
    ]
    return "\n".join(part for part in parts if part)


def text_width(text: str, size: float) -> float:
    """Estimated width of a text; East Asian letters are as wide as high."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (LETTER * (len(text) - wide) + wide)


def _numbers(axis: Axis) -> list[str]:
    """Labels of an axis's marks; on a linear one with equally many decimals."""
    texts = [f"{value:.6g}" for value in axis.ticks]
    if not axis.logarithmic and not any("e" in text for text in texts):
        decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
        texts = [f"{value + 0.0:.{decimals}f}" for value in axis.ticks]
    return [text.replace("-", "−") for text in texts]


def _legend(series: Sequence[Series]) -> tuple[str, float]:
    """The names above the axes, in up to four columns if they fit, and the height that they take."""
    if not series:
        return "", GAP
    widths = [HANDLE + GAP + text_width(one.name, TEXT) for one in series]
    for count in range(min(MOST_COLUMNS, len(series)), 0, -1):
        rows = -(-len(series) // count)
        columns = [max(widths[start : start + rows]) + 2 * GAP for start in range(0, len(series), rows)]
        if sum(columns) <= WIDTH:
            break
    starts = [sum(columns[:index]) for index in range(len(columns))]
    parts = []
    for index, one in enumerate(series):
        at, height = starts[index // rows], ROW * (index % rows + 0.5)
        key = f'<path d="M0 0H{HANDLE:g}" {_stroke(one.color, *one.line)}/>' if one.line else ""
        key += f'<path d="{_marker(one, HANDLE / 2, 0)}" {_look(one)}/>'
        parts.append(f'<g transform="translate({at:.1f} {height:.1f})">{key}</g>')
        room = WIDTH - at - HANDLE - GAP
        parts.append(_text(at + HANDLE + GAP, height + 0.35 * TEXT, one.name, room=room))
    return "".join(parts), rows * ROW + GAP


def _drawn(series: Series, place: Place) -> str:
    """Line, error bars and markers of a series."""
    points = [place(*point) for point in series.points]
    parts = []
    if series.line:
        parts.append(
            f'<path d="M{"L".join(f"{x:.1f} {y:.1f}" for x, y in points)}" {_stroke(series.color, *series.line)}/>'
        )
    bars = ""
    for (x, _), (low, high) in zip(series.points, series.bars, strict=False):
        if not (math.isnan(low) or math.isnan(high)):
            (at, bottom), (_, top) = place(x, low), place(x, high)
            bars += f"M{at:.1f} {bottom:.1f}V{top:.1f}M{at - 2.5:.1f} {bottom:.1f}h5M{at - 2.5:.1f} {top:.1f}h5"
    if bars:
        parts.append(f'<path d="{bars}" {_stroke(series.color, 1.1)}/>')
    parts.append(f'<path d="{"".join(_marker(series, x, y) for x, y in points)}" {_look(series)}/>')
    return "".join(parts)


def _across(level: Level, height: float, width: float) -> str:
    return f'<path d="M0 {height:.1f}H{width:.1f}" {_stroke(MUTED, 1, level.dashes)}/>'


def _in_margin(names: Sequence[tuple[float, str]], left: float) -> list[str]:
    """Names at their heights, from the lowest up, moved up where they would overlap."""
    parts, free = [], math.inf
    for height, name in sorted(names, reverse=True):
        height = min(height, free)
        free = height - 1.2 * SMALL
        parts.append(_text(left, height + 0.35 * SMALL, name, size=SMALL, color=MUTED))
    return parts


def _marker(series: Series, x: float, y: float) -> str:
    """The outline of a marker around a point."""
    r = series.size / 2
    if series.marker == "o":
        return f"M{x - r:.1f} {y:.1f}a{r:g} {r:g} 0 1 0 {2 * r:g} 0a{r:g} {r:g} 0 1 0 {-2 * r:g} 0z"
    path = "l".join(f"{right * r:.2f} {down * r:.2f}" for right, down in _OUTLINES[series.marker][1:])
    right, down = _OUTLINES[series.marker][0]
    return f"M{x + right * r:.1f} {y + down * r:.1f}l{path}z"


def _look(series: Series) -> str:
    """Attributes of a series' markers."""
    fill = "none" if series.hollow else _color(series.color)
    opacity = f' opacity="{series.opacity:g}"' if series.opacity < 1 else ""
    width = 1.0 if series.hollow else 0.6
    return f'class="marker" style="fill: {fill}; stroke: {_color(series.color)}" stroke-width="{width:g}"{opacity}'


def _stroke(color: str, width: float, dashes: str = "") -> str:
    """Attributes of a line."""
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return f'style="fill: none; stroke: {_color(color)}" stroke-width="{width:g}"{dashed}'


def _text(
    x: float, y: float, text: str, *, anchor: str = "", size: float = TEXT, color: str = "", turned: bool = False,
    room: float = math.inf,
) -> str:  # fmt: skip
    """A text; squeezed if it would be wider than `room`."""
    given = {
        "text-anchor": anchor,
        "font-size": "" if size == TEXT else f"{size:g}",
        "style": color and f"fill: {_color(color)}",
        "transform": f"rotate(-90 {x:.1f} {y:.1f})" if turned else "",
        "textLength": f"{room:.1f}" if text_width(text, size) > room else "",
        "lengthAdjust": "spacingAndGlyphs" if text_width(text, size) > room else "",
    }
    attributes = "".join(f' {name}="{value}"' for name, value in given.items() if value)
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>'


def _color(color: str) -> str:
    """The CSS variable of a colour, which defaults to the colour."""
    return f"var({_VARIABLES[color]}, {color})" if color in _VARIABLES else color
