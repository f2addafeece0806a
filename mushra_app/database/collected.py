"""Tables of the collected data in a database: ratings, and answers to questionnaires."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from earmark.mushra_app.database import attention, timing
from earmark.mushra_app.database.listening import columns_of
from earmark.mushra_app.database.tables import Listener, Rating, Setting, Step, Trial
from earmark.mushra_app.ratings.table import Ratings, excluded_by_hand
from earmark.mushra_app.study.pages import questions_of
from earmark.mushra_app.study.questions import as_text
from earmark.mushra_app.study.study import Study

COLUMNS = ["listener", "item", "condition", "score", "position", "seconds", "submitted", "comment", "excluded",
           "excluded_by", "server_seconds", "listening"]  # fmt: skip
HEARD = ["plays", "heard_seconds", "switches", "moves", "reference_seconds"]


def rating_table(session: Session, study: Study, *criteria: ColumnElement[bool]) -> pd.DataFrame:
    """Ratings of complete trials that meet all the criteria; its columns are described in Store.ratings."""
    complete = (
        select(Listener.label, Trial.item, Rating.condition, Rating.score, Trial.position, Trial.seconds,
               Trial.submitted, Rating.comment, Listener.excluded, Listener.excluded_by,
               Trial.submitted - Trial.served, Trial.listening)
        .join(Rating, Rating.trial_id == Trial.id).join(Listener, Listener.id == Trial.listener_id)
        .where(Trial.submitted.is_not(None), Trial.retired.is_(None), Trial.purpose == "rating", *criteria)
        .order_by(Trial.listener_id, Trial.position, Rating.condition)
    )  # fmt: skip
    table = pd.DataFrame(session.execute(complete).all(), columns=COLUMNS)
    heard = [
        columns_of(stored, condition)
        for stored, condition in zip(table.pop("listening"), table["condition"], strict=True)
    ]
    table[HEARD] = pd.DataFrame(heard, columns=HEARD, index=table.index, dtype=float)
    table["server_seconds"] = table["server_seconds"].astype(float).round(3)
    table["submitted"] = [
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") for seconds in table["submitted"]
    ]
    table.insert(2, "category", table["item"].map({item.id: item.category for item in study.items}))
    for column in ("study", "study_version"):
        name = "study_id" if column == "study" else column
        table[column] = session.scalar(select(Setting.value).where(Setting.name == name)) or ""
    return table


def as_ratings(session: Session, study: Study, table: pd.DataFrame) -> Ratings:
    """Add to a rating table what screening needs: roles, results of checks, and listeners excluded by hand.

    Args:
        table: from `rating_table`, with at least one row.
    """
    roles = {condition.name: condition.role for condition in study.conditions}
    labels = table["listener"].unique().tolist()
    checks = timing.with_timing(attention.checks(session, Listener.label.in_(labels)), session, study, labels)
    return Ratings(
        table.astype({"score": float}), roles, study.name, checks=checks,
        excluded=excluded_by_hand(table), least_heard=study.entry.least_heard,
    )  # fmt: skip


def questionnaire_answers(session: Session) -> pd.DataFrame:
    """All answers to questionnaires, by listener, in the order of the questions.

    Returns:
        listener, question (its name), answer (text; several choices are joined by "; ", no answer is "").
    """
    done = (
        select(Step, Listener).join(Listener).where(Step.type == "questionnaire", Step.done.is_not(None))
        .order_by(Listener.id, Step.position)
    )  # fmt: skip
    rows = []
    for step, listener in session.execute(done):
        answers = step.answer or {}
        for question in questions_of(step.settings):
            rows.append((listener.label, question.name, as_text(answers.get(question.name))))
    return pd.DataFrame(rows, columns=["listener", "question", "answer"], dtype="str")


def devices(session: Session, *criteria: ColumnElement[bool]) -> pd.DataFrame:
    """Browser and device of every listener who meets all the criteria; "" and NaN where nothing is known.

    Returns:
        listener, browser, system, type, pointer, sample_rate (Hz); see mushra_app/web/device.py.
    """
    rows = session.execute(select(Listener.label, Listener.device).where(*criteria).order_by(Listener.id))
    names = ("browser", "system", "type", "pointer")
    return pd.DataFrame(
        [
            (label, *(device.get(name, "") for name in names), device.get("sample_rate", float("nan")))
            for label, device in rows
        ],
        columns=["listener", *names, "sample_rate"],
    )


def moves(session: Session) -> pd.DataFrame:
    """Every recorded move of a slider.

    Returns:
        listener, item, condition, time (seconds on the page), score.
    """
    trials = (
        select(Listener.label, Trial.item, Trial.listening).join(Listener)
        .where(Trial.submitted.is_not(None), Trial.purpose == "rating", Trial.listening.is_not(None))
        .order_by(Listener.id, Trial.position)
    )  # fmt: skip
    return pd.DataFrame(
        [
            (label, item, condition, time, score)
            for label, item, listening in session.execute(trials)
            for condition, record in listening["conditions"].items()
            for time, score in record["moves"]
        ],
        columns=["listener", "item", "condition", "time", "score"],
    )
