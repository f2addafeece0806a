"""What the app serves and to whom: the study, its store, and the listener who asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import abort, current_app, session, url_for

from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener, Step
from earmark.mushra_app.study.study import Item, Study

EXTENSION = "earmark"
TRIAL_KINDS = ("trial", "training", "repeat")


@dataclass(frozen=True)
class Served:
    """What the app serves: the study, its ratings, its folder of stimuli."""

    study: Study
    store: Store
    audio: Path

    def item(self, item_id: str) -> Item:
        """The item of that id."""
        return next(item for item in self.study.items if item.id == item_id)

    def path(self, item_id: str, condition: str) -> Path:
        """Where a stimulus lies."""
        return self.audio / self.item(item_id).stimuli[condition].audio


def served() -> Served:
    """What the running app serves."""
    found: Served = current_app.extensions[EXTENSION]
    return found


def this_listener() -> Listener | None:
    """Who asks; None before consent."""
    key = session.get("listener")
    return None if key is None else served().store.listener(key)


def required_listener() -> Listener:
    """Who asks; 403 with a page that leads to the start for anybody unknown."""
    return this_listener() or abort(403)


def open_step(listener: Listener) -> Step | None:
    """Where an active listener is; None for one whose session is over."""
    return listener.open_step if listener.state == "active" else None


def counted_steps(listener: Listener) -> list[Step]:
    """The trials that a listener sees numbered, in order; a repeated one is not to be told from the others."""
    return [step for step in listener.steps if step.type in ("trial", "repeat")]


def address_of(step: Step | None) -> str:
    """The page that shows this step."""
    if step is None:
        return url_for("listener.thanks")
    return url_for("listener.trial") if step.type in TRIAL_KINDS else url_for("listener.step", kind=step.type)


def whole_minutes(minutes: float) -> int:
    """Minutes as listeners are told them, at least one."""
    return max(1, round(minutes))
