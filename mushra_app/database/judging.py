"""Screening while a study runs: listeners are judged when their sessions end; excluded ratings are replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock
from earmark.mushra_app.database.collected import as_ratings, rating_table
from earmark.mushra_app.database.leases import is_held
from earmark.mushra_app.database.tables import Listener, Step, Trial
from earmark.mushra_app.database.timing import implausible
from earmark.mushra_app.ratings.screening import screen
from earmark.mushra_app.study.study import Study

UNFINISHED = exists().where(Step.listener_id == Listener.id, Step.done.is_(None))
RATED = exists().where(Trial.listener_id == Listener.id, Trial.purpose == "rating", Trial.submitted.is_not(None))
UNRATED = exists().where(Trial.listener_id == Listener.id, Trial.purpose == "rating", Trial.submitted.is_(None))
AT_END = and_(Listener.state == "active", ~UNFINISHED, RATED, ~UNRATED)  # a session without its trials is not finished


@dataclass(frozen=True)
class Verdict:
    """Whether a listener's ratings count.

    Args:
        reason: why not; "" if they count.
        by: "screening", or "timing" if the session is implausible.
        time: when the listener was judged.
    """

    listener_id: int
    reason: str
    by: str
    time: float


def judge(session: Session, study: Study, rule: str, *, refuse_implausible: bool = False) -> list[Verdict]:
    """Judge everybody who has finished, left or disappeared since the last call. Slow; changes nothing.

    Args:
        refuse_implausible: whether sessions that contradict what the server saw do not count; see timing.py.
    """
    now = clock.now(session)
    listeners = session.scalars(select(Listener).where(_is_due(now))).all()
    reasons = _reasons(session, study, rule, listeners)
    labels = [listener.label for listener in listeners]
    refused = implausible(session, study, labels) if refuse_implausible and labels else {}
    return [
        Verdict(one.id, refused.get(one.label) or reasons.get(one.label, ""),
                "timing" if one.label in refused else "screening", now)
        for one in listeners
    ]  # fmt: skip


def record(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Store the verdicts, and mark sessions without open steps as finished.

    Decisions of a page or of the experimenter stay.
    """
    for verdict in verdicts:
        this = update(Listener).where(Listener.id == verdict.listener_id)
        session.execute(this.where(AT_END).values(state="finished"))
        ours = this.where(Listener.excluded_by.in_(["", "screening", "timing"]))
        session.execute(ours.values(excluded=verdict.reason, excluded_by=verdict.by if verdict.reason else ""))
        session.execute(this.values(judged=verdict.time))
        session.execute(this.where(Listener.state != "active").values(address=""))


def _is_due(now: float) -> ColumnElement[bool]:
    gone = and_(Listener.state == "active", ~is_held(now))
    unjudged = or_(Listener.judged.is_(None), Listener.judged <= Listener.seen)
    return or_(AT_END, and_(unjudged, or_(Listener.state.in_(["finished", "left"]), gone)))


def _reasons(session: Session, study: Study, rule: str, listeners: Sequence[Listener]) -> dict[str, str]:
    """Label -> reason, for those among `listeners` whom the rule drops.

    The rule gets all ratings of the items that these listeners rated, since some clauses compare listeners.
    """
    if rule == "none" or not listeners:
        return {}
    items = select(Trial.item).where(Trial.listener_id.in_([listener.id for listener in listeners])).distinct()
    table = rating_table(session, study, Trial.item.in_(session.scalars(items).all()))
    if table.empty:
        return {}
    dropped = screen(as_ratings(session, study, table), rule).dropped
    return dict(zip(dropped["listener"], dropped["reason"], strict=True))
