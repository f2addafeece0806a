"""Pages of the documentation, and the code blocks and commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
_NOT_RUN = re.compile(r"<!-- not run: (.*) -->")

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"(\w+)=([\w=./]+)")
_ENDS = {"|", ">", ">>", "&&", "||", ";", "<", "2>"}


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Args:
        line: line of the page on which the code begins.
        reason: why it cannot run in a test, from the comment `<!-- not run: reason -->` before it; else "".
    """

    language: str
    code: str
    line: int
    reason: str

    @property
    def runs(self) -> bool:
        return not self.reason


def title(page: Path) -> str:
    """Path of a page below the repository, as the name of a test."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    """Fenced code blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = text[: match.start()].rstrip().rpartition("\n")[2]
        line = text.count("\n", 0, match.start()) + 2
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        excuse = _NOT_RUN.search(before)
        found.append(Block(match["language"], code, line, excuse[1] if excuse else ""))
    return found


def commands(page: Path) -> Iterator[list[str]]:
    """Arguments of every `earmark` command line in blocks without a language, variables and line ends resolved."""
    for block in blocks(page):
        if block.language:
            continue
        variables: dict[str, str] = {}
        for line in block.code.replace("\\\n", "\x00").splitlines():
            # A line that ends within a word goes on in the next one; any other continuation separates words.
            line = re.sub(r"(?<=,)\x00\s*", "", line).replace("\x00", " ")
            if assigned := _ASSIGNMENT.fullmatch(line):
                variables[assigned[1]] = assigned[2]
            for name, value in variables.items():
                line = line.replace(f"${name}", value)
            yield from earmark_calls(line)


def earmark_calls(line: str) -> Iterator[list[str]]:
    """Every call of `earmark` in a line of shell: after a pipe, in a virtual environment, or as a module."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = list(lexer)
    for index, word in enumerate(words):
        starts = index == 0 or words[index - 1] in _ENDS
        module = word == "earmark" and index > 0 and words[index - 1] == "-m"
        if module or (starts and Path(word).name == "earmark"):
            rest = words[index + 1 :]
            end = next((at for at, one in enumerate(rest) if one in _ENDS), len(rest))
            yield rest[:end]


def inline_commands(page: Path) -> Iterator[list[str]]:
    """Arguments of every `earmark ...` that stands in running text, without those that leave something out."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    for code in re.findall(r"`(?:\.venv/bin/)?earmark ([^`]+)`", text):
        if "..." not in code:
            yield shlex.split(" ".join(code.split()))
