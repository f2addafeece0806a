"""Reading what a trial page sends.

{"token", "seconds", "heard", "ratings": [{"stimulus", "score", "comment", "heard"}, ...]}; "heard" says how the
reference and each stimulus were heard, as in database/listening.py. Pages of earlier versions lack it.
"""

from __future__ import annotations

from typing import Any, NoReturn

from flask import Request, abort

from earmark.mushra_app.database.listening import REFERENCE, Heard
from earmark.mushra_app.database.submissions import Answer

MAX_COMMENT_LENGTH = 1000  # characters
MAX_MOVES = 50  # of a slider, as in listening.js
MAX_PLAYS = 100_000
MAX_TRIAL_SECONDS = 30 * 24 * 3600  # lifetime of the session's cookie


def read_answers(request: Request) -> tuple[object, dict[str, Answer], float, dict[str, Heard]]:
    """Read the ratings of a trial.

    Aborts with status 400 if a field is missing or out of range, and with 415 if the body is not declared as JSON. A
    form on another site cannot declare it.

    Returns:
        The CSRF token, not checked yet; answers by stimulus token; seconds spent on the trial; how the stimuli were
        heard, by token.
    """
    try:
        body = request.get_json()
    except RecursionError:
        refuse()
    if not isinstance(body, dict) or not isinstance(body.get("ratings"), list):
        refuse()
    answers, heard = {}, {}
    if body.get("heard") is not None:
        heard[REFERENCE] = record(body["heard"])
    for rating in body["ratings"]:
        if not isinstance(rating, dict) or not isinstance(rating.get("stimulus"), str):
            refuse()
        if rating["stimulus"] in answers:
            refuse()
        score = number(rating.get("score"), 100)
        if score != int(score):
            refuse()
        answers[rating["stimulus"]] = Answer(int(score), comment(rating.get("comment", "")))
        if rating.get("heard") is not None:
            heard[rating["stimulus"]] = record(rating["heard"])
    return body.get("token"), answers, number(body.get("seconds"), MAX_TRIAL_SECONDS), heard


def record(value: Any) -> Heard:
    """Read how a stimulus was heard, else abort."""
    if not isinstance(value, dict) or not isinstance(value.get("moves"), list) or len(value["moves"]) > MAX_MOVES:
        refuse()
    moves = []
    for move in value["moves"]:
        if not isinstance(move, list) or len(move) != 2:
            refuse()
        moves.append((number(move[0], MAX_TRIAL_SECONDS), int(number(move[1], 100))))
    plays, switches = (int(number(value.get(name), MAX_PLAYS)) for name in ("plays", "switches"))
    return Heard(plays, number(value.get("seconds"), MAX_TRIAL_SECONDS), switches, tuple(moves))


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
