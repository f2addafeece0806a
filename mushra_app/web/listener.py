"""The listener's session: its steps and trials, the final page, and the route that stores ratings."""

from __future__ import annotations

from contextlib import suppress
from statistics import mean
from typing import Any

import flask
from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from earmark.mushra_app.database.refusals import AlreadyRatedError, RefusedError, UnknownTrialError
from earmark.mushra_app.database.tables import Listener, Step
from earmark.mushra_app.study.crowd import Arrival, way_back
from earmark.mushra_app.study.duration import trial_seconds
from earmark.mushra_app.study.questions import AnswerError
from earmark.mushra_app.web.answers import MAX_COMMENT_LENGTH, read_answers
from earmark.mushra_app.web.languages import gettext
from earmark.mushra_app.web.safety import check_token, session_token
from earmark.mushra_app.web.served import (
    TRIAL_TYPES,
    address_of,
    numbered_steps,
    open_step,
    required_listener,
    served,
    this_listener,
    whole_minutes,
)
from earmark.mushra_app.web.steps import STEP_PAGES
from earmark.mushra_app.web.stimulus_files import preload

pages = Blueprint("listener", __name__)


@pages.get("/continue")
def next_page() -> ResponseReturnValue:
    """Redirect to the page of the open step."""
    return redirect(address_of(open_step(required_listener())))


@pages.get("/page/<page_type>")
def step(page_type: str) -> ResponseReturnValue:
    """Show the open step if it has this type and is not a trial."""
    if page_type not in STEP_PAGES:
        abort(404)
    listener = required_listener()
    step = open_step(listener)
    if step is None or step.type != page_type:
        return redirect(url_for(".next_page"))
    return show_step(step, listener)


def show_step(step: Step, listener: Listener, problem: str = "") -> str:
    """Render the page of a step that is not a trial.

    Args:
        problem: what is wrong with the answer that was submitted.
    """
    first = served().store.trial(listener.rating_trials[0].id) if listener.rating_trials else None
    trials, page = numbered_steps(listener), STEP_PAGES[step.type]
    return render_template(
        page.template, **page.variables(step.settings), step=step, study=served().study, form=request.form,
        stimulus=first and first.reference, problem=problem, token=session_token(), trials=len(trials),
        done=sum(one.done is not None for one in trials),
    )  # fmt: skip


@pages.post("/step/<key>")
def complete(key: str) -> ResponseReturnValue:
    """Store the answer of a page that is not a trial. A second click changes nothing."""
    check_token(request.form.get("token"))
    listener = required_listener()
    step = next((step for step in listener.steps if step.key == key), None)
    if step is None or step.type not in STEP_PAGES:
        abort(404)
    try:
        outcome = STEP_PAGES[step.type].read(request.form, step.settings, step.answer)
    except AnswerError as error:
        if step.done is None:
            return show_step(step, listener, str(error)), 400
        return redirect(url_for(".next_page"), 303)
    with suppress(RefusedError):  # from a tab with an earlier page
        served().store.complete(
            listener.key, key, outcome.answer, outcome.turned_away, again=outcome.again, before=step.answer
        )
    return redirect(url_for(".next_page"), 303)


@pages.get("/trial")
def trial() -> ResponseReturnValue:
    """Show the open trial; after a reload the same one in the same order."""
    listener = required_listener()
    step = open_step(listener)
    if step is None or step.type not in TRIAL_TYPES:
        return redirect(url_for(".next_page"))
    if listener.begun is None:
        listener = served().store.begin(listener.key)
        step = open_step(listener)
        if step is None or step.type not in TRIAL_TYPES:  # others took all places
            return redirect(url_for(".next_page"))
    assert step.trial_id is not None
    study, trial = served().study, served().store.serve_trial(step.trial_id)
    conditions = study.conditions_of(study.item(trial.item))
    preload([served().path(trial.item, condition.name) for condition in conditions])
    return render_template(
        "trial.html", trial=trial, practice=step.type == "training", heading=heading(step, numbered_steps(listener)),
        last=step is listener.steps[-1], study=study, token=session_token(), max_comment_length=MAX_COMMENT_LENGTH,
        **progress(listener),
    )  # fmt: skip


def progress(listener: Listener) -> dict[str, Any]:
    """How many trials there are (`trials`), how many are done (`done`), and the estimated `minutes` left."""
    ids = {step.trial_id for step in numbered_steps(listener)}
    trials = [trial for trial in listener.trials if trial.id in ids]
    spent = [trial.seconds for trial in trials if trial.seconds is not None]
    left = sum(trial.submitted is None for trial in trials)
    seconds = mean(spent) if spent else trial_seconds(served().study)
    return {"trials": len(trials), "done": len(trials) - left, "minutes": whole_minutes(left * seconds / 60)}


def heading(step: Step, steps: list[Step]) -> str:
    """Heading of a trial page."""
    if step.type == "training":
        return gettext("Practice trial")
    return gettext("Trial %(number)s of %(count)s") % {"number": steps.index(step) + 1, "count": len(steps)}


@pages.post("/trial/<key>")
def rate(key: str) -> ResponseReturnValue:
    """Store the ratings of a trial, sent as JSON."""
    if "listener" not in session:
        abort(403)
    token, answers, seconds, heard = read_answers(request)
    check_token(token)
    try:
        served().store.submit(session["listener"], key, answers, seconds, heard)
    except UnknownTrialError as error:
        return flask.jsonify(error=gettext(str(error))), 404
    except AlreadyRatedError as error:
        return flask.jsonify(error=gettext(str(error))), 409
    except RefusedError as error:
        return flask.jsonify(error=gettext(str(error))), 400
    return flask.jsonify(next=url_for(".next_page"))


@pages.get("/thanks")
def thanks() -> ResponseReturnValue:
    """Show the final page, with the way back to the platform, and screen the listener's ratings."""
    listener = required_listener()
    if open_step(listener) is not None:
        return redirect(url_for(".next_page"))
    served().store.screen_ended_sessions()
    listener = required_listener()  # as screening left it
    outcome = "refused" if listener.excluded_by == "timing" else listener.outcome
    arrival = Arrival(listener.source, listener.person, listener.visit, listener.arrival)
    back = way_back(arrival, served().store.crowd, outcome, listener.receipt, served().study.platform)
    done = sum(step.done is not None for step in numbered_steps(listener))
    return render_template(
        "thanks.html", listener=listener, outcome=outcome, trials=done, back=back, token=session_token()
    )  # fmt: skip


@pages.post("/stop")
def stop() -> ResponseReturnValue:
    """End the session early. Other listeners rate what is left."""
    check_token(request.form.get("token"))
    served().store.leave(required_listener().key)
    return redirect(url_for(".thanks"), 303)


@pages.post("/leave")
def leave() -> ResponseReturnValue:
    """Forget this listener, so that the next one can use the same computer.

    A listener who was turned away stays, and so gets no second try.
    """
    check_token(request.form.get("token"))
    listener = this_listener()
    if listener is not None and listener.state == "turned away":
        return redirect(url_for(".thanks"), 303)
    session.clear()
    return redirect(url_for("entrance.welcome"), 303)
