"""The way into a study: arrival, consent, and pages for people who cannot begin."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from earmark.mushra_app.database.refusals import NotOpenError, Status, TookPartError, TooManySessionsError
from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.crowd import Arrival, ArrivalError, read_arrival, way_back
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.pages import trial_count
from earmark.mushra_app.web import faults, signed_address
from earmark.mushra_app.web.device import describe
from earmark.mushra_app.web.invitations import read_invitation
from earmark.mushra_app.web.languages import gettext
from earmark.mushra_app.web.safety import check_token, session_token
from earmark.mushra_app.web.served import is_running, served, this_listener

pages = Blueprint("entrance", __name__)


@pages.get("/")
def welcome() -> ResponseReturnValue:
    """Show what the study is about and ask for consent. A listener with a session continues it instead."""
    store = served().store
    try:
        arrival = read_invitation(request.args) or arrival_of_address()
    except ArrivalError as error:
        faults.note(faults.REFUSED["damaged"])
        return cannot_begin(marked("This address is not complete"), str(error), Arrival()), 400
    if arrival.preview:
        return render_template("welcome.html", preview=True, **outlook(served().study.trials_per_listener))
    resumed = resume(arrival)
    if resumed is not None:
        return resumed
    if not admits(arrival):
        faults.note(faults.REFUSED["way"], f"source: {arrival.source}")
        return cannot_begin(
            marked("Not open this way"), marked("This listening test takes no listeners by this address."), arrival
        )
    status = store.status()
    if status.state != "open":
        return not_open(status, arrival)
    # A running session of this browser stays until somebody consents: any page could have opened this address.
    session.setdefault("next_listener", secrets.token_urlsafe(16))
    remember(arrival)
    return render_template(
        "welcome.html", token=session_token(), source=arrival.source,
        from_platform=arrival.source not in ("anonymous", "personal"), running=is_running(this_listener()),
        **outlook(status.trials),
    )  # fmt: skip


def arrival_of_address() -> Arrival:
    """How the parameters of the address say that this person came.

    Raises:
        ArrivalError: if they are damaged, or not signed although the study asks for it.
    """
    platform, keys = served().study.platform, served().keys
    if keys is None or platform is None or not {signed_address.PARAMETER, "PROLIFIC_PID"} & request.args.keys():
        return read_arrival(request.args, platform)
    mine = this_listener()
    known = None if mine is None else Arrival(mine.source, mine.person)
    return signed_address.signed_arrival(request.args, keys, platform.signed_for or request.host, known)


def admits(arrival: Arrival) -> bool:
    """Whether the study admits somebody who came this way: by its platform, or as set on the admin page."""
    platform = served().study.platform
    if platform is not None and arrival.source == platform.name and not platform.is_set_on_admin_page:
        return True
    return served().store.crowd.lets_in(arrival)


def resume(arrival: Arrival) -> ResponseReturnValue | None:
    """Continue the session of this browser or person; returns None for newcomers.

    A person whose session is open in this browser and who comes with another visit, for example because a HIT was
    returned and accepted again, continues it.
    """
    mine, store = this_listener(), served().store
    if arrival.person is None:
        return None if mine is None else redirect(url_for("listener.next_page"))
    known = store.participation(arrival)
    if known is None or known.visit != arrival.visit:
        is_same = mine is not None and (mine.source, mine.person) == (arrival.source, arrival.person)
        if mine is None or not is_same or not is_running(mine):
            return took_part(arrival) if store.took_part(arrival) else None
        store.revisit(mine.key, arrival)
        known = mine
    if mine is not None and mine.id != known.id and is_running(mine):
        remember(arrival)
        return render_template("other_session.html", token=session_token())
    session["listener"] = known.key
    remember(arrival)
    return redirect(url_for("listener.next_page"))


@pages.post("/switch")
def switch() -> ResponseReturnValue:
    """Continue the session of the person who arrived last, instead of the one that is open in this browser."""
    check_token(request.form.get("token"))
    arrival = arrival_of_session()
    known = served().store.participation(arrival)
    if known is not None and known.visit == arrival.visit:
        session["listener"] = known.key
    return redirect(url_for("listener.next_page"), 303)


@pages.post("/start")
def start() -> ResponseReturnValue:
    """Start the listener's session. A second click finds the session of the first."""
    check_token(request.form.get("token"))
    if request.form.get("consent") != "yes":
        return redirect(url_for(".welcome"))
    arrival = arrival_of_session()
    if not admits(arrival):
        abort(403)
    device = describe(request.headers.get("User-Agent", ""), request.form.get("device", ""))
    refusal = served().study.entry.refusal(device)
    if refusal is not None:
        message, values = refusal
        faults.note(faults.REFUSED["device"], f"{device.get('type')}, {device.get('sample_rate')} Hz")
        return cannot_begin(
            marked("Thank you for coming"), message, arrival, "turned away", values=values, can_return=True
        )
    key = session.get("next_listener") or session.get("listener") or abort(403)
    try:
        served().store.enrol(key, arrival, request.remote_addr or "", device)
    except TookPartError:
        return took_part(arrival)
    except TooManySessionsError:
        return too_many(arrival), 429
    except NotOpenError as error:
        return not_open(error.status, arrival)
    session["listener"] = key
    session.pop("next_listener", None)
    return redirect(url_for("listener.next_page"), 303)


@pages.get("/declined")
def declined() -> ResponseReturnValue:
    """Show participants who do not consent the way back to their platform. Stores nothing."""
    return cannot_begin(marked("Thank you anyway"), marked("Nothing was stored."), arrival_of_session(), "declined")


def remember(arrival: Arrival) -> None:
    """Store in the cookie how this listener came, until consent."""
    session["arrival"] = asdict(arrival)


def arrival_of_session() -> Arrival:
    """How this listener came, according to the cookie."""
    return Arrival(**session.get("arrival", {}))


def cannot_begin(
    title: str, message: str, arrival: Arrival, outcome: str = "not let in", *, values: Mapping[str, str] = {},
    can_return: bool = False,
) -> str:  # fmt: skip
    """Render a page for somebody who cannot begin.

    Args:
        title, message: marked; translated here.
        outcome: see crowd.way_back.
        values: of the placeholders in the message.
        can_return: whether the message asks to open the test again, so that the way back is for those who cannot.
    """
    back = way_back(arrival, served().store.crowd, outcome, platform=served().study.platform)
    return render_template(
        "closed.html",
        title=gettext(title),
        message=gettext(message) % values if values else gettext(message),
        back=back,
        can_return=can_return,
    )


def took_part(arrival: Arrival) -> str:
    """Render the page for a person who has taken part before."""
    faults.note(faults.REFUSED["took part"])
    message = marked("You have taken part in this listening test. Thank you! Each person can take part once.")
    return cannot_begin(marked("You were here before"), message, arrival)


def too_many(arrival: Arrival) -> str:
    """Render the page for a newcomer whose network address has too many open sessions."""
    faults.note(faults.REFUSED["address"])
    message = marked(
        "Many people take this test from your network at the moment. Please try again in an hour, or tell the "
        "experimenter."
    )
    return cannot_begin(marked("Thank you for coming"), message, arrival, can_return=True)


def not_open(status: Status, arrival: Arrival) -> str:
    """Render the page for newcomers while the study admits nobody."""
    faults.note(faults.REFUSED[status.state])
    messages = {
        "complete": marked(
            "This listening test is complete: every sound has all the ratings it needs, so no more listeners are "
            "needed."
        ),
        "waiting": marked("All places are taken at the moment. Some may come free: try again in an hour."),
        "paused": marked("This listening test pauses. Please come back later."),
        "closed": marked("This listening test is closed."),
    }
    can_return = status.state in ("waiting", "paused")
    return cannot_begin(marked("Thank you for coming"), messages[status.state], arrival, can_return=can_return)


def outlook(trials: int) -> dict[str, Any]:
    """Variables of welcome.html: length of a session that rates at most `trials` items, and the author's texts."""
    study = served().study
    rated = min(trials, len(study.items))
    minutes = session_minutes(study, rated)
    return {"trials": trial_count(study.pages, rated), "minutes": minutes, "texts": study.texts}
