"""Texts and questions of a webMUSHRA configuration, as settings of a study's session.toml."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study.questions import question_of
from earmark.mushra_app.study.translations import LANGUAGES

BEFORE = ("generic", "consent", "volume")  # types of pages whose texts come before the first trial
KINDS = {"text": "text", "long_text": "text", "number": "number", "likert": "choice"}  # of questions: theirs -> ours


def session_settings(data: Mapping[str, Any], pages: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Title, instructions, consent, language and questionnaire; and the names of texts and questions left out.

    Args:
        data: the whole configuration.
        pages: settings of all its pages, in order.
    """
    session: dict[str, Any] = {}
    skipped: list[str] = []
    instructions: list[str] = []
    trials_begin = False
    for number, page in enumerate(pages, start=1):
        kind, text = page.get("type"), plain_text(text_of(page.get("content")))
        nested = not any(page is one for one in data["pages"])  # within a list, whose order may be random
        trials_begin |= nested or kind not in (*BEFORE, "finish")
        if kind == "generic" and text and not trials_begin:
            instructions.append(text)
        elif kind == "generic" and text:
            skipped.append(f"{page_name(page, number)} (a text after the first trial)")
        elif kind == "consent" and text and "consent" not in session:
            session["consent"] = text
        elif kind == "finish" and isinstance(page.get("questionnaire"), list):
            skipped += _read_questions(page["questionnaire"], session)
    if tidy(text_of(data.get("testname"))):
        session["title"] = tidy(text_of(data.get("testname")))
    if instructions:
        session["instructions"] = "\n\n".join(instructions)
    if data.get("language") in LANGUAGES:
        session["language"] = data["language"]
    return session, skipped


def session_toml(session: Mapping[str, Any]) -> str:
    """Write settings as the text of session.toml."""
    questionnaires = session.get("questionnaire", [])
    lines = [f"{key} = {_toml(value)}" for key, value in session.items() if key != "questionnaire"]
    for page in questionnaires:
        lines += ["", "[[questionnaire]]", f"place = {_toml(page['place'])}"]
        for question in page["questions"]:
            lines += ["[[questionnaire.questions]]", *(f"{key} = {_toml(value)}" for key, value in question.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # Strings, numbers, truth values and lists of JSON are values of TOML as well, once DEL is escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _read_questions(questions: Sequence[Any], session: dict[str, Any]) -> list[str]:
    """Add the questions of the last page; returns the names of those that cannot be asked."""
    tables: list[dict[str, Any]] = []
    skipped: list[str] = []
    names: set[str] = set()
    for question in questions:
        settings = question if isinstance(question, dict) else {}
        name = tidy(text_of(settings.get("name"))) or "a question without a name"
        kind = KINDS.get(text_of(settings.get("type")), "")
        table: dict[str, Any] = {"name": name, "ask": plain_text(text_of(settings.get("label"))) or name, "kind": kind}
        if is_on(settings.get("optional")):
            table["optional"] = True
        if kind == "choice":
            answers = settings.get("response")
            table["choices"] = [
                plain_text(text_of(one.get("label"))) or tidy(text_of(one.get("value")))
                for one in (answers if isinstance(answers, list) else [])
                if isinstance(one, dict)
            ]
        elif kind == "number":
            table |= {ours: float(settings[theirs]) for ours, theirs in (("low", "min"), ("high", "max"))
                      if _is_number(settings.get(theirs))}  # fmt: skip
        try:
            question_of(table)
            if name in names:
                raise ValueError("a second question of this name")
        except ValueError as error:
            skipped.append(f"{name} (question: {error})")
            continue
        names.add(name)
        tables.append(table)
    if tables:
        session["questionnaire"] = [{"place": "after", "questions": tables}]
    return skipped


BREAKS = {
    **dict.fromkeys(("p", "div", "ul", "ol", *(f"h{level}" for level in range(1, 7))), "\n\n"),
    "br": "\n", "tr": "\n", "li": "\n- ",
}  # fmt: skip


class _Text(HTMLParser):
    """Collects the text of HTML: paragraphs separated by an empty line, list items on lines of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")
        self.parts.append(BREAKS.get(tag, ""))

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")
        self.parts.append("\n\n" if BREAKS.get(tag) == "\n\n" else "")

    def handle_data(self, data: str) -> None:
        if self.hidden <= 0:
            self.parts.append(data)


def plain_text(html: str) -> str:
    """The text of HTML, in paragraphs separated by an empty line."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    lines = [tidy(line) for line in "".join(parser.parts).split("\n")]
    return "\n".join(_paragraphs(lines)).strip()


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """Lines without repeated empty ones."""
    for before, line in zip(["", *lines], lines, strict=False):
        if line or before:
            yield line


def page_name(settings: Mapping[str, Any], number: int) -> str:
    """How messages call a page: by its id, its title, or its number."""
    return tidy(text_of(settings.get("id")) or text_of(settings.get("name"))) or f"page {number}"


def text_of(value: object) -> str:
    """The value if it is text, else nothing."""
    return value if isinstance(value, str) else ""


def is_on(value: object) -> bool:
    """Whether an option of a page is set."""
    return str(value).lower() in ("true", "yes", "on")


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.strip().lstrip("+-").replace(".", "", 1).isdecimal()
