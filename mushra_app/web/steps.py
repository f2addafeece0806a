"""The pages of a session that are no trials, by kind: what each shows, and how its answer is read.

To add a kind: a dataclass in mushra_app/pages.py, a template, and an entry in STEP_PAGES. The form of the template is
posted to `listener.complete` with the hidden field `token`; its other fields are what `read` gets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What a page leaves behind.

    Args:
        answer: what is stored, anything that JSON can hold.
        turned_away: why the listener may not go on; "" for who may.
    """

    answer: Any = None
    turned_away: str = ""


def seen(form: Mapping[str, str], settings: Mapping[str, Any]) -> Outcome:
    """A page that asks for nothing."""
    return Outcome()


@dataclass(frozen=True)
class StepPage:
    """A kind of page: its template, and what makes an Outcome of the posted form and the page's settings."""

    template: str
    read: Callable[[Mapping[str, str], Mapping[str, Any]], Outcome]


STEP_PAGES: Mapping[str, StepPage] = {
    "volume": StepPage("volume.html", seen),
    "break": StepPage("break.html", seen),
}
