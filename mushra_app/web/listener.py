"""The listener's way: welcome, volume, trials, thanks; the audio behind tokens and the route that takes ratings."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import flask
from flask import Blueprint, abort, current_app, redirect, render_template, request, send_file, session, url_for
from flask.typing import ResponseReturnValue

import eval.report
from mushra_app.store import AlreadyRatedError, RefusedError, Store, UnknownTrialError
from mushra_app.study import Study
from mushra_app.tables import Listener
from mushra_app.web.answers import LONGEST_COMMENT, read_answers
from mushra_app.web.safety import check_token, session_token

EXTENSION = "earmark"
PLAYER = Path(eval.report.__file__).parent / "static" / "player.js"

pages = Blueprint("listener", __name__)


@dataclass(frozen=True)
class Served:
    """What the app serves: the study, its ratings, its folder of stimuli."""

    study: Study
    store: Store
    audio: Path


@pages.get("/")
def welcome() -> ResponseReturnValue:
    """What this is, and consent; a listener who has begun goes on instead."""
    if this_listener() is not None:
        return redirect(url_for(".next_page"))
    if served().store.is_full():
        return render_template("full.html")
    session.setdefault("listener", secrets.token_urlsafe(16))
    study = served().study
    trials = min(study.trials_per_listener, len(study.items))
    minutes = minutes_for(study, trials, expected_seconds(study))
    return render_template("welcome.html", token=session_token(), trials=trials, minutes=minutes)


@pages.post("/start")
def start() -> ResponseReturnValue:
    """Enrol the listener; a second click finds the first one's session."""
    check_token(request.form.get("token"))
    if request.form.get("consent") != "yes":
        return redirect(url_for(".welcome"))
    if this_listener() is None:
        if served().store.is_full():
            return render_template("full.html")
        served().store.enrol(session["listener"])
    return redirect(url_for(".next_page"), 303)


@pages.get("/continue")
def next_page() -> ResponseReturnValue:
    """Wherever this listener is: volume before the first trial, the open trial, thanks."""
    listener = required_listener()
    if listener.open_trial is None:
        return redirect(url_for(".thanks"))
    return redirect(url_for(".volume" if listener.open_trial.position == 1 else ".trial"))


@pages.get("/volume")
def volume() -> ResponseReturnValue:
    """Set the volume once, by the reference of the first trial."""
    listener = required_listener()
    return render_template("volume.html", stimulus=listener.trials[0].reference, study=served().study)


@pages.get("/trial")
def trial() -> ResponseReturnValue:
    """The open trial; after a reload the same one in the same order."""
    listener = required_listener()
    if listener.open_trial is None:
        return redirect(url_for(".thanks"))
    study = served().study
    spent = [trial.seconds for trial in listener.trials if trial.seconds is not None]
    left = len(listener.trials) - listener.open_trial.position + 1
    return render_template(
        "trial.html",
        trial=listener.open_trial,
        trials=len(listener.trials),
        minutes=minutes_for(study, left, mean(spent) if spent else expected_seconds(study)),
        study=study,
        token=session_token(),
        longest_comment=LONGEST_COMMENT,
    )


@pages.post("/trial/<key>")
def rate(key: str) -> ResponseReturnValue:
    """Store a trial, sent as JSON."""
    listener = required_listener()
    token, answers, seconds = read_answers(request)
    check_token(token)
    try:
        served().store.submit(listener.key, key, answers, seconds)
    except UnknownTrialError as error:
        return flask.jsonify(error=str(error)), 404
    except AlreadyRatedError as error:
        return flask.jsonify(error=str(error)), 409
    except RefusedError as error:
        return flask.jsonify(error=str(error)), 400
    return flask.jsonify(next=url_for(".next_page"))


@pages.get("/thanks")
def thanks() -> ResponseReturnValue:
    """The end, for a listener who has rated everything."""
    listener = required_listener()
    if listener.open_trial is not None:
        return redirect(url_for(".next_page"))
    return render_template("thanks.html", trials=len(listener.trials), token=session_token())


@pages.post("/leave")
def leave() -> ResponseReturnValue:
    """Forget this listener, so that the next one can use the same computer."""
    check_token(request.form.get("token"))
    session.clear()
    return redirect(url_for(".welcome"), 303)


@pages.get("/audio/<token>.wav")
def stimulus(token: str) -> ResponseReturnValue:
    """A stimulus, for the listener whose token it is.

    No entity tag, date or file name goes with it: all come from the file and are equal for the reference and its hidden
    copy.
    """
    found = served().store.stimulus(session.get("listener", ""), token)
    if found is None:
        abort(404)
    item_id, condition = found
    item = next(item for item in served().study.items if item.id == item_id)
    path = served().audio / item.stimuli[condition].audio
    response = send_file(path, mimetype="audio/wav", download_name="sound.wav", conditional=False, etag=False)
    response.headers.pop("Last-Modified", None)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@pages.get("/static/player.js")
def player() -> ResponseReturnValue:
    """The player that the report page uses too."""
    return send_file(PLAYER, mimetype="text/javascript")


def served() -> Served:
    """What the running app serves."""
    found: Served = current_app.extensions[EXTENSION]
    return found


def this_listener() -> Listener | None:
    """Who asks; None before consent."""
    key = session.get("listener")
    return None if key is None else served().store.listener(key)


def required_listener() -> Listener:
    """Who asks; 403 with a page that leads to the start for anybody unknown."""
    return this_listener() or abort(403)


def expected_seconds(study: Study) -> float:
    """Seconds one trial takes before we know the listener: each sound and the reference heard twice."""
    return 2 * (len(study.conditions) + 1) * mean(item.seconds for item in study.items)


def minutes_for(study: Study, trials: int, seconds: float) -> int:
    """Whole minutes for that many trials, at least one."""
    return max(1, round(trials * seconds / 60))
