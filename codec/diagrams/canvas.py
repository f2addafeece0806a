"""An SVG drawing of boxes and arrows, for pages with a light or a dark background."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

MARGIN = 20
TITLE_ADVANCE = 9.5  # mean width of a letter of the title, in the widest of its fonts
STYLE = """
  .ground { fill: #ffffff }
  .box { fill: #f4f5f7; stroke: #5a6270 }
  .conv { fill: #e3eefa; stroke: #0072b2 }
  .resample { fill: #dff3ec; stroke: #009e73 }
  .lstm { fill: #fdf0d9; stroke: #b97a00 }
  .codes { fill: #fbe7dd; stroke: #c24f00 }
  .frame { fill: none; stroke: #5a6270; stroke-dasharray: 5 4 }
  .arrow { fill: none; stroke: #5a6270; stroke-width: 1.4 }
  .tip { fill: #5a6270 }
  text { font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", Arial, sans-serif; fill: #1c2430 }
  .title { font-size: 17px; font-weight: 600 }
  .head { font-size: 14px; font-weight: 600 }
  .detail { font-size: 11px; fill: #5a6270 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #14171c }
    .box { fill: #1c2027; stroke: #a3abb8 }
    .conv { fill: #14293c; stroke: #4aa8e8 }
    .resample { fill: #12302a; stroke: #2fc39a }
    .lstm { fill: #33270f; stroke: #f0b73d }
    .codes { fill: #371d10; stroke: #f07f2e }
    .frame, .arrow { stroke: #a3abb8 }
    .tip { fill: #a3abb8 }
    text { fill: #e7e9ed }
    .detail { fill: #a3abb8 }
  }
"""


class Canvas:
    """Collects the elements of a drawing.

    Args:
        title: title above the drawing, and its text for screen readers.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._elements: list[str] = []
        self._width = self._height = 0.0
        self.text(MARGIN, 32, title, "title", anchor="start")
        self._reach(MARGIN + TITLE_ADVANCE * len(title), 0)

    def box(
        self, x: float, y: float, width: float, height: float, name: str, detail: str = "", style: str = "box"
    ) -> None:  # fmt: skip
        """Draw a box with a name, and a smaller line below it."""
        self._elements.append(
            f'<rect class="{style}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5"/>'
        )
        middle = y + height / 2
        self.text(x + width / 2, middle + (-3 if detail else 5), name)
        if detail:
            self.text(x + width / 2, middle + 13, detail, "detail")
        self._reach(x + width, y + height)

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a dashed frame."""
        self._elements.append(f'<rect class="frame" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="9"/>')
        self._reach(x + width, y + height)

    def text(self, x: float, y: float, text: str, style: str = "", anchor: str = "middle") -> None:
        """Write a line; `anchor` is start, middle or end."""
        self._elements.append(f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')
        self._reach(x, y)

    def arrow(self, *points: tuple[float, float]) -> None:
        """Draw a line through points with a tip at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        self._elements.append(f'<polyline class="arrow" points="{path}"/>')
        (x0, y0), (x, y) = points[-2:]
        if x == x0:
            down = 1 if y > y0 else -1
            tip = ((x - 4, y - 8 * down), (x + 4, y - 8 * down))
        else:
            right = 1 if x > x0 else -1
            tip = ((x - 8 * right, y - 4), (x - 8 * right, y + 4))
        corners = " ".join(f"{a:g},{b:g}" for a, b in (*tip, (x, y)))
        self._elements.append(f'<polygon class="tip" points="{corners}"/>')

    def column(
        self, x: float, y: float, width: float, parts: Sequence[tuple[str, str, str]], height: float, gap: float
    ) -> list[float]:  # fmt: skip
        """Draw boxes below each other, joined by arrows.

        Args:
            parts: name, detail and style of each box.

        Returns:
            The y of the top of each box.
        """
        tops = [y + number * (height + gap) for number in range(len(parts))]
        for number, (top, (name, detail, style)) in enumerate(zip(tops, parts, strict=True)):
            if number:
                self.arrow((x + width / 2, top - gap), (x + width / 2, top))
            self.box(x, top, width, height, name, detail, style)
        return tops

    def svg(self) -> str:
        """The drawing as an SVG file."""
        width, height = self._width + MARGIN, self._height + MARGIN
        lines = "\n".join(self._elements)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img">\n<title>{escape(self._title)}</title>\n<style>{STYLE}</style>\n'
            f'<rect class="ground" width="{width:g}" height="{height:g}"/>\n{lines}\n</svg>\n'
        )

    def _reach(self, x: float, y: float) -> None:
        self._width, self._height = max(self._width, x), max(self._height, y)
