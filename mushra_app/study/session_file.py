"""STUDY/session.toml: what the author of a study says of its sessions; every key may be left out.

language = "de"                  # en, de, fr, es, zh; else each listener's browser decides
title = "..."                    # of the first page; with instructions and consent the author's own words
instructions = "..."             # paragraphs with empty lines between them
consent = "..."
headphone_check = "huggins"      # or "antiphase"
headphone_attempts = 2
headphone_failed = "turn away"   # or "flag"
training = ["music-003"]         # items of practice trials
break_after = 6                  # trials; 0 for no breaks
attention = ["instructed", "repeated"]
comments = true                  # listeners may write one on each sound

[[questionnaire]]
place = "before"                 # or "after", or the number of trials after which it comes
[[questionnaire.questions]]
name = "age"                     # in tables
ask = "How old are you?"
kind = "number"                  # or choice, choices, text, scale
low = 18
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from earmark.codec.errors import UserError
from earmark.mushra_app.study.headphone_check import Method
from earmark.mushra_app.study.pages import (
    ATTENTION,
    Headphones,
    Page,
    Questionnaire,
    Training,
    Trials,
    Volume,
    questions_of,
)

LANGUAGES = ("en", "de", "fr", "es", "zh")
TEXTS = ("title", "instructions", "consent")
KEYS = ("language", *TEXTS, "headphone_check", "headphone_attempts", "headphone_failed", "training", "break_after",
        "attention", "comments", "questionnaire")  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """The author's own words, "" where there are none, and the language of the rest, "" for the browser's."""

    language: str = ""
    title: str = ""
    instructions: str = ""
    consent: str = ""


def read_session(folder: Path, pages: Sequence[Page], items: Collection[str]) -> dict[str, Any]:
    """The fields of a Study that STUDY/session.toml sets, by name: texts, pages, and comments.

    Args:
        pages: of study.json.
        items: ids that the study has.

    Raises:
        UserError: it is no TOML, or says what cannot be.
    """
    path = folder / "session.toml"
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors on Windows write the mark
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as TOML ({error})") from error
    try:
        _check(said)
        _check_training(said, items)
        texts = Texts(said.get("language", ""), *(said.get(name, "").strip() for name in TEXTS))
        comments = {"comments": said["comments"]} if "comments" in said else {}
        return {"texts": texts, "pages": tuple(_amended(pages, said)), **comments}
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _amended(pages: Sequence[Page], said: Mapping[str, Any]) -> list[Page]:
    """Before: questions; the headphone check after the volume; training just before the trials; after: questions."""
    questionnaires = [(one["place"], _questionnaire(one)) for one in said.get("questionnaire", [])]
    names = [question.name for _, page in questionnaires for question in page.questions]
    if len(set(names)) < len(names):
        raise ValueError(
            f'questionnaire: two questions have the name "{max(names, key=names.count)}"; give each its own'
        )
    made: list[Page] = [page for place, page in questionnaires if place == "before"]
    check = _headphones(said)
    if check and not any(isinstance(page, Volume) for page in pages):
        made.append(check)
    for page in pages:
        if isinstance(page, Training) and "training" in said:
            continue
        if isinstance(page, Trials):
            made += [Training(item) for item in said.get("training", [])]
            page = replace(
                page,
                break_after=said.get("break_after", page.break_after),
                attention=tuple(said.get("attention", page.attention)),
            )
        made.append(page)
        if isinstance(page, Volume) and check:
            made.append(check)
    return [*made, *(page for place, page in questionnaires if place != "before")]


def _headphones(said: Mapping[str, Any]) -> Headphones | None:
    if "headphone_check" not in said:
        return None
    return Headphones(
        said["headphone_check"], said.get("headphone_attempts", 2), said.get("headphone_failed") != "flag"
    )


def _questionnaire(said: Mapping[str, Any]) -> Questionnaire:
    place = said["place"]
    try:
        return Questionnaire(questions_of(said), place if isinstance(place, int) else 0)
    except ValueError as error:
        asked = ", ".join(str(one.get("name", "no name")) for one in said["questions"])
        raise ValueError(f"questionnaire with {asked}: {error}") from error


def _check(said: Mapping[str, Any]) -> None:
    """Every key known, every value of its kind."""
    unknown = [key for key in said if key not in KEYS]
    _demand(not unknown, f"no such key: {', '.join(unknown)}; there are {', '.join(KEYS)}")
    for key in ("language", *TEXTS):
        _demand(isinstance(said.get(key, ""), str), f"{key} must be a text in quotation marks")
    _one_of(said, "language", LANGUAGES)
    _one_of(said, "headphone_check", get_args(Method))
    _one_of(said, "headphone_failed", ("turn away", "flag"))
    _demand(isinstance(said.get("comments", False), bool), "comments must be true or false")
    for key, least in (("headphone_attempts", 1), ("break_after", 0)):
        _demand(_whole(said.get(key, least), least), f"{key} must be a whole number, {least} or more")
    idle = [key for key in ("headphone_attempts", "headphone_failed") if key in said and "headphone_check" not in said]
    _demand(not idle, f"{', '.join(idle)}: nothing is checked without headphone_check")
    for key in ("training", "attention"):
        value = said.get(key, [])
        _demand(
            isinstance(value, list) and all(isinstance(one, str) for one in value), f"{key} must be a list of texts"
        )
    wrong = [name for name in said.get("attention", []) if name not in ATTENTION]
    _demand(not wrong, f"attention: no such check: {', '.join(wrong)}; there are {', '.join(ATTENTION)}")
    for key in ("training", "attention"):
        value = said.get(key, [])
        twice = [one for one in value if value.count(one) > 1]
        _demand(not twice, f"{key} has {twice[0] if twice else ''} twice")
    pages = said.get("questionnaire", [])
    _demand(_tables(pages), "questionnaire is written [[questionnaire]], with two brackets")
    for page in pages:
        place = page.get("place")
        _demand(place in ("before", "after") or _whole(place, 1),
                'questionnaire: place must be "before", "after" or a number of trials')  # fmt: skip
        questions = page.get("questions")
        _demand(_tables(questions) and bool(questions) and page.keys() == {"place", "questions"},
                "questionnaire: has a place, and questions as [[questionnaire.questions]]")  # fmt: skip


def _check_training(said: Mapping[str, Any], items: Collection[str]) -> None:
    unknown = [item for item in said.get("training", []) if item not in items]
    some = ", ".join(sorted(items)[:3]) + (", ..." if len(items) > 3 else "")
    _demand(not unknown, f"training: the study has no item {', '.join(unknown)}; it has {some}")


def _one_of(said: Mapping[str, Any], key: str, choices: Sequence[str]) -> None:
    _demand(said.get(key, choices[0]) in choices, f'{key} = "{said.get(key)}": must be one of {", ".join(choices)}')


def _tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _demand(met: bool, rule: str) -> None:
    if not met:
        raise ValueError(rule)
