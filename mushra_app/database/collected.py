"""The ratings of a database as a table, one row per rating, and the answers to its questions, one row per answer."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database import attention
from earmark.mushra_app.database.tables import Listener, Rating, Step, Trial
from earmark.mushra_app.ratings.table import Ratings, excluded_by_hand
from earmark.mushra_app.study.pages import questions_of
from earmark.mushra_app.study.questions import as_text
from earmark.mushra_app.study.study import Study

COLUMNS = ["listener", "item", "condition", "score", "position", "seconds", "submitted", "comment", "excluded",
           "excluded_by"]  # fmt: skip


def collected(session: Session, study: Study, *which: ColumnElement[bool]) -> pd.DataFrame:
    """The ratings of complete trials, or of those for which all of `which` holds; see mushra_app.store.ratings."""
    complete = (
        select(Trial.listener_id, Trial.item, Rating.condition, Rating.score, Trial.position, Trial.seconds,
               Trial.submitted, Rating.comment, Listener.excluded, Listener.excluded_by)
        .join(Rating, Rating.trial_id == Trial.id).join(Listener, Listener.id == Trial.listener_id)
        .where(Trial.submitted.is_not(None), Trial.purpose == "rating", *which)
        .order_by(Trial.listener_id, Trial.position, Rating.condition)
    )  # fmt: skip
    table = pd.DataFrame(session.execute(complete).all(), columns=COLUMNS)
    table["listener"] = [f"L{number:04d}" for number in table["listener"]]
    table["submitted"] = [
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") for seconds in table["submitted"]
    ]
    table.insert(2, "category", table["item"].map({item.id: item.category for item in study.items}))
    return table


def as_ratings(session: Session, study: Study, frame: pd.DataFrame) -> Ratings:
    """What screening looks at: those ratings with their listeners' checks, and whom no rule brings back.

    Args:
        frame: of `collected`, with at least one row.
    """
    roles = {condition.name: condition.role for condition in study.conditions}
    ids = {int(label[1:]) for label in frame["listener"].unique()}
    return Ratings(
        frame.astype({"score": float}), roles, study.name, checks=attention.checks(session, Listener.id.in_(ids)),
        excluded=excluded_by_hand(frame),
    )  # fmt: skip


def answered(session: Session) -> pd.DataFrame:
    """All answers to questionnaires, listener by listener in the order in which they were asked.

    Returns:
        listener, question (its name), answer (text; several choices with "; " between them, "" where left empty).
    """
    done = (
        select(Step, Listener).join(Listener).where(Step.kind == "questionnaire", Step.done.is_not(None))
        .order_by(Listener.id, Step.position)
    )  # fmt: skip
    rows = []
    for step, listener in session.execute(done):
        given = json.loads(step.answer or "{}")
        for question in questions_of(json.loads(step.settings)):
            rows.append((listener.label, question.name, as_text(given.get(question.name))))
    return pd.DataFrame(rows, columns=["listener", "question", "answer"], dtype="str")
