"""The health of a running study, and whether its public address leads to it."""

from __future__ import annotations

import json
import sys
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from earmark.mushra_app.web.served import served

WAIT_SECONDS = 10
START_SECONDS = 1.0  # until gunicorn has forked its workers; requests wait for them

health = Blueprint("health", __name__)


@health.get("/health")
def show() -> ResponseReturnValue:
    """Say whether the study can be taken: 200 if the database answers, else 503. Names the study, and no secret."""
    study = current_app.config["STUDY"]
    try:
        served().store.setting("study")
    except SQLAlchemyError:
        return jsonify(study=study, status="no database"), 503
    return jsonify(study=study, status="ok")


def mismatch(url: str, study: str) -> str | None:
    """Say why a public address does not lead to a study; None if it does.

    Args:
        url: ends with a slash.
        study: as `study_mark` gives it.
    """
    try:
        with urlopen(Request(f"{url}health"), timeout=WAIT_SECONDS) as answer:
            found = answer.read(10_000)
    except HTTPError as error:
        found = error.read(10_000)
        if not _names(found, study):
            return f"--url {url}: answers {error.code} there, not this study; let the proxy forward that to this server"
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return f"--url {url}: no answer there from this machine ({reason}); open it in a browser before listeners come"
    if not _names(found, study):
        return f"--url {url}: something else than this study answers there; let the proxy forward that to this server"
    return None


def study_mark(fingerprint: str) -> str:
    """The public mark of a study: the beginning of its fingerprint, which is in the cookies' names too."""
    return fingerprint[:8]


def warn_of_mismatch(url: str | None, study: str) -> None:
    """Look in the background, once the server answers, whether its public address leads to it; warn if not."""
    if url is None:
        return

    def look() -> None:
        if (problem := mismatch(url, study)) is not None:
            print(f"note: {problem}", file=sys.stderr, flush=True)

    timer = threading.Timer(START_SECONDS, look)
    timer.daemon = True
    timer.start()


def _names(answer: bytes, study: str) -> bool:
    try:
        found = json.loads(answer)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("study") == study
