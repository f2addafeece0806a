"""Sounds that a browser could not load or decode, reported by its page to the sound's own address.

A report counts once per sound of a listener and reason, however often it is sent; nothing is stored about the listener.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from earmark.codec.text import printable
from earmark.mushra_app.web import faults, media
from earmark.mushra_app.web.device import describe
from earmark.mushra_app.web.safety import check_token

MAX_BYTES = 1000
MAX_ERROR = 100  # characters, as failures.js sends
REASONS = {"load": "not loaded", "decode": "not decoded"}

playback = Blueprint("playback", __name__)


@playback.post("/audio/<token>.wav")
def stimulus(token: str) -> ResponseReturnValue:
    """Take a report about a stimulus of this listener."""
    report = _read_report()
    item, condition = media.owned_stimulus(token, sent=False)
    return _note(report, f"{item}, {condition}")


@playback.post("/headphones/<key>/<int:attempt>/<int:number>.wav")
def headphone_trial(key: str, attempt: int, number: int) -> ResponseReturnValue:
    """Take a report about a trial of the headphone check that is this listener's open step."""
    report = _read_report()
    media.headphone_step(key, attempt, number)
    return _note(report, "headphone check")


@playback.post("/tones/<key>.wav")
def attention_tones(key: str) -> ResponseReturnValue:
    """Take a report about the tones of the attention check that is this listener's open step."""
    report = _read_report()
    media.attention_step(key)
    return _note(report, "attention check")


def _read_report() -> dict[str, Any]:
    """Read {"token", "reason", "error"}; aborts with 400, 403, 413 or 415 if no page of ours sends it."""
    request.max_content_length = MAX_BYTES
    try:
        report = request.get_json()
    except RecursionError:
        abort(400)
    if not isinstance(report, dict) or not all(isinstance(report.get(name), str) for name in ("reason", "error")):
        abort(400)
    if report["reason"] not in REASONS:
        abort(400)
    check_token(report.get("token"))
    return report


def _note(report: dict[str, Any], sound: str) -> ResponseReturnValue:
    """Count the report, unless it came before."""
    reason = REASONS[report["reason"]]
    if faults.faults().is_new(request.path, reason):
        browser = describe(request.headers.get("User-Agent", ""), "").get("browser", "another browser")
        error = printable(report["error"][:MAX_ERROR])
        detail = f"{sound}: {reason} by {browser}"
        faults.note(faults.PLAYBACK, f"{detail} ({error})", sound=f"{sound}: {reason}")
    return "", 204
