"""The listener's way: steps, trials, thanks; the audio behind tokens and the route that takes ratings."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from statistics import mean

import flask
from flask import Blueprint, Response, abort, redirect, render_template, request, send_file, session, url_for
from flask.typing import ResponseReturnValue

from earmark.eval.report.assets import PLAYER
from earmark.mushra_app.database.refusals import AlreadyRatedError, RefusedError, UnknownTrialError
from earmark.mushra_app.database.tables import Listener, Step
from earmark.mushra_app.study import headphone_check
from earmark.mushra_app.study.crowd import Arrival, way_back
from earmark.mushra_app.study.duration import trial_seconds
from earmark.mushra_app.study.questions import AnswerError
from earmark.mushra_app.web.answers import LONGEST_COMMENT, read_answers
from earmark.mushra_app.web.languages import gettext
from earmark.mushra_app.web.safety import check_token, session_token
from earmark.mushra_app.web.served import (
    TRIAL_KINDS,
    address_of,
    counted_steps,
    open_step,
    required_listener,
    served,
    this_listener,
    whole_minutes,
)
from earmark.mushra_app.web.steps import STEP_PAGES

pages = Blueprint("listener", __name__)


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
    if step is None or step.type != kind:
        return redirect(url_for(".next_page"))
    return show(step, listener)


def show(step: Step, listener: Listener, problem: str = "") -> str:
    """The page of a step that is no trial."""
    first = served().store.trial(listener.rating_trials[0].id) if listener.rating_trials else None
    trials, page, settings = counted_steps(listener), STEP_PAGES[step.type], step.settings
    return render_template(
        page.template, **page.shows(settings), step=step, settings=settings, study=served().study,
        said=step.answer, given=request.form, stimulus=first and first.reference,
        problem=problem, token=session_token(), trials=len(trials), done=sum(one.done is not None for one in trials),
    )  # fmt: skip


@pages.post("/step/<key>")
def complete(key: str) -> ResponseReturnValue:
    """Store what was said on a page that is no trial; a second click changes nothing."""
    check_token(request.form.get("token"))
    listener = required_listener()
    step = next((step for step in listener.steps if step.key == key), None)
    if step is None or step.type not in STEP_PAGES:
        abort(404)
    try:
        outcome = STEP_PAGES[step.type].read(request.form, step.settings, step.answer)
    except AnswerError as error:
        if step.done is None:
            return show(step, listener, str(error)), 400
        return redirect(url_for(".next_page"), 303)
    with suppress(RefusedError):  # a page in a tab that was left behind
        served().store.complete(
            listener.key, key, outcome.answer, outcome.turned_away, again=outcome.again, before=step.answer
        )
    return redirect(url_for(".next_page"), 303)


@pages.get("/trial")
def trial() -> ResponseReturnValue:
    """The open trial; after a reload the same one in the same order."""
    listener = required_listener()
    step = open_step(listener)
    if step is None or step.type not in TRIAL_KINDS:
        return redirect(url_for(".next_page"))
    assert step.trial_id is not None
    study, trial = served().study, served().store.trial(step.trial_id)
    warm([served().path(trial.item, condition.name) for condition in study.conditions])
    steps = counted_steps(listener)
    ids = {other.trial_id for other in steps}
    trials = [trial for trial in listener.trials if trial.id in ids]
    spent = [trial.seconds for trial in trials if trial.seconds is not None]
    left = [trial for trial in trials if trial.submitted is None]
    return render_template(
        "trial.html",
        trial=trial,
        practice=step.type == "training",
        heading=heading(step, steps),
        trials=len(trials),
        done=len(trials) - len(left),
        last=step is listener.steps[-1],
        minutes=whole_minutes(len(left) * (mean(spent) if spent else trial_seconds(study)) / 60),
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
        return flask.jsonify(error=gettext(str(error))), 404
    except AlreadyRatedError as error:
        return flask.jsonify(error=gettext(str(error))), 409
    except RefusedError as error:
        return flask.jsonify(error=gettext(str(error))), 400
    return flask.jsonify(next=url_for(".next_page"))


@pages.get("/thanks")
def thanks() -> ResponseReturnValue:
    """The end, and the way back to the platform that the listener came from; here the ratings are judged."""
    listener = required_listener()
    if open_step(listener) is not None:
        return redirect(url_for(".next_page"))
    served().store.screen_ended_sessions()
    outcome = "finished" if listener.state == "active" else listener.state
    arrival = Arrival(listener.source, listener.person, listener.visit, listener.arrival)
    back = way_back(arrival, served().store.crowd, outcome, receipt=listener.receipt)
    done = [step for step in counted_steps(listener) if step.done is not None]
    return render_template("thanks.html", listener=listener, trials=len(done), back=back, token=session_token())


@pages.post("/stop")
def stop() -> ResponseReturnValue:
    """End the session before its end; what was not rated goes to others."""
    check_token(request.form.get("token"))
    served().store.leave(required_listener().key)
    return redirect(url_for(".thanks"), 303)


@pages.post("/leave")
def leave() -> ResponseReturnValue:
    """Forget this listener, so that the next one can use the same computer; who was turned away gets no fresh try."""
    check_token(request.form.get("token"))
    listener = this_listener()
    if listener is not None and listener.state == "turned away":
        return redirect(url_for(".thanks"), 303)
    session.clear()
    return redirect(url_for("entrance.welcome"), 303)


@pages.get("/audio/<token>.wav")
def stimulus(token: str) -> ResponseReturnValue:
    """A stimulus, for the listener whose token it is.

    No entity tag, date or file name goes with it: all come from the file and are equal for the reference and its hidden
    copy.
    """
    found = served().store.stimulus(session.get("listener", ""), token)
    if found is None:
        abort(404)
    return sound(send_file(served().path(*found), mimetype="audio/wav", conditional=False, etag=False))


@pages.get("/headphones/<key>/<int:attempt>/<int:number>.wav")
def headphone_sound(key: str, attempt: int, number: int) -> ResponseReturnValue:
    """A trial of the headphone check that this listener is at, in this attempt; numbers count from 0."""
    step = open_step(required_listener())
    if step is None or step.key != key or step.type != "headphones" or number >= headphone_check.TRIALS:
        abort(404)
    if attempt != (len(step.answer["right"]) if step.answer else 0):
        abort(404)
    settings = step.settings
    one = headphone_check.rounds(settings["secret"], attempt)[number]
    return sound(Response(headphone_check.sound(settings["method"], one), mimetype="audio/wav"))


def sound(response: Response) -> Response:
    """A sound as it is sent: with nothing that tells of its file, to be kept for an hour."""
    for name in ("Last-Modified", "Content-Disposition"):
        response.headers.pop(name, None)
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@pages.get("/static/player.js")
def player() -> ResponseReturnValue:
    """Player module, shared with the report page of `earmark compare`."""
    return send_file(PLAYER, mimetype="text/javascript")


def heading(step: Step, trials: list[Step]) -> str:
    """Of a trial page."""
    if step.type == "training":
        return gettext("Practice trial")
    return gettext("Trial %(number)s of %(count)s") % {"number": trials.index(step) + 1, "count": len(trials)}


def warm(paths: list[Path]) -> None:
    """Have all sounds of a trial in memory before the first is asked for.

    The hidden reference is the file behind the open one: without this it alone would come from memory, and faster.
    """
    if hasattr(os, "posix_fadvise"):
        for path in paths:
            descriptor = os.open(path, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            os.close(descriptor)
