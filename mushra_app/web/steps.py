"""The pages of a session that are no trials, by kind: what each shows, and how its answer is read.

To add a kind: a dataclass in mushra_app/pages.py, a template, and an entry in STEP_PAGES. The form of the template is
posted to `listener.complete` with the hidden field `token`; its other fields are what `read` gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from earmark.mushra_app.database.attention import in_band
from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.headphone_check import GAP, INTERVAL, PASS_MARKS, TRIALS, rounds
from earmark.mushra_app.study.pages import questions_of
from earmark.mushra_app.study.questions import LONGEST_TEXT, AnswerError, read_form

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a page leaves behind.

    Args:
        answer: what is stored, anything that JSON can hold.
        turned_away: why the listener may not go on; "" for who may.
        again: the page comes once more.
    """

    answer: Any = None
    turned_away: str = ""
    again: bool = False


def seen(form: Mapping[str, str], settings: Settings, said: Any) -> Outcome:
    """A page that asks for nothing."""
    return Outcome()


def questionnaire(form: Mapping[str, str], settings: Settings, said: Any) -> Outcome:
    """Answers by the names of their questions."""
    return Outcome(read_form(questions_of(settings), form))


def attention(form: Mapping[str, str], settings: Settings, said: Any) -> Outcome:
    """Whether the slider is in the band that the page named."""
    text = form.get("score", "")
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > 100:
        raise AnswerError(marked("Please move the slider."))
    band, score = settings["band"], int(text)
    return Outcome({"band": band, "score": score, "passed": in_band(score, band)})


def headphones(form: Mapping[str, str], settings: Settings, said: Any) -> Outcome:
    """How many trials of this attempt were right; who fails the last attempt is turned away, if the study says so."""
    before = [] if said is None else said["right"]
    if form.get("attempt") != str(len(before)):
        return Outcome(said, again=True)  # sent twice
    given = [form.get(f"answer{number}") for number in range(TRIALS)]
    if not all(one in ("1", "2", "3") for one in given):
        raise AnswerError(marked("Please answer every question."))
    mark = PASS_MARKS[settings["method"]]
    asked = rounds(settings["secret"], len(before))
    right = sum(str(one.answer) == answer for one, answer in zip(asked, given, strict=True))
    answer = {
        "method": settings["method"], "right": [*before, right], "trials": TRIALS, "pass_mark": mark,
        "passed": right >= mark,
    }  # fmt: skip
    if right >= mark:
        return Outcome(answer)
    if len(before) + 1 < settings["attempts"]:
        return Outcome(answer, again=True)
    return Outcome(answer, marked("the headphone check was not passed") if settings["turn_away"] else "")


def nothing_more(settings: Settings) -> Mapping[str, Any]:
    """Of a page whose template needs only what all are given."""
    return {}


def questions(settings: Settings) -> Mapping[str, Any]:
    """What there is to answer."""
    return {"questions": questions_of(settings), "longest_text": LONGEST_TEXT}


def check_sounds(settings: Settings) -> Mapping[str, Any]:
    """How many trials a headphone check has, and how each sounds."""
    return {"rows": TRIALS, "interval": INTERVAL, "gap": GAP}


@dataclass(frozen=True)
class StepPage:
    """A kind of page: its template, and what makes an Outcome.

    Args:
        read: of the posted form, the page's settings, and what the page has stored before (None for nothing).
        shows: what the template needs of the page's settings, by name.
    """

    template: str
    read: Callable[[Mapping[str, str], Settings, Any], Outcome]
    shows: Callable[[Settings], Mapping[str, Any]] = nothing_more


STEP_PAGES: Mapping[str, StepPage] = {
    "volume": StepPage("volume.html", seen),
    "break": StepPage("break.html", seen),
    "headphones": StepPage("headphones.html", headphones, check_sounds),
    "questionnaire": StepPage("questionnaire.html", questionnaire, questions),
    "attention": StepPage("attention.html", attention),
}
