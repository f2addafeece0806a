"""Questions to listeners, and reading their answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args

from earmark.mushra_app.messages import marked

Kind = Literal["choice", "choices", "number", "text", "scale"]
Answer = str | float | list[str] | None

MAX_TEXT_LENGTH = 2000  # characters


class AnswerError(Exception):
    """The form holds no valid answer. The message is for the listener."""


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        name: column in tables; unique in a study.
        ask: the question, in the author's words.
        kind: "choice" (one of `choices`), "choices" (any number of them), "number", "text", or "scale" (whole numbers).
        choices: the answers to choose from.
        low, high: limits of a number, default: none; ends of a scale, default: 1 and 5.
        low_label, high_label: labels of the ends of a scale.
        optional: whether the answer can be left empty.
    """

    name: str
    ask: str
    kind: Kind
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_label: str = ""
    high_label: str = ""
    optional: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError if a value has the wrong type, or the values do not fit each other."""
        self._check_types()
        if self.kind not in get_args(Kind):
            raise ValueError(f'kind "{self.kind}": there are {", ".join(get_args(Kind))}')
        if (self.kind in ("choice", "choices")) != bool(self.choices):
            raise ValueError(f'kind "{self.kind}" {"has no" if self.choices else "needs"} choices')
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("two choices are the same")
        if not self.name or not self.ask:
            raise ValueError("name and ask must not be empty")
        if self.name != _cleaned(self.name):
            raise ValueError(f'name "{self.name}" begins or ends with a blank')
        if self.kind == "scale" and any(end is not None and end != int(end) for end in (self.low, self.high)):
            raise ValueError("the ends of a scale are whole numbers")
        if self.kind == "scale" and not 2 <= len(self.points) <= 11:
            raise ValueError("a scale has 2 to 11 points")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be below high")

    def _check_types(self) -> None:
        for part in ("name", "ask", "low_label", "high_label"):
            if not isinstance(getattr(self, part), str):
                raise ValueError(f"{part} must be a text in quotation marks")
        if not (isinstance(self.choices, tuple) and all(isinstance(choice, str) for choice in self.choices)):
            raise ValueError("choices must be a list of texts")
        for choice in self.choices:
            if not choice or choice != _cleaned(choice):
                raise ValueError(f'choice "{choice}" is empty, or begins or ends with a blank')
        for part in ("low", "high"):
            end = getattr(self, part)
            if end is not None and (type(end) not in (int, float) or not math.isfinite(end)):  # bool is an int
                raise ValueError(f"{part} must be a number")
        if not isinstance(self.optional, bool):
            raise ValueError("optional must be true or false")

    @property
    def points(self) -> range:
        """The points of a scale."""
        low, high = (default if end is None else int(end) for end, default in ((self.low, 1), (self.high, 5)))
        return range(low, high + 1)

    def read(self, given: list[str]) -> Answer:
        """Read the answer from the form fields of this question; None if it was left empty.

        Raises:
            AnswerError: if it is not one of the choices, not a number, out of range, too long, or missing.
        """
        given = [text for text in (_cleaned(one) for one in given) if text]
        if not given:
            if self.optional:
                return None
            raise AnswerError(marked("Please answer every question."))
        if self.kind == "choices":
            if not set(given) <= set(self.choices):
                raise AnswerError(marked("Please choose one of the answers."))
            return [choice for choice in self.choices if choice in given]
        text = given[0]
        if self.kind == "choice" and text not in self.choices:
            raise AnswerError(marked("Please choose one of the answers."))
        if self.kind == "text" and len(text) > MAX_TEXT_LENGTH:
            raise AnswerError(marked("That was too long. Please shorten your answer."))
        return text if self.kind in ("choice", "text") else self._number(text)

    def _number(self, text: str) -> float:
        try:
            value = float(text.replace(",", "."))
        except ValueError:
            value = math.nan
        if self.kind == "scale":
            right = value in self.points
        else:
            low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
            right = math.isfinite(value) and low <= value <= high
        if not right:
            raise AnswerError(marked("Please give a number within the limits."))
        return value


def question_of(table: object) -> Question:
    """Read a question from a table of session.toml or study.json.

    Raises:
        ValueError: if it is not a table, has an unknown key, lacks one, or has a wrong value.
    """
    if not isinstance(table, Mapping):
        raise ValueError("a question is a table, written [[questionnaire.questions]]")
    known = {part.name: part.default is MISSING for part in fields(Question)}
    unknown = [str(key) for key in table if key not in known]
    if unknown:
        raise ValueError(f"no such key: {', '.join(unknown)}; there are {', '.join(known)}")
    missing = [name for name, needed in known.items() if needed and name not in table]
    if missing:
        raise ValueError(f"a question lacks {', '.join(missing)}")
    choices = table.get("choices", ())
    return Question(**{**table, "choices": tuple(choices) if isinstance(choices, list) else choices})


def as_text(answer: Answer) -> str:
    """Text of an answer in tables. Several choices are joined by "; "; no answer is ""."""
    match answer:
        case None:
            return ""
        case list():
            return "; ".join(answer)
        case float() | int():
            return f"{answer:.15g}"  # keeps every digit that was typed, for example of an id
    return answer


def read_form(questions: tuple[Question, ...], form: Mapping[str, Any]) -> dict[str, Answer]:
    """Read the answers in a form, by the names of their questions.

    Args:
        form: a werkzeug MultiDict with the fields q0, q1, ... in the order of the questions.

    Raises:
        AnswerError: see Question.read.
    """
    fields = dict(form.lists())  # type: ignore[attr-defined]
    return {question.name: question.read(fields.get(f"q{number}", [])) for number, question in enumerate(questions)}


def _cleaned(text: str) -> str:
    """Strip blanks, drop what databases cannot store, and replace the line breaks of forms (CR LF) by LF."""
    return text.encode(errors="replace").decode().replace("\0", "").replace("\r\n", "\n").strip()
