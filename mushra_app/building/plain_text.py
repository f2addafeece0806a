"""The text of HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html.parser import HTMLParser

from earmark.mushra_app.ratings.text_table import tidy

BREAKS = {
    **dict.fromkeys(("p", "div", "ul", "ol", *(f"h{level}" for level in range(1, 7))), "\n\n"),
    "br": "\n", "tr": "\n", "li": "\n- ",
}  # fmt: skip
# Elements whose content is no text: a picture, a player, a field. Of a link, the address is lost.
LOST = frozenset({
    "a", "audio", "button", "canvas", "embed", "iframe", "img", "input", "math", "object", "script", "select", "svg",
    "textarea", "video",
})  # fmt: skip


class _Text(HTMLParser):
    """Collects the text of HTML: paragraphs separated by an empty line, list items on lines of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0
        self.lost: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")
        self.lost |= dict.fromkeys({tag} & LOST)
        self.parts.append(BREAKS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")
        self.parts.append("\n\n" if BREAKS.get(tag) == "\n\n" else "")

    def handle_data(self, data: str) -> None:
        if self.hidden <= 0:
            self.parts.append(data)


def lost_elements(html: str) -> list[str]:
    """Elements of HTML that `plain_text` leaves out: "<img>"."""
    return [f"<{tag}>" for tag in _parsed(html).lost]


def plain_text(html: str) -> str:
    """The text of HTML, in paragraphs separated by an empty line."""
    parser = _parsed(html)
    lines = [tidy(line) for line in "".join(parser.parts).split("\n")]
    return "\n".join(_paragraphs(lines)).strip()


def _parsed(html: str) -> _Text:
    parser = _Text()
    parser.feed(html)
    parser.close()
    return parser


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Lines without repeated empty ones."""
    for before, line in zip(["", *lines], lines, strict=False):
        if line or before:
            yield line
