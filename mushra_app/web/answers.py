"""Reading what a trial page sends: {"token", "seconds", "ratings": [{"stimulus", "score", "comment"}, ...]}."""

from __future__ import annotations

from typing import NoReturn

from flask import Request, abort

from earmark.mushra_app.database.submissions import Answer

LONGEST_COMMENT = 1000  # characters
LONGEST_TRIAL = 30 * 24 * 3600  # seconds; the session's cookie lives no longer


def read_answers(request: Request) -> tuple[object, dict[str, Answer], float]:
    """The session's token, still unchecked; answers by stimulus token; seconds spent on the trial.

    Anything but the fields above with values in their range is refused with status 400, a body that is not declared as
    JSON, which is all that a form on another site could send, with 415.
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
    return body.get("token"), answers, number(body.get("seconds"), LONGEST_TRIAL)


def number(value: object, highest: float) -> float:
    """`value`, which must be a number from 0 to `highest`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        refuse()
    return float(value)


def comment(value: object) -> str:
    """`value`, which must be a text of reasonable length, without what databases cannot keep."""
    if not isinstance(value, str) or len(value) > LONGEST_COMMENT:
        refuse()
    # Half a surrogate pair has no UTF-8, and PostgreSQL takes no NUL.
    return value.encode(errors="replace").decode().replace("\0", "").strip()


def refuse() -> NoReturn:
    """The body is not what our page sends."""
    abort(400)
