"""Counts and sums over all sessions of a study, made by the database: a crowd has too many rows to load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, String, and_, case, exists, func, literal, or_, select
from sqlalchemy.orm import Session, aliased

from earmark.mushra_app.database.judging import RATED, UNRATED
from earmark.mushra_app.database.leases import COUNTS, is_held
from earmark.mushra_app.database.tables import Listener, Rating, Step, Trial

_OTHER = aliased(Listener)
SHARES_ID = exists().where(
    _OTHER.source == Listener.source, _OTHER.person == Listener.person, _OTHER.id != Listener.id
)  # fmt: skip


def state(now: float) -> ColumnElement[str]:
    """State of a listener as the experimenter sees it: an active one is "at work" or "gone"."""
    active = case((is_held(now), "at work"), else_="gone")
    return case((Listener.state == "active", active), else_=Listener.state)


def has_places(now: float) -> ColumnElement[bool]:
    """Whether trials are reserved for a listener."""
    return and_(
        Listener.state == "active", is_held(now), Listener.begun.is_not(None), Listener.excluded == "",
        UNRATED,
    )  # fmt: skip


def groups(now: float) -> Mapping[str, ColumnElement[bool]]:
    """Groups of listeners that the experimenter may want to see, by name."""
    return {
        "all": Listener.id > 0,
        "with ratings": RATED,
        "holding places": has_places(now),
        "suspect": or_(Listener.flags != "", SHARES_ID),
        "excluded": Listener.excluded != "",
    }


def sizes(session: Session, now: float) -> dict[str, int]:
    """Number of listeners in each of `groups`, and under "idle" those who hold places and have stored no trial."""
    wanted = {**groups(now), "idle": and_(has_places(now), ~RATED)}
    (row,) = session.execute(select(*(func.count(case((group, 1))).label(name) for name, group in wanted.items())))
    return dict(zip(wanted, row, strict=True))


def states(session: Session, now: float) -> dict[str, int]:
    """Number of listeners by state."""
    name = state(now).label("name")
    return dict(session.execute(select(name, func.count()).select_from(Listener).group_by(name)).all())


def session_seconds(session: Session) -> Sequence[float]:
    """Length of each finished session, from consent to its last answer."""
    lasted = func.max(Step.done) - Listener.started
    query = select(lasted).join(Step).where(Listener.state == "finished").group_by(Listener.id, Listener.started)
    return [max(0.0, seconds) for seconds in session.scalars(query) if seconds is not None]


def scores(session: Session, conditions: Sequence[str]) -> tuple[Sequence[Any], NDArray[np.float64]]:
    """The trials that count, and their scores.

    Returns:
        Per trial listener_id, item and seconds; [trials, conditions], NaN for a condition that the item does not have.
    """
    query = (
        select(
            Trial.listener_id, Trial.item, Trial.seconds,
            *(func.max(case((Rating.condition == name, Rating.score))) for name in conditions),
        )
        .join(Listener, Listener.id == Trial.listener_id).join(Rating, Rating.trial_id == Trial.id)
        .where(COUNTS).group_by(Trial.id, Trial.listener_id, Trial.item, Trial.seconds)
    )  # fmt: skip
    rows = session.execute(query).all()
    values = np.array([row[3:] for row in rows], float).reshape(len(rows), len(conditions))
    return rows, values


def _kind() -> ColumnElement[str]:
    """Type of a step as listeners see it: a repeated trial is a trial."""
    return case((Step.type == "repeat", literal("trial", String)), else_=Step.type)


def steps_done(session: Session) -> Sequence[Any]:
    """All steps that are done, in order: listener_id, position, kind, and seconds of a trial."""
    query = (
        select(Step.listener_id, Step.position, _kind().label("kind"), Trial.seconds)
        .join(Trial, Trial.id == Step.trial_id, isouter=True)
        .where(Step.done.is_not(None)).order_by(Step.listener_id, Step.position)
    )  # fmt: skip
    return session.execute(query).all()


def steps_open(session: Session, now: float) -> Sequence[Any]:
    """The open step of each session that was not turned away, counted.

    Returns:
        kind, number (among the session's steps of this kind, from 1), position, stopped (whether the session has
        ended there), count.
    """
    first = (
        select(Step.listener_id, func.min(Step.position).label("position"))
        .where(Step.done.is_(None)).group_by(Step.listener_id).subquery()
    )  # fmt: skip
    earlier = aliased(Step)
    earlier_kind = case((earlier.type == "repeat", literal("trial", String)), else_=earlier.type)
    number = (
        select(func.count() + 1)
        .where(earlier.listener_id == first.c.listener_id, earlier.position < first.c.position, earlier_kind == _kind())
        .scalar_subquery()
    )
    stopped = state(now).in_(["gone", "left"])
    each = (
        select(_kind().label("kind"), number.label("number"), first.c.position, stopped.label("stopped"))
        .join(first, and_(first.c.listener_id == Step.listener_id, first.c.position == Step.position))
        .join(Listener, Listener.id == Step.listener_id)
        .where(Listener.state != "turned away").subquery()
    )  # fmt: skip
    return session.execute(select(*each.c, func.count().label("count")).group_by(*each.c)).all()


def turned_away(session: Session) -> set[int]:
    """Ids of the listeners whom a page turned away."""
    return set(session.scalars(select(Listener.id).where(Listener.state == "turned away")))
