"""The pages of a study, in order, and the steps of one listener's session that they become.

`trials` stands for all trials of a listener. To add a type of page, add a dataclass here and to PAGE_TYPES, and its
template and reader in mushra_app/web/steps.py.
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
    """The listener sets the volume, once, to the reference of the first trial."""


@dataclass(frozen=True)
class Headphones:
    """A check that the listener wears headphones; see headphone_check.py.

    Args:
        attempts: number of attempts.
        turn_away: whether a listener who fails cannot continue. Otherwise the report flags the failure.
    """

    method: Method
    attempts: int = 2
    turn_away: bool = True


@dataclass(frozen=True)
class Questionnaire:
    """A page of questions.

    Args:
        after_trial: shows the page after this many trials, or after the last one of a shorter session. 0 shows it
            where it is listed.
    """

    questions: tuple[Question, ...]
    after_trial: int = 0


@dataclass(frozen=True)
class Training:
    """A trial whose ratings do not count (BS.1534-3, 5.2: familiarisation).

    Args:
        item: id of its item.
    """

    item: str


@dataclass(frozen=True)
class Trials:
    """All trials of the listener.

    Args:
        break_after: number of trials between breaks; 0 for no breaks.
        attention: checks among the trials: "instructed", "repeated" or both; see database/attention.py.
    """

    break_after: int = 0
    attention: tuple[str, ...] = ()


Page = Volume | Headphones | Questionnaire | Training | Trials
PAGE_TYPES: Mapping[str, type[Page]] = {
    "volume": Volume, "headphones": Headphones, "questionnaire": Questionnaire, "training": Training, "trials": Trials,
}  # fmt: skip
ATTENTION = ("instructed", "repeated")  # checks that a study can switch on; see database/attention.py
DEFAULT: tuple[Page, ...] = (Volume(), Trials())


@dataclass(frozen=True)
class PlannedStep:
    """One step of a listener's session.

    Args:
        type: a page type, or "trial", "repeat" (a trial again, to check attention), "attention" or "break".
        settings: of the page.
        item: id of a trial's item.
    """

    type: str
    settings: Mapping[str, Any]
    item: str | None = None


def plan(pages: Sequence[Page], items: Sequence[str]) -> Iterator[PlannedStep]:
    """Yield the steps of a listener who rates `items` in this order. Checks get new secrets and random positions."""
    for page in pages:
        match page:
            case Training(item):
                yield PlannedStep("training", {}, item)
            case Trials():
                between = [other for other in pages if isinstance(other, Questionnaire) and other.after_trial]
                yield from _plan_trials(page, between, items)
            case Headphones():
                yield PlannedStep("headphones", {**asdict(page), "secret": secrets.token_urlsafe(16)})
            case Questionnaire(_, after_trial) if after_trial:
                pass
            case _:
                yield PlannedStep(type_name(page), asdict(page))


def _plan_trials(page: Trials, between: Sequence[Questionnaire], items: Sequence[str]) -> Iterator[PlannedStep]:
    random = SystemRandom()
    steps = [PlannedStep("trial", {}, item) for item in items]
    if len(items) < trial_count([page], len(items)):
        first = random.randrange(len(items) - 1)
        steps.insert(random.randint(first + 2, len(items)), PlannedStep("repeat", {}, items[first]))
    instructed = random.randint(1, max(1, len(steps) - 1)) if "instructed" in page.attention else 0
    for number, step in enumerate(steps, start=1):
        yield step
        last = number == len(steps)
        for other in between:
            if number == other.after_trial or (last and other.after_trial > number):
                yield PlannedStep("questionnaire", asdict(other))
        if number == instructed:
            yield PlannedStep("attention", {"band": random.choice((0, 1, 3, 4))})  # the slider starts in band 2
        if page.break_after and number % page.break_after == 0 and not last:
            yield PlannedStep("break", {})


def trial_count(pages: Sequence[Page], items: int) -> int:
    """Number of trials that a listener who rates `items` items sees, including a repeated one."""
    repeated = any(isinstance(page, Trials) and "repeated" in page.attention for page in pages)
    return items + (repeated and items > 1)


def type_name(page: Page) -> str:
    """Name of a page's type in study.json."""
    return next(name for name, page_type in PAGE_TYPES.items() if isinstance(page, page_type))


def to_json(page: Page) -> dict[str, Any]:
    """Convert a page to its form in study.json."""
    return {"kind": type_name(page), **asdict(page)}


def from_json(data: Mapping[str, Any]) -> Page:
    """Read a page of study.json.

    Raises:
        KeyError, TypeError, ValueError: if there is no such page type, or it has no such setting.
    """
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
    }
    page_type: Callable[..., Page] = PAGE_TYPES[settings.pop("kind")]
    if page_type is Questionnaire:
        settings["questions"] = questions_of(settings)
    return page_type(**settings)


def questions_of(settings: Mapping[str, Any]) -> tuple[Question, ...]:
    """Read the questions in the settings of a page, as JSON or TOML has them."""
    return tuple(question_of(one) for one in settings["questions"])
