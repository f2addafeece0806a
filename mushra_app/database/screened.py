"""Screening of listeners in a running study: loads no more ratings than the rule looks at."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pandas as pd
from sqlalchemy import ColumnElement, and_, or_, select, true
from sqlalchemy.orm import Session

from earmark.mushra_app.database import attention
from earmark.mushra_app.database.leases import IS_RATING
from earmark.mushra_app.database.tables import Listener, Rating, Trial
from earmark.mushra_app.ratings.screening import RULES, screen
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.study.study import Study


def evidence_and_reasons(
    session: Session, study: Study, rule: str, ids: Collection[int] | None, *, judging: bool = False
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Evidence that a rule looks at, and why it drops a listener, each by label; no entry if there are no ratings.

    Args:
        ids: listeners; default: all.
        judging: whether these listeners are judged again, so that an earlier verdict about them does not matter.
    """
    if ids is not None and not ids:
        return {}, {}
    roles = {condition.name: condition.role for condition in study.conditions}
    clauses = [clause for clause in RULES[rule].clauses if clause.role in roles.values()]
    looked_at = {clause.role for clause in clauses}
    theirs = true() if ids is None else Listener.id.in_(ids)
    compares = any(clause.compares for clause in clauses)
    query = (
        select(Listener.label, Trial.item, Rating.condition, Rating.score)
        .join(Rating, Rating.trial_id == Trial.id).join(Listener, Listener.id == Trial.listener_id)
        .where(
            IS_RATING, Trial.submitted.is_not(None), Trial.retired.is_(None),
            Rating.condition.in_([name for name, role in roles.items() if role in looked_at]),
            _same_items(theirs) if compares and ids is not None else theirs,
        )
        .order_by(Listener.id)
    )  # fmt: skip
    frame = pd.DataFrame(session.execute(query).all(), columns=["listener", "item", "condition", "score"])
    if frame.empty:
        return {}, {}
    checks = attention.checks(session, theirs)
    excluded = _excluded(session, again=theirs if judging else None)
    screened = screen(Ratings(frame, roles, study.name, checks=checks, excluded=excluded), rule).listeners
    dropped = screened[~screened["kept"]]
    evidence, reasons = (
        dict(zip(table["listener"], table[column], strict=True))
        for table, column in ((screened, "evidence"), (dropped, "reason"))
    )
    return evidence, reasons


def _same_items(theirs: ColumnElement[bool]) -> ColumnElement[bool]:
    """Ratings of the items that these listeners rated, by anybody."""
    items = select(Trial.item).join(Listener).where(IS_RATING, Trial.submitted.is_not(None), theirs)
    return Trial.item.in_(items.scalar_subquery())


def _excluded(session: Session, again: ColumnElement[bool] | None) -> dict[str, str]:
    """Label -> reason, for listeners whom screening leaves out: by the experimenter, a page, or their timing.

    Args:
        again: listeners whose timing is judged again.
    """
    by_hand = Listener.excluded_by.in_(["experimenter", "page"])
    by_timing = Listener.excluded_by == "timing"
    left_out = or_(by_hand, by_timing if again is None else and_(by_timing, ~again))
    rows = session.execute(select(Listener.label, Listener.excluded).where(Listener.excluded != "", left_out))
    return dict(rows.all())
