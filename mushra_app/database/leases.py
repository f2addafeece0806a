"""Leases: every item needs `study.annotations` ratings; a lease reserves one of them for a listener at work.

Leases begin when a listener opens the first trial. Before that the items are provisional, so that people who consent
and leave take no places. Leases are counted for GRACE_SECONDS after they end, so that a request on its way can still
renew them. All times are the database's (see clock.py). All functions run in an exclusive transaction (see
transactions.py), so that their counts stay valid to its end.
"""

from __future__ import annotations

import random
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, insert, literal_column, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.allocation import allocate
from earmark.mushra_app.database.tables import Listener, Step, Stimulus, Trial
from earmark.mushra_app.study import pages
from earmark.mushra_app.study.study import Item, Study

GRACE_SECONDS = 5

# A literal, as partial indexes need it; see tables.py.
IS_RATING = Trial.purpose == literal_column("'rating'")
COUNTS = and_(IS_RATING, Trial.submitted.is_not(None), Trial.retired.is_(None), Listener.excluded == "")


def is_held(now: float, grace: float = 0.0) -> ColumnElement[bool]:
    """Whether a listener's leases last, as a criterion on Listener.

    Leases given at `seen` end at `lease_until`. If the clock was set back since, `seen` lies in the future, and the
    time that has passed is unknown: they last until `lease_until`, unless the clock went back by more than they last.
    """
    return and_(Listener.lease_until > now - grace, 2 * Listener.seen - Listener.lease_until < now + grace)


def holds(listener: Listener, now: float) -> bool:
    """Whether the leases of this listener last; see is_held."""
    return listener.lease_until > now and 2 * listener.seen - listener.lease_until < now


def valid_ratings(session: Session) -> dict[str, int]:
    """Item id -> ratings that count."""
    counts = select(Trial.item, func.count()).join(Listener).where(COUNTS).group_by(Trial.item)
    return dict(session.execute(counts).all())


def leased_ratings(session: Session, now: float, *, without: Listener | None = None) -> dict[str, int]:
    """Item id -> leases of everybody but the listener `without`."""
    holders = select(Listener.id).where(
        Listener.state == "active", Listener.excluded == "", Listener.begun.is_not(None),
        is_held(now, GRACE_SECONDS),
        *([] if without is None else [Listener.id != without.id]),
    )  # fmt: skip
    # A subquery and no join, in which SQLite would go through all trials.
    leased = and_(IS_RATING, Trial.submitted.is_(None), Trial.listener_id.in_(holders))
    return dict(session.execute(select(Trial.item, func.count()).where(leased).group_by(Trial.item)).all())


def ratings_and_leases(session: Session, now: float, *, without: Listener | None = None) -> dict[str, int]:
    """Item id -> ratings that count, plus leases of everybody but the listener `without`."""
    return Counter(valid_ratings(session)) + Counter(leased_ratings(session, now, without=without))


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


def begin(session: Session, study: Study, listener: Listener, now: float) -> None:
    """Give a listener who opens the first trial the items that need ratings most, and let the leases begin.

    Provisional items that are among them stay. If fewer items need ratings than the session has trials, the last trials
    are removed; if none does, the session ends as "not begun".
    """
    trials = listener.rating_trials
    taken = ratings_and_leases(session, now, without=listener)
    chosen = {item.id: item for item in allocate(study, taken, random.SystemRandom(), count=len(trials))}
    if not chosen:
        listener.state, listener.address = "not begun", ""
        return
    listener.begun = now
    held = {trial.item for trial in trials}
    new = [item for item in chosen.values() if item.id not in held]
    superseded = [trial for trial in trials if trial.item not in chosen]
    _replace(session, study, listener, list(zip(superseded, new, strict=False)))
    _delete_trials(session, [trial.id for trial in superseded[len(new) :]])
    if any(trial.purpose == "repeat" for trial in listener.trials):
        session.flush()
        _delete_orphaned_repeats(session, listener)


def renew(session: Session, study: Study, listener: Listener, now: float) -> None:
    """Let a listener whose leases ran out continue. A session that has begun is never shortened.

    An unfinished trial whose item has been given to others meanwhile gets another item that needs ratings. If there is
    none, it stays: one rating too many is better than a session cut short. The open trial always stays: its answers may
    wait in the browser. The listener's own leases do not count as taken: within the grace period they still exist, and
    another tab of the listener may have renewed them.
    """
    taken = ratings_and_leases(session, now, without=listener)
    open_trial = None if listener.open_step is None else listener.open_step.trial_id
    for trial in [trial for trial in listener.rating_trials if trial.submitted is None]:
        if trial.id != open_trial and taken.get(trial.item, 0) >= study.annotations:
            heard = {other.item for other in listener.rating_trials}
            instead = allocate(study, taken, random.SystemRandom(), count=1, heard=heard)
            if instead:
                _replace(session, study, listener, [(trial, instead[0])])
        taken[trial.item] = taken.get(trial.item, 0) + 1


def _replace(session: Session, study: Study, listener: Listener, instead: Sequence[tuple[Trial, Item]]) -> None:
    """Give unfinished trials, and their repetitions if there are any, other items under new tokens."""
    given = [
        (one, item) for trial, item in instead for one in listener.trials
        if one is trial or (one.purpose == "repeat" and one.item == trial.item)
    ]  # fmt: skip
    if not given:
        return
    session.execute(delete(Stimulus).where(Stimulus.trial_id.in_([trial.id for trial, _ in given])))
    for trial, item in given:
        trial.item, trial.key, trial.served = item.id, secrets.token_urlsafe(16), None
    session.flush()
    session.execute(insert(Stimulus), [row for trial, item in given for row in _stimuli(study, trial.id, item.id)])


def _delete_orphaned_repeats(session: Session, listener: Listener) -> None:
    """Delete repeated trials whose first presentation is gone, and all if no other item is left to come in between."""
    rated = and_(Trial.listener_id == listener.id, Trial.purpose == "rating")
    items = session.scalars(select(Trial.item).where(rated)).all()
    orphaned = and_(
        Trial.listener_id == listener.id, Trial.purpose == "repeat",
        Trial.item.not_in(items if len(items) > 1 else []),
    )  # fmt: skip
    _delete_trials(session, session.scalars(select(Trial.id).where(orphaned)).all())


def _delete_trials(session: Session, ids: Sequence[int]) -> None:
    if not ids:
        return
    session.execute(delete(Stimulus).where(Stimulus.trial_id.in_(ids)))
    session.execute(delete(Step).where(Step.trial_id.in_(ids)))
    session.execute(delete(Trial).where(Trial.id.in_(ids)))
