"""The submissions that passed: their sessions are complete, not excluded, and kept by the screening of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from earmark.mushra_app.database import collected
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener
from earmark.mushra_app.platforms.api import Submission
from earmark.mushra_app.ratings.screening import screen

SESSIONS = {"not begun": "no trial was rated", "left": "stopped early", "turned away": "turned away by a page"}


@dataclass(frozen=True)
class Reviewed:
    """A submission and its session in the study.

    Args:
        listener: label of the session; "" if there is none.
        is_finished: whether all trials of the session are stored.
        problem: why it did not pass; "" if it did.
    """

    submission: Submission
    listener: str
    is_finished: bool
    problem: str

    @property
    def passed(self) -> bool:
        return self.problem == ""

    @property
    def title(self) -> str:
        """Its name in messages."""
        return f"{self.submission.id} ({self.listener or 'no session'})"


def review(store: Store, source: str, submissions: Sequence[Submission], rule: str) -> list[Reviewed]:
    """Judge submissions by the sessions in the database.

    Args:
        source: of the listeners who came from the platform.
        rule: name of the screening rule, as in `earmark study report`.

    Raises:
        UserError: the rule does not exist.
    """
    with store.reading() as session:
        listeners = {
            (one.visit, one.person): one
            for one in session.scalars(
                select(Listener).where(Listener.source == source)
                .options(selectinload(Listener.steps), selectinload(Listener.trials))
            )
        }  # fmt: skip
    dropped = _dropped(store, rule)
    return [_reviewed(one, listeners.get((one.id, one.participant)), dropped) for one in submissions]


def _dropped(store: Store, rule: str) -> dict[str, str]:
    """Why the report drops a listener, by label."""
    table = store.ratings()
    if table.empty:
        return {}
    with store.reading() as session:
        ratings = collected.as_ratings(session, store.study, table)
    dropped = screen(ratings, rule).dropped
    return dict(zip(dropped["listener"], dropped["reason"], strict=True))


def _reviewed(submission: Submission, listener: Listener | None, dropped: dict[str, str]) -> Reviewed:
    if listener is None:
        return Reviewed(submission, "", False, "there is no session of this person and submission")
    outcome = listener.outcome
    finished = outcome == "finished"
    if submission.receipt is not None and submission.receipt != listener.receipt:
        return Reviewed(submission, listener.label, False, "the receipt that was handed in is not that of the session")
    if not finished:
        begun = any(trial.submitted is not None for trial in listener.rating_trials)
        problem = SESSIONS[outcome] if outcome != "not begun" or not begun else "not all trials were rated"
        return Reviewed(submission, listener.label, False, problem)
    by_hand = listener.excluded if listener.excluded_by != "screening" else ""
    return Reviewed(submission, listener.label, True, by_hand or dropped.get(listener.label, ""))
