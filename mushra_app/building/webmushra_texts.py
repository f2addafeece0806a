"""Texts and questions of a webMUSHRA configuration, as settings of a study's session.toml."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from earmark.mushra_app.building.plain_text import lost_elements, plain_text
from earmark.mushra_app.building.webmushra_omissions import IMPORTED, omitted
from earmark.mushra_app.building.webmushra_questions import read_questions
from earmark.mushra_app.building.webmushra_values import page_name, text_of
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study.translations import LANGUAGES

BEFORE = ("generic", "consent", "volume")  # types of pages whose texts come before the first trial


@dataclass
class Session:
    """Settings for session.toml, and what they leave out.

    Args:
        settings: title, instructions, consent, language, questionnaire.
        skipped: names of texts and questions left out as a whole, each with the reason.
        omissions: page -> keys of its settings that are left out.
        notes: what was done with the texts, one sentence each.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    omissions: list[tuple[str, list[str]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_session(data: Mapping[str, Any], pages: Sequence[Mapping[str, Any]], trials: Mapping[int, str]) -> Session:
    """Title, instructions, consent, language and questionnaire.

    The text of the first trial ends the instructions, if it comes first for every listener or all trials share it.

    Args:
        data: the whole configuration.
        pages: settings of all its pages, in order.
        trials: number of each page that becomes an item, counted from 1 -> id of the item.
    """
    found = Session()
    _read_test(data, found)
    outer = {id(page) for page in data["pages"]}  # the others are within a list, whose order may be random
    shared = _shared_text(pages, trials, outer)
    instructions: list[str] = []
    questions: list[Any] = []
    trials_begin = False
    for number, page in enumerate(pages, start=1):
        kind, text = text_of(page.get("type")), _content(page)
        trials_begin |= id(page) not in outer or kind not in (*BEFORE, "finish")
        if kind not in IMPORTED or (kind == "mushra" and number not in trials):
            continue  # skipped as a whole
        if reason := _reason_to_skip(kind, text, trials_begin, found):
            found.skipped.append(f"{page_name(page, number)} ({reason})")
            continue
        imported = set(IMPORTED[kind])
        if text and (kind in ("generic", "consent") or (kind == "mushra" and text == shared)):
            imported.add("content")
        if kind == "generic" and text:
            instructions.append(text)
        elif kind == "consent" and text:
            found.settings["consent"] = text
        elif kind == "finish" and isinstance(page.get("questionnaire"), list):
            questions += page["questionnaire"]
            imported.add("questionnaire")
        lost = lost_elements(text_of(page.get("content"))) if "content" in imported else []
        found.omissions.append((trials.get(number, page_name(page, number)), [*omitted(page, imported), *lost]))
    if shared:
        instructions.append(shared)
        found.notes.append(f"The text above the sliders of {next(iter(trials.values()))} ends the instructions.")
    if instructions:
        found.settings["instructions"] = "\n\n".join(instructions)
    _read_questions(questions, found)
    return found


def _read_test(data: Mapping[str, Any], found: Session) -> None:
    """Title and language."""
    title, language = tidy(text_of(data.get("testname"))), text_of(data.get("language"))
    imported = set(IMPORTED["test"])
    if title:
        found.settings["title"] = title
    if language in LANGUAGES:
        found.settings["language"] = language
        imported.add("language")
    found.omissions.append(("the test", omitted(data, imported)))


def _read_questions(questions: Sequence[Any], found: Session) -> None:
    asked, skipped, omissions = read_questions(questions)
    if asked:
        found.settings["questionnaire"] = [{"place": "after", "questions": asked}]
    found.skipped += skipped
    found.omissions += omissions


def _reason_to_skip(kind: str, text: str, trials_begin: bool, found: Session) -> str:
    if kind == "generic" and text and trials_begin:
        return "a text after the first trial"
    if kind == "consent" and text and "consent" in found.settings:
        return "a second page of consent"
    return ""


def _shared_text(pages: Sequence[Mapping[str, Any]], trials: Mapping[int, str], outer: set[int]) -> str:
    """Text of the first trial, if it comes first for every listener or all trials that have a text have this one."""
    texts = {number: _content(pages[number - 1]) for number in trials}
    first = next(iter(trials))
    is_same = {text for text in texts.values() if text} == {texts[first]}
    return texts[first] if is_same or id(pages[first - 1]) in outer else ""


def _content(page: Mapping[str, Any]) -> str:
    return plain_text(text_of(page.get("content")))


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
