"""Screening while a study runs: a listener whose session has ended is judged, and bad ratings free their places."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from mushra_app.collected import collected
from mushra_app.ratings import Ratings
from mushra_app.screening import screen
from mushra_app.study import Study
from mushra_app.tables import Listener, Step, Trial

UNFINISHED = exists().where(Step.listener_id == Listener.id, Step.done.is_(None))
AT_END = and_(Listener.state == "active", ~UNFINISHED)


def anybody_due(session: Session) -> bool:
    """Whether somebody has finished, left or gone since the last judgement."""
    return session.scalar(select(Listener.id).where(_due(time.time())).limit(1)) is not None


def judge(session: Session, study: Study, rule: str) -> None:
    """Note who has finished, and whose ratings the rule lets count.

    Whom a page or the experimenter has excluded, or the experimenter let count, is left alone.
    """
    now = time.time()
    listeners = session.scalars(select(Listener).where(_due(now)).with_for_update()).all()
    ended = [listener.id for listener in listeners if listener.state == "active"]
    finished = update(Listener).where(Listener.id.in_(ended), AT_END).values(state="finished")
    session.execute(finished.execution_options(synchronize_session=False))
    reasons = _reasons(session, study, rule, listeners)
    for listener in listeners:
        if listener.excluded_by in ("", "screening"):
            listener.excluded = reasons.get(listener.label, "")
            listener.excluded_by = "screening" if listener.excluded else ""
        listener.judged = now


def _due(now: float) -> ColumnElement[bool]:
    gone = and_(Listener.state == "active", Listener.lease_until < now)
    unseen = or_(Listener.judged.is_(None), Listener.judged <= Listener.seen)
    return or_(AT_END, and_(unseen, or_(Listener.state.in_(["finished", "left"]), gone)))


def _reasons(session: Session, study: Study, rule: str, listeners: Sequence[Listener]) -> dict[str, str]:
    """Label -> why the rule drops a listener, for those among `listeners` whom it drops.

    The rule sees every rating of the items that these listeners rated: some of its clauses look at others, too.
    """
    if rule == "none" or not listeners:
        return {}
    items = select(Trial.item).where(Trial.listener_id.in_([listener.id for listener in listeners])).distinct()
    frame = collected(session, study, Trial.item.in_(session.scalars(items).all()))
    if frame.empty:
        return {}
    roles = {condition.name: condition.role for condition in study.conditions}
    dropped = screen(Ratings(frame.astype({"score": float}), roles, study.name), rule).dropped
    return dict(zip(dropped["listener"], dropped["reason"], strict=True))
