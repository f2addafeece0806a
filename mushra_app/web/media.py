"""Audio for the listener's pages: stimuli behind tokens, the headphone check, and the player module."""

from __future__ import annotations

from io import BytesIO

import soundfile
from flask import Blueprint, Response, abort, request, send_file, session
from flask.typing import ResponseReturnValue

from earmark.codec.errors import UserError
from earmark.eval.report.assets import PLAYER
from earmark.mushra_app.database.tables import Step
from earmark.mushra_app.study import headphone_check, tones
from earmark.mushra_app.web import faults
from earmark.mushra_app.web.delivery import delivery
from earmark.mushra_app.web.served import open_step, required_listener, served

media = Blueprint("media", __name__)


@media.get("/audio/<token>.wav")
def stimulus(token: str) -> ResponseReturnValue:
    """Send a stimulus, dithered anew, to the listener to whom its token belongs.

    The response has no entity tag, date or file name. They come from the file, and so would be equal for the open and
    the hidden reference.
    """
    item, condition = owned_stimulus(token, sent=request.method == "GET")
    try:
        sent = delivery(served().path(item, condition))
    except (OSError, soundfile.LibsndfileError, UserError) as error:
        sound = f"{item}, {condition}"
        faults.note(faults.AUDIO, f"{sound}: {error}", sound=sound)
        abort(503)  # the browser tries again
    return _anonymous(Response(sent, mimetype="audio/wav"))


@media.get("/headphones/<key>/<int:attempt>/<int:number>.wav")
def headphone_trial(key: str, attempt: int, number: int) -> ResponseReturnValue:
    """Send a trial of the headphone check that is this listener's open step.

    Args:
        attempt: the current one, from 0.
        number: of the trial, from 0.
    """
    step = headphone_step(key, attempt, number)
    trial = headphone_check.rounds(step.settings["secret"], attempt)[number]
    wav = headphone_check.wav(step.settings["method"], trial)
    return _anonymous(Response(delivery(BytesIO(wav)), mimetype="audio/wav"))


@media.get("/tones/<key>.wav")
def attention_tones(key: str) -> ResponseReturnValue:
    """Send the tones of the attention check that is this listener's open step."""
    step = attention_step(key)
    return _anonymous(Response(delivery(BytesIO(tones.wav(step.settings["band"]))), mimetype="audio/wav"))


@media.get("/static/player.js")
def player() -> ResponseReturnValue:
    """Send the player module, which the report page of `earmark compare` uses too."""
    return send_file(PLAYER, mimetype="text/javascript")


def owned_stimulus(token: str, *, sent: bool) -> tuple[str, str]:
    """Item and condition behind a token of this listener. Aborts with 404 if there is none.

    Args:
        sent: whether the audio is sent now.
    """
    return served().store.stimulus(session.get("listener", ""), token, sent=sent) or abort(404)


def headphone_step(key: str, attempt: int, number: int) -> Step:
    """This listener's open headphone check. Aborts with 404 if it is another one, or has no such trial."""
    step = _open_step(key, "headphones")
    if number >= headphone_check.TRIALS or attempt != (len(step.answer["right"]) if step.answer else 0):
        abort(404)
    return step


def attention_step(key: str) -> Step:
    """This listener's open attention check. Aborts with 404 if it is another one."""
    return _open_step(key, "attention")


def _open_step(key: str, step_type: str) -> Step:
    step = open_step(required_listener())
    if step is None or step.key != key or step.type != step_type:
        abort(404)
    return step


def _anonymous(response: Response) -> Response:
    """Remove headers that describe the file, and let the browser keep it for an hour."""
    for name in ("Last-Modified", "Content-Disposition"):
        response.headers.pop(name, None)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response
