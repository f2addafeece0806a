"""Places: every item has `study.annotations` of them, and each is free, leased by a listener at work, or rated.

All functions run within a transaction of the store that holds its gate, so that what is counted stays true to its end.
A lease is counted GRACE_SECONDS longer than its holder may renew it: two workers' clocks need not agree to the second.
"""

from __future__ import annotations

import json
import random
import secrets
from collections.abc import Sequence

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session

from mushra_app import pages
from mushra_app.allocation import allocate
from mushra_app.pages import Planned
from mushra_app.study import Item, Study
from mushra_app.tables import Listener, Step, Stimulus, Trial

GRACE_SECONDS = 5

COUNTS = and_(Trial.purpose == "rating", Trial.submitted.is_not(None), Listener.excluded == "")


def valid(session: Session) -> dict[str, int]:
    """Item id -> ratings that count."""
    counts = select(Trial.item, func.count()).join(Listener).where(COUNTS).group_by(Trial.item)
    return dict(session.execute(counts).all())


def held(session: Session, now: float) -> dict[str, int]:
    """Item id -> places that are rated or leased."""
    leased = and_(
        Trial.purpose == "rating", Trial.submitted.is_(None),
        Listener.state == "active", Listener.lease_until > now - GRACE_SECONDS,
    )  # fmt: skip
    counts = select(Trial.item, func.count()).join(Listener).where(or_(COUNTS, leased)).group_by(Trial.item)
    return dict(session.execute(counts).all())


def lay_out(session: Session, study: Study, listener: Listener, items: Sequence[Item]) -> None:
    """Give a new listener the steps of a session that rates `items`."""
    count = {"rating": 0, "training": 0}
    for position, planned in enumerate(pages.plan(study.pages, [item.id for item in items]), start=1):
        trial = None
        if planned.item is not None:
            purpose = "training" if planned.kind == "training" else "rating"
            count[purpose] += 1
            trial = new_trial(study, planned.item, purpose, count[purpose])
            listener.trials.append(trial)
        listener.steps.append(_step(planned, position, trial))
    session.add(listener)


def _step(planned: Planned, position: int, trial: Trial | None) -> Step:
    return Step(
        key=secrets.token_urlsafe(16), position=position, kind=planned.kind, trial=trial,
        settings=json.dumps(dict(planned.settings)),
    )  # fmt: skip


def new_trial(study: Study, item: str, purpose: str, position: int) -> Trial:
    """A trial of `item` with conditions in random order behind new tokens."""
    return Trial(key=secrets.token_urlsafe(16), item=item, purpose=purpose, position=position, stimuli=_stimuli(study))


def _stimuli(study: Study) -> list[Stimulus]:
    conditions = [condition.name for condition in study.conditions]
    random.SystemRandom().shuffle(conditions)
    return [
        Stimulus(token=secrets.token_urlsafe(16), place=place, condition=condition)
        for place, condition in enumerate([study.hidden_reference.name, *conditions])
    ]


def renew(session: Session, study: Study, listener: Listener, now: float) -> None:
    """Let a listener whose lease ran out go on: places that others took meanwhile are exchanged for free ones.

    Where no free place is left the trial goes, and the session is the shorter for it. The trial that the listener is at
    stays in any case: its answers may wait in the browser.
    """
    taken = held(session, now)
    here = listener.open_step
    for trial in [trial for trial in listener.rating_trials if trial.submitted is None]:
        if (here is None or here.trial_id != trial.id) and taken.get(trial.item, 0) >= study.annotations:
            heard = {other.item for other in listener.rating_trials}
            instead = allocate(study, taken, random.SystemRandom(), count=1, heard=heard)
            session.execute(delete(Stimulus).where(Stimulus.trial_id == trial.id))
            session.expire(trial, ["stimuli"])
            if not instead:
                session.execute(delete(Step).where(Step.trial_id == trial.id))
                session.execute(delete(Trial).where(Trial.id == trial.id))
                continue
            trial.item, trial.key = instead[0].id, secrets.token_urlsafe(16)
            trial.stimuli = _stimuli(study)
        taken[trial.item] = taken.get(trial.item, 0) + 1
