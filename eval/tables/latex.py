"""Tables for LaTeX: at most as wide as the page, with booktabs rules, a label and notes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

ONE_COLUMN = 6  # table columns that fit into one column of a two-column page


def latex_document(tables: Sequence[str]) -> str:
    """Join tables made by `latex_table` below a comment that names the packages they need."""
    return "% needs \\usepackage{booktabs,graphicx}\n" + "\n".join(tables)


def latex_table(
    caption: str,
    headings: Sequence[str],
    blocks: Sequence[Sequence[str]],
    notes: Sequence[str] = (),
    *,
    left: int = 1,
    groups: Sequence[str] = (),
) -> str:
    """A floating table, spanning both columns of the page if it is wide, and scaled down if it is too wide.

    Args:
        blocks: lines made by `latex_rows`, with a rule between two blocks.
        left: number of leading columns that are aligned left; the others are aligned right.
        groups: titles above the headings; see `earmark.eval.tables.grid.Grid`.
    """
    environment = "table*" if len(headings) > ONE_COLUMN else "table"
    body = "\n\\midrule\n".join("\n".join(lines) for lines in [_head(headings, groups), *blocks])
    columns = "l" * left + "r" * (len(headings) - left)
    below = "".join(f"\n\\par {latex_escape(note)}" for note in notes)
    return (
        f"\\begin{{{environment}}}\n\\centering\n\\caption{{{latex_escape(caption)}}}\n\\label{{tab:{_slug(caption)}}}\n"
        "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n"
        + (f"\\par\\smallskip\n\\parbox{{\\linewidth}}{{\\footnotesize{below}}}\n" if below else "")
        + f"\\end{{{environment}}}\n"
    )


def _head(headings: Sequence[str], groups: Sequence[str]) -> list[str]:
    """The headings below the titles of their groups, with a rule under each title."""
    if not any(groups):
        return latex_rows([headings])
    cells, rules, first = [], [], 1
    for group, members in itertools.groupby(groups):
        count = len(list(members))
        if group:
            cells.append(rf"\multicolumn{{{count}}}{{c}}{{{latex_escape(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{first + count - 1}}}")
        else:
            cells += [""] * count
        first += count
    return [" & ".join(cells) + r" \\", " ".join(rules), *latex_rows([headings])]


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def latex_rows(rows: Sequence[Sequence[str]]) -> list[str]:
    """One line per row of text."""
    return [" & ".join(latex_escape(cell) for cell in row) + r" \\" for row in rows]


_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", "×": r"$\times$", "–": "--", "−": r"$-$", "†": r"\dag{}", "‡": r"\ddag{}",
    "§": r"\S{}", "“": "``", "”": "''", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
}  # fmt: skip


def latex_escape(text: str) -> str:
    """Escape text for LaTeX; `code` becomes typewriter text, and a hyphen before a leading digit a minus sign."""
    parts = re.split(r"`([^`]*)`", " ".join(text.split()))
    escaped = ["".join(_LATEX.get(character, character) for character in part) for part in parts]
    escaped[1::2] = [rf"\texttt{{{code}}}" for code in escaped[1::2]]
    return re.sub(r"^-(?=\d)", "$-$", "".join(escaped))
