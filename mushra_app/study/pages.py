"""What a session consists of: the pages of a study, in order, and the steps of one listener that they become.

A study lists pages; `trials` stands for all trials of a listener. A new kind of page is a dataclass here, in KINDS, and
its template and reader in mushra_app/web/steps.py.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import SystemRandom
from typing import Any

from earmark.mushra_app.study.headphone_check import Method
from earmark.mushra_app.study.questions import Question, question_of


@dataclass(frozen=True)
class Volume:
    """The listener sets the volume, once, by the reference of the first trial."""


@dataclass(frozen=True)
class Headphones:
    """A check that the listener wears headphones; see mushra_app/headphone_check.py.

    Args:
        attempts: how often a listener may try.
        turn_away: whether who fails may not go on; else it is noted, and the report flags it.
    """

    method: Method
    attempts: int = 2
    turn_away: bool = True


@dataclass(frozen=True)
class Questionnaire:
    """Questions on a page of its own.

    Args:
        after_trial: puts the page behind that many trials, wherever it is listed; a shorter session has it at the end
            of its trials. 0 leaves it where it is listed.
    """

    questions: tuple[Question, ...]
    after_trial: int = 0


@dataclass(frozen=True)
class Training:
    """A trial whose ratings do not count, of the item with this id (BS.1534-3, 5.2: familiarisation)."""

    item: str


@dataclass(frozen=True)
class Trials:
    """All trials of the listener, with a break after every `break_after` of them; 0 for none.

    Args:
        attention: checks among the trials: "instructed", "repeated" or both; see mushra_app/attention.py.
    """

    break_after: int = 0
    attention: tuple[str, ...] = ()


Page = Volume | Headphones | Questionnaire | Training | Trials
KINDS: Mapping[str, type[Page]] = {
    "volume": Volume, "headphones": Headphones, "questionnaire": Questionnaire, "training": Training, "trials": Trials,
}  # fmt: skip
ATTENTION = ("instructed", "repeated")  # checks that a study may switch on; see mushra_app/attention.py
DEFAULT: tuple[Page, ...] = (Volume(), Trials())


@dataclass(frozen=True)
class Planned:
    """A step of one listener: its kind, its page's settings, and of a trial its item.

    The kinds: those of pages, "trial", "repeat" (a trial again, by which attention is checked), "attention", "break".
    """

    kind: str
    settings: Mapping[str, Any]
    item: str | None = None


def plan(pages: Sequence[Page], items: Sequence[str]) -> Iterator[Planned]:
    """The steps of a listener who rates `items` in this order; what is hidden in them is new each time."""
    for page in pages:
        match page:
            case Training(item):
                yield Planned("training", {}, item)
            case Trials():
                between = [other for other in pages if isinstance(other, Questionnaire) and other.after_trial]
                yield from _plan_trials(page, between, items)
            case Headphones():
                yield Planned("headphones", {**asdict(page), "secret": secrets.token_urlsafe(16)})
            case Questionnaire(_, after_trial) if after_trial:
                pass
            case _:
                yield Planned(kind_of(page), asdict(page))


def _plan_trials(page: Trials, between: Sequence[Questionnaire], items: Sequence[str]) -> Iterator[Planned]:
    random = SystemRandom()
    steps = [Planned("trial", {}, item) for item in items]
    if len(items) < trial_count([page], len(items)):
        first = random.randrange(len(items) - 1)
        steps.insert(random.randint(first + 2, len(items)), Planned("repeat", {}, items[first]))
    instructed = random.randint(1, max(1, len(steps) - 1)) if "instructed" in page.attention else 0
    for number, step in enumerate(steps, start=1):
        yield step
        last = number == len(steps)
        for other in between:
            if number == other.after_trial or (last and other.after_trial > number):
                yield Planned("questionnaire", asdict(other))
        if number == instructed:
            yield Planned("attention", {"band": random.choice((0, 1, 3, 4))})  # the slider begins in the middle one
        if page.break_after and number % page.break_after == 0 and not last:
            yield Planned("break", {})


def trial_count(pages: Sequence[Page], items: int) -> int:
    """Trials that a listener who rates so many items sees; a repeated one is not to be told from the others."""
    repeated = any(isinstance(page, Trials) and "repeated" in page.attention for page in pages)
    return items + (repeated and items > 1)


def kind_of(page: Page) -> str:
    """The name of a page's kind in study.json."""
    return next(name for name, kind in KINDS.items() if isinstance(page, kind))


def to_json(page: Page) -> dict[str, Any]:
    """A page as study.json has it."""
    return {"kind": kind_of(page), **asdict(page)}


def from_json(data: Mapping[str, Any]) -> Page:
    """A page of study.json.

    Raises:
        KeyError, TypeError, ValueError: no such kind, or settings that it does not have.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    kind: Callable[..., Page] = KINDS[settings.pop("kind")]
    if kind is Questionnaire:
        settings["questions"] = questions_of(settings)
    return kind(**settings)


def questions_of(settings: Mapping[str, Any]) -> tuple[Question, ...]:
    """The questions of a page, from its settings as JSON has them."""
    return tuple(question_of(one) for one in settings["questions"])
