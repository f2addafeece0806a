"""Reading what a trial page sends: {"token", "seconds", "ratings": [{"stimulus", "score", "comment"}, ...]}."""

from __future__ import annotations

from typing import NoReturn

from flask import Request, abort

from earmark.mushra_app.database.submissions import Answer

MAX_COMMENT_LENGTH = 1000  # characters
MAX_TRIAL_SECONDS = 30 * 24 * 3600  # lifetime of the session's cookie


def read_answers(request: Request) -> tuple[object, dict[str, Answer], float]:
    """Read the ratings of a trial.

    Aborts with status 400 if a field is missing or out of range, and with 415 if the body is not declared as JSON. A
    form on another site cannot declare it.

    Returns:
        The CSRF token, not checked yet; answers by stimulus token; seconds spent on the trial.
    """
    try:
        body = request.get_json()
    except RecursionError:
        refuse()
    if not isinstance(body, dict) or not isinstance(body.get("ratings"), list):
        refuse()
    answers = {}
    for rating in body["ratings"]:
        if not isinstance(rating, dict) or not isinstance(rating.get("stimulus"), str):
            refuse()
        if rating["stimulus"] in answers:
            refuse()
        score = number(rating.get("score"), 100)
        if score != int(score):
            refuse()
        answers[rating["stimulus"]] = Answer(int(score), comment(rating.get("comment", "")))
    return body.get("token"), answers, number(body.get("seconds"), MAX_TRIAL_SECONDS)


def number(value: object, highest: float) -> float:
    """Return `value` if it is a number from 0 to `highest`, else abort."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        refuse()
    return float(value)


def comment(value: object) -> str:
    """Return `value` if it is a text of at most MAX_COMMENT_LENGTH, else abort.

    Replaces lone surrogates, which have no UTF-8, and drops NUL characters, which PostgreSQL refuses.
    """
    if not isinstance(value, str) or len(value) > MAX_COMMENT_LENGTH:
        refuse()
    return value.encode(errors="replace").decode().replace("\0", "").strip()


def refuse() -> NoReturn:
    """Abort with status 400: our page does not send such a body."""
    abort(400)
