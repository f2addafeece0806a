"""The objects behind a request: the study, its database, and the listener of the current request."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flask import abort, current_app, session, url_for

from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener, Step
from earmark.mushra_app.study.study import Item, Study
from earmark.mushra_app.web.signed_address import Keys

EXTENSION = "earmark"
TRIAL_TYPES = ("trial", "training", "repeat")


@dataclass(frozen=True)
class Served:
    """The study of an app and all that serves it.

    Args:
        audio: folder of the stimuli.
        keys: Prolific's, if the study admits signed addresses only.
    """

    study: Study
    store: Store
    audio: Path
    keys: Keys | None = None

    def item(self, item_id: str) -> Item:
        """The item with this id."""
        return self.study.item(item_id)

    def path(self, item_id: str, condition: str) -> Path:
        """Path of a stimulus.

        Raises:
            UserError: it leads out of STUDY/audio, by a link that was made since the study was opened.
        """
        return self.study.audio_path(self.audio.parent, self.item(item_id), condition)


def served() -> Served:
    """The study of the current app and all that serves it."""
    current: Served = current_app.extensions[EXTENSION]
    return current


def this_listener() -> Listener | None:
    """The listener of this request; None before consent."""
    key = session.get("listener")
    return None if key is None else served().store.listener(key)


def required_listener() -> Listener:
    """The listener of this request. Aborts with 403 if there is none; its page leads to the start."""
    return this_listener() or abort(403)


def open_step(listener: Listener) -> Step | None:
    """The next step of an active listener; None if the session is over."""
    return listener.open_step if listener.state == "active" else None


def is_running(listener: Listener | None) -> bool:
    """Whether there is a session that has not ended."""
    return listener is not None and open_step(listener) is not None


def numbered_steps(listener: Listener) -> list[Step]:
    """The trials that a listener sees numbered, in order. A repeated one looks like any other."""
    return [step for step in listener.steps if step.type in ("trial", "repeat")]


def address_of(step: Step | None) -> str:
    """Address of the page that shows a step; the final page for None."""
    if step is None:
        return url_for("listener.thanks")
    return url_for("listener.trial") if step.type in TRIAL_TYPES else url_for("listener.step", page_type=step.type)


def whole_minutes(minutes: float) -> int:
    """Minutes as listeners see them: rounded, and at least one."""
    return max(1, round(minutes))
