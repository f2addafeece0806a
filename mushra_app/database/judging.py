"""Screening while a study runs: a listener whose session has ended is judged, and bad ratings free their places."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from earmark.mushra_app.database.collected import as_ratings, collected
from earmark.mushra_app.database.tables import Listener, Step, Trial
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.study.study import Study

UNFINISHED = exists().where(Step.listener_id == Listener.id, Step.done.is_(None))
AT_END = and_(Listener.state == "active", ~UNFINISHED)


@dataclass(frozen=True)
class Verdict:
    """What the rule says of a listener at that time: why the ratings do not count, "" if they do."""

    listener_id: int
    reason: str
    time: float


def judge(session: Session, study: Study, rule: str) -> list[Verdict]:
    """A verdict on everybody who has finished, left or gone since the last one. Takes a while, and changes nothing."""
    now = time.time()
    listeners = session.scalars(select(Listener).where(_due(now))).all()
    reasons = _reasons(session, study, rule, listeners)
    return [Verdict(listener.id, reasons.get(listener.label, ""), now) for listener in listeners]


def write(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Note the verdicts, and who has finished.

    Whom a page or the experimenter has excluded, or the experimenter let count, is left alone.
    """
    for verdict in verdicts:
        this = update(Listener).where(Listener.id == verdict.listener_id)
        session.execute(this.where(AT_END).values(state="finished"))
        ours = this.where(Listener.excluded_by.in_(["", "screening"]))
        session.execute(ours.values(excluded=verdict.reason, excluded_by="screening" if verdict.reason else ""))
        session.execute(this.values(judged=verdict.time))


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
    dropped = screen(as_ratings(session, study, frame), rule).dropped
    return dict(zip(dropped["listener"], dropped["reason"], strict=True))
