"""Questions to listeners, and reading their answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, get_args

from earmark.mushra_app.messages import marked

Kind = Literal["choice", "choices", "number", "text", "scale"]
Answer = str | float | list[str] | None

LONGEST_TEXT = 2000  # characters


class AnswerError(Exception):
    """What was sent is no answer; the message is for the listener."""


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        name: the column in tables; unique in a study.
        ask: the question, in the author's words.
        kind: one of `choices`, several of them, a number, a text, or a point on a `scale` of whole numbers.
        choices: what there is to choose from.
        low, high: of a number, where limited; of a scale, its ends, by default 1 and 5.
        low_label, high_label: what the ends of a scale mean.
        optional: whether it may be left empty.
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
        """Raises ValueError where a part is of the wrong type, or the parts do not fit each other."""
        self._check_types()
        if self.kind not in get_args(Kind):
            raise ValueError(f'kind "{self.kind}": there are {", ".join(get_args(Kind))}')
        if (self.kind in ("choice", "choices")) != bool(self.choices):
            raise ValueError(f'kind "{self.kind}" {"has no" if self.choices else "needs"} choices')
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("two choices are the same")
        if not self.name or not self.ask:
            raise ValueError("name and ask must say something")
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
            if end is not None and (type(end) not in (int, float) or not math.isfinite(end)):  # true is no number
                raise ValueError(f"{part} must be a number")
        if not isinstance(self.optional, bool):
            raise ValueError("optional must be true or false")

    @property
    def points(self) -> range:
        """The points of a scale."""
        low, high = (default if end is None else int(end) for end, default in ((self.low, 1), (self.high, 5)))
        return range(low, high + 1)

    def read(self, given: list[str]) -> Answer:
        """The answer in the fields of a form that bear this question's name; None where it was left empty.

        Raises:
            AnswerError: not one of the choices, not a number, out of range, too long, or missing.
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
        if self.kind == "text" and len(text) > LONGEST_TEXT:
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


def question_of(said: object) -> Question:
    """The question of one table, as session.toml and study.json have it.

    Raises:
        ValueError: it is no table, has a key too many or too few, or Question refuses what it says.
    """
    if not isinstance(said, Mapping):
        raise ValueError("a question is a table, written [[questionnaire.questions]]")
    known = {part.name: part.default is MISSING for part in fields(Question)}
    unknown = [str(key) for key in said if key not in known]
    if unknown:
        raise ValueError(f"no such key: {', '.join(unknown)}; there are {', '.join(known)}")
    missing = [name for name, needed in known.items() if needed and name not in said]
    if missing:
        raise ValueError(f"a question lacks {', '.join(missing)}")
    choices = said.get("choices", ())
    return Question(**{**said, "choices": tuple(choices) if isinstance(choices, list) else choices})


def as_text(answer: Answer) -> str:
    """An answer as tables have it: several choices with semicolons between them, "" for none."""
    match answer:
        case None:
            return ""
        case list():
            return "; ".join(answer)
        case float() | int():
            return f"{answer:.15g}"  # every digit that was typed: it may be somebody's number
    return answer


def read_form(questions: tuple[Question, ...], form: Mapping[str, Any]) -> dict[str, Answer]:
    """Question -> answer, from a form whose fields q0, q1, ... belong to the questions in order.

    Args:
        form: a werkzeug MultiDict.

    Raises:
        AnswerError: see Question.read.
    """
    fields = dict(form.lists())  # type: ignore[attr-defined]
    return {question.name: question.read(fields.get(f"q{number}", [])) for number, question in enumerate(questions)}


def _cleaned(text: str) -> str:
    """Without what databases cannot keep, and a line break as one character: forms send two for each."""
    return text.encode(errors="replace").decode().replace("\0", "").replace("\r\n", "\n").strip()
