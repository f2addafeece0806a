"""Places: every item has `study.annotations` of them, and each is free, leased by a listener at work, or rated.

All functions run within a transaction of the store that holds its gate, so that what is counted stays true to its end.
A lease is counted GRACE_SECONDS longer than its holder may renew it: two workers' clocks need not agree to the second.
"""

from __future__ import annotations

import json
import random
import secrets
from collections import Counter
from collections.abc import Sequence

from sqlalchemy import and_, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database.allocation import allocate
from earmark.mushra_app.database.tables import Listener, Step, Stimulus, Trial
from earmark.mushra_app.study import pages
from earmark.mushra_app.study.study import Item, Study

GRACE_SECONDS = 5

COUNTS = and_(Trial.purpose == "rating", Trial.submitted.is_not(None), Listener.excluded == "")


def valid(session: Session) -> dict[str, int]:
    """Item id -> ratings that count."""
    counts = select(Trial.item, func.count()).join(Listener).where(COUNTS).group_by(Trial.item)
    return dict(session.execute(counts).all())


def held(session: Session, now: float, *, without: Listener | None = None) -> dict[str, int]:
    """Item id -> places that are rated, or leased by anybody but the listener `without`."""
    leased = and_(
        Trial.purpose == "rating", Trial.submitted.is_(None),
        Listener.state == "active", Listener.lease_until > now - GRACE_SECONDS,
        *([] if without is None else [Listener.id != without.id]),
    )  # fmt: skip
    counts = select(Trial.item, func.count()).join(Listener).where(or_(COUNTS, leased)).group_by(Trial.item)
    return dict(session.execute(counts).all())


def lay_out(session: Session, study: Study, listener: Listener, items: Sequence[Item]) -> None:
    """Give a new listener the steps of a session that rates `items`. In bulk: others wait for the gate meanwhile."""
    session.add(listener)
    session.flush()
    planned = list(pages.plan(study.pages, [item.id for item in items]))
    count = Counter[str]()
    trials = []
    for step in planned:
        if step.item is not None:
            purpose = "rating" if step.kind == "trial" else step.kind
            count[purpose] += 1
            trials.append({
                "key": secrets.token_urlsafe(16), "listener_id": listener.id, "purpose": purpose, "item": step.item,
                "position": count[purpose],
            })  # fmt: skip
    made = insert(Trial).returning(Trial.id, sort_by_parameter_order=True)
    ids = session.scalars(made, trials).all()
    session.execute(insert(Stimulus), [stimulus for trial_id in ids for stimulus in _stimuli(study, trial_id)])
    remaining = iter(ids)
    session.execute(insert(Step), [
        {
            "key": secrets.token_urlsafe(16), "listener_id": listener.id, "position": position, "kind": step.kind,
            "settings": json.dumps(dict(step.settings)), "trial_id": None if step.item is None else next(remaining),
        }
        for position, step in enumerate(planned, start=1)
    ])  # fmt: skip


def _stimuli(study: Study, trial_id: int) -> list[dict[str, object]]:
    """Rows of a trial's stimuli: conditions in random order, behind new tokens."""
    conditions = [condition.name for condition in study.conditions]
    random.SystemRandom().shuffle(conditions)
    return [
        {"token": secrets.token_urlsafe(16), "trial_id": trial_id, "place": place, "condition": condition}
        for place, condition in enumerate([study.hidden_reference.name, *conditions])
    ]


def renew(session: Session, study: Study, listener: Listener, now: float) -> None:
    """Let a listener whose lease ran out go on: places that others took meanwhile are exchanged for free ones.

    The listener's own leases take nothing from them: one that ran out a moment ago still stands against others, and
    another page of theirs may have renewed it. Where no free place is left the trial goes, and the session is the
    shorter for it; without any it is over. The trial that the listener is at stays in any case: its answers may wait
    in the browser.
    """
    taken = held(session, now, without=listener)
    here = listener.open_step
    for trial in [trial for trial in listener.rating_trials if trial.submitted is None]:
        if (here is None or here.trial_id != trial.id) and taken.get(trial.item, 0) >= study.annotations:
            heard = {other.item for other in listener.rating_trials}
            instead = allocate(study, taken, random.SystemRandom(), count=1, heard=heard)
            session.execute(delete(Stimulus).where(Stimulus.trial_id == trial.id))
            if not instead:
                session.execute(delete(Step).where(Step.trial_id == trial.id))
                session.execute(delete(Trial).where(Trial.id == trial.id))
                continue
            trial.item, trial.key = instead[0].id, secrets.token_urlsafe(16)
            session.execute(insert(Stimulus), _stimuli(study, trial.id))
        taken[trial.item] = taken.get(trial.item, 0) + 1
    _drop_repeats(session, listener)
    if session.scalar(select(Trial.id).where(Trial.listener_id == listener.id, Trial.purpose == "rating")) is None:
        session.execute(delete(Step).where(Step.listener_id == listener.id, Step.done.is_(None)))


def _drop_repeats(session: Session, listener: Listener) -> None:
    """A trial that was to be repeated may be gone; then nothing is left to compare its repetition with."""
    items = select(Trial.item).where(Trial.listener_id == listener.id, Trial.purpose == "rating")
    idle = and_(Trial.listener_id == listener.id, Trial.purpose == "repeat", Trial.item.not_in(items.scalar_subquery()))
    for trial_id in session.scalars(select(Trial.id).where(idle)).all():
        session.execute(delete(Stimulus).where(Stimulus.trial_id == trial_id))
        session.execute(delete(Step).where(Step.trial_id == trial_id))
        session.execute(delete(Trial).where(Trial.id == trial_id))
