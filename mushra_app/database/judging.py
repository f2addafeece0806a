"""Screening while a study runs: listeners are judged when their sessions end; excluded ratings are replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, or_, select, update
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock
from earmark.mushra_app.database.leases import IS_RATING, is_held
from earmark.mushra_app.database.screened import evidence_and_reasons
from earmark.mushra_app.database.tables import Listener, Step, Trial
from earmark.mushra_app.database.timing import implausible
from earmark.mushra_app.study.study import Study

UNFINISHED = exists().where(Step.listener_id == Listener.id, Step.done.is_(None))
RATED = exists().where(Trial.listener_id == Listener.id, IS_RATING, Trial.submitted.is_not(None))
UNRATED = exists().where(Trial.listener_id == Listener.id, IS_RATING, Trial.submitted.is_(None))
AT_END = and_(Listener.state == "active", ~UNFINISHED, RATED, ~UNRATED)  # a session without its trials is not finished
MOST_AT_ONCE = 2000  # listeners judged in one step; databases limit the parameters of a query


@dataclass(frozen=True)
class Verdict:
    """Whether a listener's ratings count.

    Args:
        reason: why not; "" if they count.
        by: "screening", or "timing" if the session is implausible.
        flags: signs of a script; "" for none.
        progress: of the listener, when judged.
        time: when the listener was judged.
    """

    listener_id: int
    reason: str
    by: str
    flags: str
    progress: float
    time: float


def judge(session: Session, study: Study, rule: str, *, refuse_implausible: bool = False) -> list[Verdict]:
    """Judge those who have finished, left or disappeared since the last call, at most MOST_AT_ONCE; changes nothing.

    A listener whom an earlier version judged keeps the verdict and gets flags only.

    Args:
        refuse_implausible: whether sessions that contradict what the server saw do not count; see timing.py.
    """
    now = clock.now(session)
    due = session.execute(
        select(Listener.id, Listener.label, Listener.excluded, Listener.excluded_by, Listener.progress,
               Listener.judged.is_(None).label("changed"), RATED.label("rated"))
        .where(_is_due(now)).order_by(Listener.id).limit(MOST_AT_ONCE)
    ).all()  # fmt: skip
    rated = [one.id for one in due if one.rated]
    reasons = evidence_and_reasons(session, study, rule, rated, judging=True)[1] if rule != "none" else {}
    flags = implausible(session, study, rated)
    return [_verdict(one, reasons, flags, now, refuse_implausible=refuse_implausible) for one in due]


def _verdict(
    one: Any, reasons: Mapping[str, str], flags: Mapping[str, str], now: float, *, refuse_implausible: bool
) -> Verdict:  # fmt: skip
    flag = flags.get(one.label, "")
    if not one.changed:
        return Verdict(one.id, one.excluded, one.excluded_by, flag, one.progress, now)
    if refuse_implausible and flag:
        return Verdict(one.id, flag, "timing", flag, one.progress, now)
    reason = reasons.get(one.label, "")
    return Verdict(one.id, reason, "screening" if reason else "", flag, one.progress, now)


def record(session: Session, verdicts: Sequence[Verdict]) -> None:
    """Store the verdicts, and mark sessions without open steps as finished.

    A listener who has stored something meanwhile is judged again next time. Decisions of a page or of the experimenter
    stay. There may be thousands of verdicts after an outage.
    """
    rows = [
        {"of": one.listener_id, "why": one.reason, "who": one.by, "signs": one.flags, "then": one.progress,
         "at": one.time}
        for one in verdicts
    ]  # fmt: skip
    this = update(Listener.metadata.tables["listener"]).where(
        Listener.id == bindparam("of"), Listener.progress == bindparam("then")
    )  # fmt: skip
    ours = this.where(Listener.excluded_by != "experimenter", Listener.excluded_by != "page")
    for statement in (
        ours.values(excluded=bindparam("why"), excluded_by=bindparam("who")),
        this.values(judged=bindparam("at"), flags=bindparam("signs")),
        this.where(AT_END).values(state="finished", address=""),
    ):
        session.connection().execute(statement, rows)


def _is_due(now: float) -> ColumnElement[bool]:
    ended = or_(Listener.state.in_(["finished", "left"]), ~is_held(now), AT_END)
    unseen = or_(Listener.judged.is_(None), Listener.flags.is_(None))
    return and_(unseen, Listener.state.in_(["active", "finished", "left"]), ended)
