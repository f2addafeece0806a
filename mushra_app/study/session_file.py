"""STUDY/session.toml: the author's settings for the sessions of a study. All keys are optional.

language = "de"                  # en, de, fr, es, zh, ja, ko, pt, it, pl or ar; default: that of the listener's browser
title = "..."                    # of the first page
instructions = "..."             # paragraphs, separated by empty lines
consent = "..."
headphone_check = "huggins"      # or "antiphase"
headphone_attempts = 2
headphone_failed = "turn away"   # or "flag"
training = ["music-003"]         # items of practice trials
break_after = 6                  # trials; 0 for no breaks
attention = ["instructed", "repeated"]
comments = true                  # listeners can comment on each stimulus
phones = false                   # whether phones are let in; default: true
sample_rates = [44100, 48000]    # of the sound output, in Hz; default: any
least_heard = 1.0                # seconds; the report flags listeners who heard a stimulus for less

[platform]                       # see platform.py
name = "connect"                 # or prolific, mturk, sona, toloka, or a name of your own
completed = "https://connect.cloudresearch.com/participant/project/0123456789/complete"

[[questionnaire]]
place = "before"                 # or "after", or a number of trials
[[questionnaire.questions]]
name = "age"                     # column in tables
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
from earmark.mushra_app.study.entry import read_entry
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
from earmark.mushra_app.study.platform import read_platform
from earmark.mushra_app.study.translations import LANGUAGES

MOST_BYTES = 256 * 1024
MOST_DOTS = 1000  # in a line
TEXTS = ("title", "instructions", "consent")
KEYS = ("language", *TEXTS, "headphone_check", "headphone_attempts", "headphone_failed", "training", "break_after",
        "attention", "comments", "phones", "sample_rates", "least_heard", "platform", "questionnaire")  # fmt: skip


@dataclass(frozen=True)
class Texts:
    """The author's texts. "" means the default text, and for `language` that of the browser."""

    language: str = ""
    title: str = ""
    instructions: str = ""
    consent: str = ""


def read_session(folder: Path, pages: Sequence[Page], items: Collection[str]) -> dict[str, Any]:
    """Read STUDY/session.toml.

    Args:
        pages: of study.json.
        items: ids of the study's items.

    Returns:
        The fields of a Study that the file sets, by name: texts, pages, comments, entry, platform. Empty
        if there is no file.

    Raises:
        UserError: if the file is not TOML, or a setting is wrong.
    """
    path = folder / "session.toml"
    try:
        settings = _parsed(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as TOML ({error})") from error
    try:
        _check(settings, items)
        texts = Texts(settings.get("language", ""), *(settings.get(name, "").strip() for name in TEXTS))
        comments = {"comments": settings["comments"]} if "comments" in settings else {}
        return {
            "texts": texts, "pages": tuple(_session_pages(pages, settings)), "entry": read_entry(settings),
            "platform": read_platform(settings), **comments,
        }  # fmt: skip
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def _parsed(path: Path) -> dict[str, Any]:
    """Parse the file, unless it is of a size or shape that takes long: a dotted key takes quadratic time.

    Raises:
        ValueError: if it is not TOML, or refused.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError(f"over {MOST_BYTES // 1024} KB")
    if any(line.count(b".") > MOST_DOTS for line in data.splitlines()):
        raise ValueError(f"a line with over {MOST_DOTS} dots")
    return tomllib.loads(data.decode("utf-8-sig"))  # some editors write a byte order mark


def _session_pages(pages: Sequence[Page], settings: Mapping[str, Any]) -> list[Page]:
    """Add the author's pages to those of study.json.

    Questionnaires come before or after them, the headphone check after the volume page, training before the trials.
    """
    questionnaires = [(one["place"], _questionnaire(one)) for one in settings.get("questionnaire", [])]
    names = [question.name for _, page in questionnaires for question in page.questions]
    if len(set(names)) < len(names):
        raise ValueError(
            f'questionnaire: two questions have the name "{max(names, key=names.count)}"; give each its own'
        )
    result: list[Page] = [page for position, page in questionnaires if position == "before"]
    check = _headphones(settings)
    if check and not any(isinstance(page, Volume) for page in pages):
        result.append(check)
    for page in pages:
        if isinstance(page, Training) and "training" in settings:
            continue
        if isinstance(page, Trials):
            result += [Training(item) for item in settings.get("training", [])]
            page = replace(
                page,
                break_after=settings.get("break_after", page.break_after),
                attention=tuple(settings.get("attention", page.attention)),
            )
        result.append(page)
        if isinstance(page, Volume) and check:
            result.append(check)
    return [*result, *(page for position, page in questionnaires if position != "before")]


def _headphones(settings: Mapping[str, Any]) -> Headphones | None:
    if "headphone_check" not in settings:
        return None
    turn_away = settings.get("headphone_failed") != "flag"
    return Headphones(settings["headphone_check"], settings.get("headphone_attempts", 2), turn_away)


def _questionnaire(table: Mapping[str, Any]) -> Questionnaire:
    position = table["place"]
    try:
        return Questionnaire(questions_of(table), position if isinstance(position, int) else 0)
    except ValueError as error:
        names = ", ".join(str(one.get("name", "no name")) for one in table["questions"])
        raise ValueError(f"questionnaire with {names}: {error}") from error


def _check(settings: Mapping[str, Any], items: Collection[str]) -> None:
    """Check all keys and values but the questions, which check themselves.

    Raises:
        ValueError: if one is wrong; says which, and what is allowed.
    """
    unknown = [key for key in settings if key not in KEYS]
    _require(not unknown, f"no such key: {', '.join(unknown)}; there are {', '.join(KEYS)}")
    for key in ("language", *TEXTS):
        _require(isinstance(settings.get(key, ""), str), f"{key} must be a text in quotation marks")
    _require_one_of(settings, "language", LANGUAGES)
    _require_one_of(settings, "headphone_check", get_args(Method))
    _require_one_of(settings, "headphone_failed", ("turn away", "flag"))
    _require(isinstance(settings.get("comments", False), bool), "comments must be true or false")
    for key, least in (("headphone_attempts", 1), ("break_after", 0)):
        _require(_is_whole(settings.get(key, least), least), f"{key} must be a whole number, {least} or more")
    if "headphone_check" not in settings:
        unused = [key for key in ("headphone_attempts", "headphone_failed") if key in settings]
        _require(not unused, f"{', '.join(unused)}: nothing is checked without headphone_check")
    _check_attention(_texts(settings, "attention"))
    _check_training(_texts(settings, "training"), items)
    _check_questionnaires(settings.get("questionnaire", []))


def _texts(settings: Mapping[str, Any], key: str) -> list[str]:
    """The texts in a list, each of which may occur once."""
    value = settings.get(key, [])
    is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
    _require(is_list, f"{key} must be a list of texts")
    twice = [one for one in value if value.count(one) > 1]
    _require(not twice, f"{key} has {twice[0] if twice else ''} twice")
    return list(value)


def _check_attention(names: Sequence[str]) -> None:
    unknown = [name for name in names if name not in ATTENTION]
    _require(not unknown, f"attention: no such check: {', '.join(unknown)}; there are {', '.join(ATTENTION)}")


def _check_training(names: Sequence[str], items: Collection[str]) -> None:
    unknown = [item for item in names if item not in items]
    some = ", ".join(sorted(items)[:3]) + (", ..." if len(items) > 3 else "")
    _require(not unknown, f"training: the study has no item {', '.join(unknown)}; it has {some}")


def _check_questionnaires(tables: object) -> None:
    _require(_is_tables(tables), "questionnaire is written [[questionnaire]], with two brackets")
    assert isinstance(tables, list)
    for table in tables:
        position = table.get("place")
        _require(position in ("before", "after") or _is_whole(position, 1),
                 'questionnaire: place must be "before", "after" or a number of trials')  # fmt: skip
        questions = table.get("questions")
        _require(_is_tables(questions) and bool(questions) and table.keys() == {"place", "questions"},
                 "questionnaire: has a place, and questions as [[questionnaire.questions]]")  # fmt: skip


def _require_one_of(settings: Mapping[str, Any], key: str, choices: Sequence[str]) -> None:
    value = settings.get(key, choices[0])
    _require(value in choices, f'{key} = "{value}": must be one of {", ".join(choices)}')


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _require(met: bool, rule: str) -> None:
    if not met:
        raise ValueError(rule)
