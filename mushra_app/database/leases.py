"""Leases: every item needs `study.annotations` ratings; a lease reserves one of them for a listener at work.

All functions run in an exclusive transaction (see transactions.py), so that their counts stay valid to its end. Leases
are counted for GRACE_SECONDS after they end, since the clocks of two workers may differ.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.allocation import allocate
from earmark.mushra_app.database.tables import Listener, Step, Stimulus, Trial
from earmark.mushra_app.study import pages
from earmark.mushra_app.study.study import Item, Study

GRACE_SECONDS = 5

COUNTS = and_(Trial.purpose == "rating", Trial.submitted.is_not(None), Listener.excluded == "")


def valid_ratings(session: Session) -> dict[str, int]:
    """Item id -> ratings that count."""
    counts = select(Trial.item, func.count()).join(Listener).where(COUNTS).group_by(Trial.item)
    return dict(session.execute(counts).all())


def ratings_and_leases(session: Session, now: float, *, without: Listener | None = None) -> dict[str, int]:
    """Item id -> ratings that count, plus leases of everybody but the listener `without`."""
    leased = and_(
        Trial.purpose == "rating", Trial.submitted.is_(None),
        Listener.state == "active", Listener.lease_until > now - GRACE_SECONDS,
        *([] if without is None else [Listener.id != without.id]),
    )  # fmt: skip
    counts = select(Trial.item, func.count()).join(Listener).where(or_(COUNTS, leased)).group_by(Trial.item)
    return dict(session.execute(counts).all())


def add_listener(session: Session, study: Study, listener: Listener, items: Sequence[Item]) -> None:
    """Store a new listener with the steps of a session that rates `items`.

    Inserts in bulk, because other listeners wait for this transaction.
    """
    session.add(listener)
    session.flush()
    planned = list(pages.plan(study.pages, [item.id for item in items]))
    trial_ids = iter(_add_trials(session, study, listener, planned))
    session.execute(insert(Step), [
        {
            "key": secrets.token_urlsafe(16), "listener_id": listener.id, "position": position, "type": step.type,
            "settings": dict(step.settings), "trial_id": None if step.item is None else next(trial_ids),
        }
        for position, step in enumerate(planned, start=1)
    ])  # fmt: skip


def _add_trials(
    session: Session, study: Study, listener: Listener, planned: Sequence[pages.PlannedStep]
) -> Sequence[int]:
    """Store the trials among the planned steps; returns their ids in order."""
    count = Counter[str]()
    trials: list[dict[str, Any]] = []
    for step in planned:
        if step.item is not None:
            purpose = "rating" if step.type == "trial" else step.type
            count[purpose] += 1
            trials.append({
                "key": secrets.token_urlsafe(16), "listener_id": listener.id, "purpose": purpose, "item": step.item,
                "position": count[purpose],
            })  # fmt: skip
    ids = session.scalars(insert(Trial).returning(Trial.id, sort_by_parameter_order=True), trials).all()
    session.execute(insert(Stimulus), [
        row for trial_id, trial in zip(ids, trials, strict=True) for row in _stimuli(study, trial_id, trial["item"])
    ])  # fmt: skip
    return ids


def _stimuli(study: Study, trial_id: int, item: str) -> list[dict[str, object]]:
    """Rows of a trial's stimuli: the item's conditions in random order, behind new tokens."""
    conditions = [condition.name for condition in study.conditions_of(study.item(item))]
    random.SystemRandom().shuffle(conditions)
    return [
        {"token": secrets.token_urlsafe(16), "trial_id": trial_id, "position": position, "condition": condition}
        for position, condition in enumerate([study.hidden_reference.name, *conditions])
    ]


def renew(session: Session, study: Study, listener: Listener, now: float) -> None:
    """Let a listener whose leases ran out continue.

    An unfinished trial whose item has been given to others meanwhile gets another item, or is removed if no item needs
    ratings; a session without trials is over. The open trial always stays: its answers may wait in the browser. The
    listener's own leases do not count as taken: within the grace period they still exist, and another tab of the
    listener may have renewed them.
    """
    taken = ratings_and_leases(session, now, without=listener)
    open_trial = None if listener.open_step is None else listener.open_step.trial_id
    for trial in [trial for trial in listener.rating_trials if trial.submitted is None]:
        if trial.id != open_trial and taken.get(trial.item, 0) >= study.annotations:
            heard = {other.item for other in listener.rating_trials}
            instead = allocate(study, taken, random.SystemRandom(), count=1, heard=heard)
            if not instead:
                _delete_trial(session, trial.id)
                continue
            session.execute(delete(Stimulus).where(Stimulus.trial_id == trial.id))
            trial.item, trial.key = instead[0].id, secrets.token_urlsafe(16)
            session.execute(insert(Stimulus), _stimuli(study, trial.id, trial.item))
        taken[trial.item] = taken.get(trial.item, 0) + 1
    _delete_orphaned_repeats(session, listener)
    if session.scalar(select(Trial.id).where(Trial.listener_id == listener.id, Trial.purpose == "rating")) is None:
        session.execute(delete(Step).where(Step.listener_id == listener.id, Step.done.is_(None)))


def _delete_orphaned_repeats(session: Session, listener: Listener) -> None:
    """Delete repeated trials whose first presentation is gone, since nothing is left to compare them with."""
    items = select(Trial.item).where(Trial.listener_id == listener.id, Trial.purpose == "rating")
    orphaned = and_(
        Trial.listener_id == listener.id, Trial.purpose == "repeat", Trial.item.not_in(items.scalar_subquery())
    )
    for trial_id in session.scalars(select(Trial.id).where(orphaned)).all():
        _delete_trial(session, trial_id)


def _delete_trial(session: Session, trial_id: int) -> None:
    session.execute(delete(Stimulus).where(Stimulus.trial_id == trial_id))
    session.execute(delete(Step).where(Step.trial_id == trial_id))
    session.execute(delete(Trial).where(Trial.id == trial_id))
