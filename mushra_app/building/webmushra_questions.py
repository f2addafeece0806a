"""Questions on the last page of a webMUSHRA test, as those of a study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from earmark.mushra_app.building.plain_text import plain_text
from earmark.mushra_app.building.webmushra_omissions import omitted
from earmark.mushra_app.building.webmushra_values import is_number, is_on, text_of
from earmark.mushra_app.ratings.text_table import tidy
from earmark.mushra_app.study.questions import question_of

KINDS = {"text": "text", "long_text": "text", "number": "number", "likert": "choice"}  # theirs -> ours
LIMITS = {"min": "low", "max": "high"}  # of a number: theirs -> ours

Omissions = list[tuple[str, list[str]]]


def read_questions(questions: Sequence[Any]) -> tuple[list[dict[str, Any]], list[str], Omissions]:
    """Questions as tables of session.toml; names of those that cannot be asked, with the reason; omissions."""
    tables: dict[str, dict[str, Any]] = {}
    skipped: list[str] = []
    omissions: Omissions = []
    for question in questions:
        settings = question if isinstance(question, dict) else {}
        name = tidy(text_of(settings.get("name"))) or "a question without a name"
        try:
            if name in tables:
                raise ValueError("a second one of this name")
            table, imported = _table(name, settings)
            question_of(table)
        except ValueError as error:
            skipped.append(f"{name} (question: {error})")
            continue
        tables[name] = table
        omissions.append((f"question {name}", [*omitted(settings, imported), *_omitted_of_answers(settings, table)]))
    return list(tables.values()), skipped, omissions


def _table(name: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The question, and the keys of its settings that are imported.

    Raises:
        ValueError: if its type is unknown.
    """
    kind = text_of(settings.get("type"))
    if kind not in KINDS:
        raise ValueError(f"type {tidy(kind)}" if tidy(kind) else "no type")
    imported = {"type", "name", "label"}
    ask = plain_text(text_of(settings.get("label"))) or name
    table: dict[str, Any] = {"name": name, "ask": ask, "kind": KINDS[kind]}
    if is_on(settings.get("optional")):
        table["optional"] = True
    if kind == "likert":
        table["choices"] = [_choice(one) for one in _answers(settings)]
        imported.add("response")
    elif kind == "number":
        known = {theirs: ours for theirs, ours in LIMITS.items() if is_number(settings.get(theirs))}
        table |= {ours: float(settings[theirs]) for theirs, ours in known.items()}
        imported |= known.keys()
    return table, imported


def _answers(settings: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    answers = settings.get("response")
    return [one for one in answers if isinstance(one, dict)] if isinstance(answers, list) else []


def _choice(answer: Mapping[str, Any]) -> str:
    return plain_text(text_of(answer.get("label"))) or tidy(text_of(answer.get("value")))


def _omitted_of_answers(settings: Mapping[str, Any], table: Mapping[str, Any]) -> list[str]:
    """Keys of any answer that are left out. Tables have the label of an answer, not its value."""
    keys: dict[str, None] = {}
    for answer, choice in zip(_answers(settings), table.get("choices", ()), strict=False):
        is_same = tidy(text_of(answer.get("value"))).casefold() == choice.casefold()
        left_out = omitted(answer, {"label", *(("value",) if is_same else ())})
        keys |= dict.fromkeys(f"{key.partition(':')[0]} of an answer" for key in left_out)
    return list(keys)
