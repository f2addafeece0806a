"""The listener's way: welcome, steps, trials, thanks; the audio behind tokens and the route that takes ratings."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import flask
from flask import Blueprint, abort, current_app, redirect, render_template, request, send_file, session, url_for
from flask.typing import ResponseReturnValue

import eval.report
from mushra_app.crowd import Arrival, ArrivalError, read_arrival, way_back
from mushra_app.store import (
    AlreadyRatedError,
    NotOpenError,
    RefusedError,
    Status,
    Store,
    TookPartError,
    UnknownTrialError,
)
from mushra_app.study import Item, Study
from mushra_app.tables import Listener, Step
from mushra_app.web.answers import LONGEST_COMMENT, read_answers
from mushra_app.web.invitations import read_invitation
from mushra_app.web.safety import check_token, session_token
from mushra_app.web.steps import STEP_PAGES

EXTENSION = "earmark"
PLAYER = Path(eval.report.__file__).parent / "static" / "player.js"
TRIAL_KINDS = ("trial", "training")

pages = Blueprint("listener", __name__)


@dataclass(frozen=True)
class Served:
    """What the app serves: the study, its ratings, its folder of stimuli."""

    study: Study
    store: Store
    audio: Path

    def item(self, item_id: str) -> Item:
        """The item of that id."""
        return next(item for item in self.study.items if item.id == item_id)

    def path(self, item_id: str, condition: str) -> Path:
        """Where a stimulus lies."""
        return self.audio / self.item(item_id).stimuli[condition].audio


@pages.get("/")
def welcome() -> ResponseReturnValue:
    """What this is, and consent; a listener who has begun goes on instead."""
    store = served().store
    try:
        arrival = read_invitation(request.args) or read_arrival(request.args)
    except ArrivalError as error:
        return sorry("This address is not complete", str(error), Arrival()), 400
    if arrival.preview:
        return render_template("welcome.html", preview=True, **outlook(served().study.trials_per_listener))
    mine = this_listener()
    if arrival.person is None:
        if mine is not None:
            return redirect(url_for(".next_page"))
    else:
        known = store.participation(arrival)
        if known is not None:
            if known.visit != arrival.visit and (mine is None or mine.id != known.id):
                return took_part(arrival)
            session["listener"] = known.key
            remember(arrival)
            return redirect(url_for(".next_page"))
        if arrival_of_session().person != arrival.person:
            session.clear()
    if not store.crowd.lets_in(arrival):
        return sorry("Not open this way", "This listening test takes no listeners by this address.", arrival)
    status = store.status()
    if status.state != "open":
        return not_open(status, arrival)
    session.setdefault("listener", secrets.token_urlsafe(16))
    remember(arrival)
    return render_template("welcome.html", token=session_token(), source=arrival.source, **outlook(status.trials))


@pages.post("/start")
def start() -> ResponseReturnValue:
    """Enrol the listener; a second click finds the first one's session."""
    check_token(request.form.get("token"))
    if request.form.get("consent") != "yes":
        return redirect(url_for(".welcome"))
    arrival = arrival_of_session()
    if not served().store.crowd.lets_in(arrival):
        abort(403)
    try:
        served().store.enrol(session["listener"], arrival)
    except TookPartError:
        return took_part(arrival)
    except NotOpenError as error:
        return not_open(error.status, arrival)
    return redirect(url_for(".next_page"), 303)


@pages.get("/declined")
def declined() -> ResponseReturnValue:
    """For participants of a platform who do not consent: their way back. Nothing is stored."""
    return sorry("Thank you anyway", "Nothing was stored.", arrival_of_session(), "declined")


@pages.get("/continue")
def next_page() -> ResponseReturnValue:
    """Wherever this listener is: the open step, or thanks."""
    return redirect(address_of(open_step(required_listener())))


@pages.get("/page/<kind>")
def step(kind: str) -> ResponseReturnValue:
    """The open step, if it is of that kind and no trial."""
    if kind not in STEP_PAGES:
        abort(404)
    listener = required_listener()
    step = open_step(listener)
    if step is None or step.kind != kind:
        return redirect(url_for(".next_page"))
    first = served().store.trial(listener.rating_trials[0].id) if listener.rating_trials else None
    return render_template(
        STEP_PAGES[kind].template, step=step, settings=json.loads(step.settings), study=served().study,
        stimulus=first and first.reference, token=session_token(),
    )  # fmt: skip


@pages.post("/step/<key>")
def complete(key: str) -> ResponseReturnValue:
    """Store what was said on a page that is no trial; a second click changes nothing."""
    check_token(request.form.get("token"))
    listener = required_listener()
    step = next((step for step in listener.steps if step.key == key), None)
    if step is None or step.kind not in STEP_PAGES:
        abort(404)
    outcome = STEP_PAGES[step.kind].read(request.form, json.loads(step.settings))
    with suppress(RefusedError):  # a page in a tab that was left behind
        served().store.complete(listener.key, key, outcome.answer, outcome.turned_away)
    return redirect(url_for(".next_page"), 303)


@pages.get("/trial")
def trial() -> ResponseReturnValue:
    """The open trial; after a reload the same one in the same order."""
    listener = required_listener()
    step = open_step(listener)
    if step is None or step.kind not in TRIAL_KINDS:
        return redirect(url_for(".next_page"))
    assert step.trial_id is not None
    study, trial = served().study, served().store.trial(step.trial_id)
    warm([served().path(trial.item, condition.name) for condition in study.conditions])
    trials = listener.rating_trials
    spent = [trial.seconds for trial in trials if trial.seconds is not None]
    left = [trial for trial in trials if trial.submitted is None]
    return render_template(
        "trial.html",
        trial=trial,
        heading="Practice trial" if step.kind == "training" else f"Trial {trial.position} of {len(trials)}",
        trials=len(trials),
        done=len(trials) - len(left),
        last=step is listener.steps[-1],
        minutes=minutes_for(len(left), mean(spent) if spent else expected_seconds(study)),
        study=study,
        token=session_token(),
        longest_comment=LONGEST_COMMENT,
    )


@pages.post("/trial/<key>")
def rate(key: str) -> ResponseReturnValue:
    """Store a trial, sent as JSON."""
    if "listener" not in session:
        abort(403)
    token, answers, seconds = read_answers(request)
    check_token(token)
    try:
        served().store.submit(session["listener"], key, answers, seconds)
    except UnknownTrialError as error:
        return flask.jsonify(error=str(error)), 404
    except AlreadyRatedError as error:
        return flask.jsonify(error=str(error)), 409
    except RefusedError as error:
        return flask.jsonify(error=str(error)), 400
    return flask.jsonify(next=url_for(".next_page"))


@pages.get("/thanks")
def thanks() -> ResponseReturnValue:
    """The end, and the way back to the platform that the listener came from; here the ratings are judged."""
    listener = required_listener()
    if open_step(listener) is not None:
        return redirect(url_for(".next_page"))
    served().store.settle()
    outcome = "finished" if listener.state == "active" else listener.state
    arrival = Arrival(listener.source, listener.person, listener.visit, json.loads(listener.arrival))
    back = way_back(arrival, served().store.crowd, outcome, receipt=listener.receipt)
    done = [trial for trial in listener.rating_trials if trial.submitted is not None]
    return render_template("thanks.html", listener=listener, trials=len(done), back=back, token=session_token())


@pages.post("/stop")
def stop() -> ResponseReturnValue:
    """End the session before its end; what was not rated goes to others."""
    check_token(request.form.get("token"))
    served().store.leave(required_listener().key)
    return redirect(url_for(".thanks"), 303)


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
    path = served().path(*found)
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


def open_step(listener: Listener) -> Step | None:
    """Where an active listener is; None for one whose session is over."""
    return listener.open_step if listener.state == "active" else None


def address_of(step: Step | None) -> str:
    """The page that shows this step."""
    if step is None:
        return url_for(".thanks")
    return url_for(".trial") if step.kind in TRIAL_KINDS else url_for(".step", kind=step.kind)


def remember(arrival: Arrival) -> None:
    """Keep in the cookie how this listener came, until consent."""
    session["arrival"] = asdict(arrival)


def arrival_of_session() -> Arrival:
    """How this listener came, as the cookie has it."""
    return Arrival(**session.get("arrival", {}))


def sorry(title: str, message: str, arrival: Arrival, outcome: str = "not let in") -> str:
    """A page for somebody who does not begin."""
    back = way_back(arrival, served().store.crowd, outcome)
    return render_template("closed.html", title=title, message=message, back=back)


def took_part(arrival: Arrival) -> str:
    """For a person who has a participation already."""
    message = (
        "You have taken part in this listening test, or begun it in another browser. Thank you! Each person can take "
        "part once; if you have not finished, go on where you began."
    )
    return sorry("You were here before", message, arrival)


def not_open(status: Status, arrival: Arrival) -> str:
    """For newcomers while the study lets nobody in."""
    messages = {
        "complete": "This listening test is complete: every sound has all the ratings it needs, so no more listeners "
        "are needed.",
        "waiting": "All places are taken at the moment. Some may come free: try again in an hour.",
        "paused": "This listening test pauses. Please come back later.",
        "closed": "This listening test is closed.",
    }
    return sorry("Thank you for coming", messages[status.state], arrival)


def warm(paths: list[Path]) -> None:
    """Have all sounds of a trial in memory before the first is asked for.

    The hidden reference is the file behind the open one: without this it alone would come from memory, and faster.
    """
    if hasattr(os, "posix_fadvise"):
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            os.close(descriptor)


def outlook(trials: int) -> dict[str, int]:
    """What the welcome page says of the session: trials and minutes."""
    study = served().study
    trials = min(trials, len(study.items))
    return {"trials": trials, "minutes": minutes_for(trials, expected_seconds(study))}


def expected_seconds(study: Study) -> float:
    """Seconds one trial takes before we know the listener: each sound and the reference heard twice."""
    return 2 * (len(study.conditions) + 1) * mean(item.seconds for item in study.items)


def minutes_for(trials: int, seconds: float) -> int:
    """Whole minutes for that many trials, at least one."""
    return max(1, round(trials * seconds / 60))
