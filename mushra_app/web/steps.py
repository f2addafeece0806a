"""The pages of a session that are not trials: what each type shows, and how its answer is read.

To add a type of page, add a dataclass in mushra_app/study/pages.py, a template, and an entry in STEP_PAGES. The form
in the template is posted to `listener.complete` with the hidden field `token`; a reader gets its other fields.
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
from earmark.mushra_app.study.questions import MAX_TEXT_LENGTH, AnswerError, read_form

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """Result of a submitted page.

    Args:
        answer: the JSON value to store.
        turned_away: why the listener cannot continue; "" for listeners who can.
        again: whether the page is shown once more.
    """

    answer: Any = None
    turned_away: str = ""
    again: bool = False


def read_nothing(form: Mapping[str, str], settings: Settings, stored: Any) -> Outcome:
    """Complete a page that asks for nothing."""
    return Outcome()


def read_questionnaire(form: Mapping[str, str], settings: Settings, stored: Any) -> Outcome:
    """Read answers, by the names of their questions."""
    return Outcome(read_form(questions_of(settings), form))


def read_attention(form: Mapping[str, str], settings: Settings, stored: Any) -> Outcome:
    """Check whether the slider is in the band that the page named."""
    text = form.get("score", "")
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > 100:
        raise AnswerError(marked("Please move the slider."))
    band, score = settings["band"], int(text)
    return Outcome({"band": band, "score": score, "passed": in_band(score, band)})


def read_headphones(form: Mapping[str, str], settings: Settings, stored: Any) -> Outcome:
    """Count the correct trials of this attempt. Failing the last one turns the listener away if the study says so."""
    attempts = [] if stored is None else stored["right"]
    if form.get("attempt") != str(len(attempts)):
        return Outcome(stored, again=True)  # the form was submitted twice
    given = [form.get(f"answer{number}") for number in range(TRIALS)]
    if not all(one in ("1", "2", "3") for one in given):
        raise AnswerError(marked("Please answer every question."))
    mark = PASS_MARKS[settings["method"]]
    expected = rounds(settings["secret"], len(attempts))
    right = sum(str(one.answer) == answer for one, answer in zip(expected, given, strict=True))
    answer = {
        "method": settings["method"], "right": [*attempts, right], "trials": TRIALS, "pass_mark": mark,
        "passed": right >= mark,
    }  # fmt: skip
    if right >= mark:
        return Outcome(answer)
    if len(attempts) + 1 < settings["attempts"]:
        return Outcome(answer, again=True)
    return Outcome(answer, marked("the headphone check was not passed") if settings["turn_away"] else "")


def no_variables(settings: Settings) -> Mapping[str, Any]:
    """Variables of a template that needs only the common ones."""
    return {}


def questionnaire_variables(settings: Settings) -> Mapping[str, Any]:
    """Variables of questionnaire.html."""
    return {"questions": questions_of(settings), "max_text_length": MAX_TEXT_LENGTH}


def headphones_variables(settings: Settings) -> Mapping[str, Any]:
    """Variables of headphones.html: number of rows, and the timing of the intervals in each."""
    return {"rows": TRIALS, "interval": INTERVAL, "gap": GAP}


@dataclass(frozen=True)
class StepPage:
    """A type of page.

    Args:
        template: file name.
        read: makes an Outcome of the posted form, the page's settings, and the answer stored so far (None if there is
            none).
        variables: further variables of the template, from the page's settings.
    """

    template: str
    read: Callable[[Mapping[str, str], Settings, Any], Outcome]
    variables: Callable[[Settings], Mapping[str, Any]] = no_variables


STEP_PAGES: Mapping[str, StepPage] = {
    "volume": StepPage("volume.html", read_nothing),
    "break": StepPage("break.html", read_nothing),
    "headphones": StepPage("headphones.html", read_headphones, headphones_variables),
    "questionnaire": StepPage("questionnaire.html", read_questionnaire, questionnaire_variables),
    "attention": StepPage("attention.html", read_attention),
}
