"""Storing what listeners submit: the ratings of a trial, and the answers of other pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import and_, insert, select, update
from sqlalchemy.orm import Session, selectinload

from earmark.mushra_app.database import clock
from earmark.mushra_app.database.leases import is_held
from earmark.mushra_app.database.refusals import AlreadyRatedError, RefusedError, SessionOverError, UnknownTrialError
from earmark.mushra_app.database.tables import Listener, Rating, Step, Trial
from earmark.mushra_app.messages import marked


@dataclass(frozen=True)
class Answer:
    """A listener's rating of one stimulus."""

    score: int
    comment: str = ""


def find_trial(session: Session, listener_key: str, trial_key: str) -> Trial:
    """A listener's trial, with its stimuli.

    Raises:
        UnknownTrialError: if there is none.
    """
    owned = (
        select(Trial).join(Trial.listener).where(Trial.key == trial_key, Listener.key == listener_key)
        .options(selectinload(Trial.stimuli))
    )  # fmt: skip
    trial = session.scalar(owned)
    if trial is None:
        raise UnknownTrialError(marked("This trial is not part of your session."))
    return trial


def by_condition(trial: Trial, answers: Mapping[str, Answer]) -> dict[str, Answer]:
    """Answers by condition.

    Args:
        answers: by the tokens of the stimuli.

    Raises:
        RefusedError: if answers are missing, or belong to other stimuli.
    """
    if set(answers) != {stimulus.token for stimulus in trial.conditions}:
        raise RefusedError(marked("Every sound of the trial needs exactly one rating."))
    return {stimulus.condition: answers[stimulus.token] for stimulus in trial.conditions}


def store_ratings(
    session: Session,
    trial: Trial,
    answers: Mapping[str, Answer],
    seconds: float,
    lease: float,
    listening: Mapping[str, Any] | None = None,
) -> RefusedError | None:
    """Store the ratings of a trial, unless they are already stored, and renew the listener's leases.

    Args:
        trial: as it was found; another request may have changed it since.
        answers: by condition.
        lease: seconds for which the leases are renewed.
        listening: how the trial was heard; see listening.py.

    Returns:
        None if exactly these ratings are now stored, otherwise the reason why not.
    """
    now = clock.now(session)
    listener = update(Listener).where(Listener.id == trial.listener_id)
    held = session.scalar(select(is_held(now)).where(Listener.id == trial.listener_id))
    # Not judged any more, rather than judged before `seen`: the clock may have been set back between the two.
    state = session.scalar(listener.values(seen=now, judged=None).returning(Listener.state))
    session.execute(listener.where(Listener.begun.is_(None)).values(begun=now))
    if state == "active":
        unrated = and_(Trial.id == trial.id, Trial.key == trial.key, Trial.submitted.is_(None))
        changed = session.execute(
            update(Trial).where(unrated).values(submitted=now, seconds=seconds, listening=listening)
        )
        if changed.rowcount:  # type: ignore[attr-defined]
            rows = [{"trial_id": trial.id, "condition": name, **asdict(answer)} for name, answer in answers.items()]
            session.execute(insert(Rating), rows)
            session.execute(update(Step).where(Step.trial_id == trial.id).values(done=now))
            session.execute(listener.values(progress=now))
            if held:
                session.execute(listener.values(lease_until=now + lease))
            return None
    same_trial = and_(Rating.trial_id == trial.id, Trial.key == trial.key)
    stored = session.scalars(select(Rating).join(Trial, Trial.id == Rating.trial_id).where(same_trial)).all()
    if not stored and state != "active":
        return SessionOverError(marked("Your session is over, so nothing more is stored."))
    if not stored:
        return UnknownTrialError(marked("This trial is not part of your session."))
    if answers != {rating.condition: Answer(rating.score, rating.comment) for rating in stored}:
        return AlreadyRatedError(marked("This trial was already stored with other ratings."))
    return None


def complete_step(
    session: Session, listener_key: str, step_key: str, answer: Any, turned_away: str, *, again: bool, before: Any
) -> None:
    """Store the answer of a page that is not a trial; its arguments are described in Store.complete."""
    owned = (
        select(Step).join(Step.listener)
        .where(Step.key == step_key, Step.trial_id.is_(None), Listener.key == listener_key)
    )  # fmt: skip
    step = session.scalar(owned.with_for_update(of=Listener))
    if step is None:
        raise UnknownTrialError("This page is not part of your session.")
    if step.done is not None or step.answer != before:
        return
    listener = session.get_one(Listener, step.listener_id, options=[selectinload(Listener.steps)])
    if listener.open_step is not step:
        raise RefusedError("There is something to do before this page.")
    step.answer = answer
    now = clock.now(session)
    step.done = None if again else now
    listener.progress, listener.judged = now, None
    if turned_away:
        listener.address = ""
        listener.state, listener.excluded, listener.excluded_by = "turned away", turned_away, "page"
