"""Draw docs/images/packages.svg, the packages and folders of Earmark: `python docs/scripts/draw_packages.py`."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRAWING = ROOT / "docs" / "images" / "packages.svg"
LAYERS = {  # from the top: each imports itself and those below it
    "earmark": "public Python API and the command line",
    "mushra_app": "listening tests: studies, web app, ratings, reports",
    "eval": "corpora, runs, metrics, statistics, reports",
    "baselines": "every codec behind one interface",
    "codec": "EnCodec: model, bitstream, entropy coding, training",
}
WIDTH, MARGIN, GAP, BOX, TITLE, LETTER = 960, 20, 12, 30, 44, 7.4  # pixels


def folders(layer: str) -> list[str]:
    """Sub-packages directly below a source folder."""
    return sorted(path.parent.name for path in (ROOT / layer).glob("*/__init__.py"))


def rows(names: list[str]) -> list[list[tuple[str, float]]]:
    """Boxes, name and width, in as many rows as they need."""
    result: list[list[tuple[str, float]]] = [[]]
    for name in names:
        width = len(name) * LETTER + 24
        if result[-1] and sum(w + GAP for _, w in result[-1]) + width > WIDTH - 4 * MARGIN:
            result.append([])
        result[-1].append((name, width))
    return result


def band(layer: str, top: float) -> tuple[list[str], float]:
    """One layer as SVG elements, and the y below it."""
    boxes = rows(folders(layer)) if folders(layer) else []
    height = TITLE + len(boxes) * (BOX + GAP)
    name = layer if layer == "earmark" else f"earmark.{layer}"
    parts = [
        f'<rect x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{height}" rx="8" class="layer"/>',
        f'<text x="{2 * MARGIN}" y="{top + 28}" class="name">{name}'
        f'<tspan class="role" dx="14">{escape(LAYERS[layer])}</tspan></text>',
    ]
    for number, row in enumerate(boxes):
        x, y = 2.0 * MARGIN, top + TITLE + number * (BOX + GAP)
        for text, width in row:
            parts.append(f'<rect x="{x:.0f}" y="{y}" width="{width:.0f}" height="{BOX}" rx="5" class="box"/>')
            parts.append(f'<text x="{x + width / 2:.0f}" y="{y + 20}" class="folder">{text}</text>')
            x += width + GAP
    return parts, top + height


def drawing() -> str:
    """The whole picture as SVG."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    top, body = float(MARGIN), []
    for layer in LAYERS:
        parts, bottom = band(layer, top)
        body += parts
        top = bottom + 34
        if layer != list(LAYERS)[-1]:
            body.append(f'<path d="M{WIDTH // 2} {bottom + 4} v22" class="arrow" marker-end="url(#tip)"/>')
            body.append(f'<text x="{WIDTH // 2 + 12}" y="{bottom + 22}" class="role">imports</text>')
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - 34 + MARGIN:.0f}" role="img" '
        'font-family="system-ui, sans-serif">'
    )
    yield "<title>The packages of Earmark: each layer imports those below it</title>"
    yield (
        "<style>.layer{fill:#eef5f5;stroke:#b9cfd1}.box{fill:#fff;stroke:#14636d}.name{font-size:16px;font-weight:600;"
        "fill:#14383d}.role{font-size:13px;font-weight:400;fill:#4b5f63}.folder{font-size:13px;fill:#1b2426;"
        "text-anchor:middle}.arrow{stroke:#14636d;stroke-width:2;fill:none}</style>"
    )
    yield (
        '<defs><marker id="tip" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#14636d"/></marker></defs>'
    )
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    yield from body
    yield "</svg>"


if __name__ == "__main__":
    DRAWING.write_text(drawing(), encoding="utf-8")
