"""The experimenter's pages: sign in, overview, the gate, the ways in, invitations, downloads."""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from earmark.codec.errors import UserError
from earmark.mushra_app.database import attention, collected
from earmark.mushra_app.database.admin_access import SESSION_SECONDS, TooManyTriesError, form_token, sign_in, sign_out
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study import crowd
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.web.downloads import answers_table, as_csv, as_parquet, listeners_table
from earmark.mushra_app.web.invitations import invitation
from earmark.mushra_app.web.overview import Overview, overview
from earmark.mushra_app.web.served import served

MOST_INVITATIONS = 500
MOST_PAY = 1000  # for an hour
PROLIFIC: Mapping[str, str] = {
    "prolific_completion": "Completion code", "prolific_screen_out": "Screen-out code",
    "prolific_no_consent": "No-consent code", "prolific_study": "Study id",
}  # fmt: skip
OUTSIDE = 3.0  # minutes for welcome, volume and thanks, until sessions have been measured
LOST = 0.1  # of the sessions: a usual share to plan with of listeners whom screening drops
# Shares of the pay, as the platforms published them in 2025; the page says to look there.
FEES = {"Prolific": 1 / 3, "Mechanical Turk, HITs of up to 9 assignments": 0.2, "Mechanical Turk, larger HITs": 0.4}

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.before_request
def require_sign_in() -> ResponseReturnValue | None:
    """Only the sign-in page is open to strangers; every form must carry its session's token."""
    if request.endpoint == "admin.enter":
        return None
    reads = request.method in ("GET", "HEAD")
    token = form_token(store(), request.cookies.get(cookie_name(), ""))
    if token is None:
        return redirect(url_for(".enter")) if reads else abort(403)
    if not reads and not secrets.compare_digest(token.encode(), request.form.get("token", "").encode()):
        abort(403)
    g.token = token
    return None


@admin.route("/sign-in", methods=["GET", "POST"])
def enter() -> ResponseReturnValue:
    """The password, against a session."""
    if request.method != "POST":
        return render_template("sign_in.html")
    try:
        secret = sign_in(store(), request.form.get("password", ""), request.remote_addr or "")
    except TooManyTriesError:
        return render_template("sign_in.html", problem="Too many wrong passwords. Wait a quarter of an hour."), 429
    if secret is None:
        return render_template("sign_in.html", problem="This is not the password."), 403
    response = redirect(url_for(".show"), 303)
    response.set_cookie(
        cookie_name(), secret, max_age=SESSION_SECONDS, path=url_for(".show"), secure=request.is_secure, httponly=True,
        samesite="Strict",
    )  # fmt: skip
    return response


@admin.post("/sign-out")
def leave() -> ResponseReturnValue:
    """End the session, here and for anybody who copied its cookie."""
    sign_out(store(), request.cookies.get(cookie_name(), ""))
    return redirect(url_for(".enter"), 303)


@admin.get("/")
def show() -> ResponseReturnValue:
    """Everything on one page."""
    return page()


@admin.post("/gate")
def gate() -> ResponseReturnValue:
    """Open, pause or close the study."""
    state = request.form.get("state")
    if state not in ("open", "paused", "closed"):
        abort(400)
    store().set_gate(state)
    return redirect(url_for(".show"), 303)


@admin.post("/listener/<int:listener_id>")
def judge(listener_id: int) -> ResponseReturnValue:
    """Let a listener's ratings count, or not."""
    counts = request.form.get("counts")
    if counts not in ("yes", "no") or not 0 < listener_id < 2**31:
        abort(400)
    store().exclude(listener_id, "" if counts == "yes" else "excluded by the experimenter")
    return redirect(url_for(".show", _anchor="listeners"), 303)


@admin.post("/crowd")
def ways_in() -> ResponseReturnValue:
    """Who is let in, Prolific's codes, and the pay; what cannot be comes back with its rule, and nothing is stored."""
    typed: dict[str, Any] = {name: request.form.get(name, "").strip() for name in (*PROLIFIC, "hourly")}
    typed |= {name: name in request.form for name in ("anonymous", "mturk")}
    read: dict[str, Any] = {}
    for name, label in PROLIFIC.items():
        try:
            read[name] = crowd.prolific_code(typed[name])
        except UserError as error:
            return page(ways=typed, problem=f"{label}: {error}."), 400
    try:
        read["hourly"] = float(typed["hourly"])
    except ValueError:
        read["hourly"] = math.nan
    if not 0 <= read["hourly"] <= MOST_PAY:
        return page(ways=typed, problem=f"Pay for an hour: “{typed['hourly']}” is no number from 0 to {MOST_PAY}."), 400
    store().crowd = crowd.Crowd(**typed | read)
    return redirect(url_for(".show", _anchor="ways-in"), 303)


@admin.post("/invitations")
def invite() -> ResponseReturnValue:
    """Personal links, one for each line of the form; nothing is stored, the same name gives the same link."""
    people = [line.strip()[:100] for line in request.form.get("people", "").splitlines() if line.strip()]
    return page(invitations=[(person, invitation(person)) for person in people[:MOST_INVITATIONS]])


@admin.get("/ratings.csv")
def ratings_csv() -> ResponseReturnValue:
    """All ratings, for spreadsheets."""
    return download(as_csv(store().ratings()), "ratings.csv", "text/csv")


@admin.get("/ratings.parquet")
def ratings_parquet() -> ResponseReturnValue:
    """All ratings, for programs."""
    return download(as_parquet(store().ratings()), "ratings.parquet", "application/vnd.apache.parquet")


@admin.get("/answers.csv")
def answers_csv() -> ResponseReturnValue:
    """All answers to questionnaires, and what listeners made of checks."""
    with store().reading() as session:
        table = answers_table(collected.questionnaire_answers(session), attention.checks(session))
    return download(as_csv(table), "answers.csv", "text/csv")


@admin.get("/listeners.csv")
def listeners_csv() -> ResponseReturnValue:
    """All listeners with the platform's ids, for paying them."""
    return download(as_csv(listeners_table(overview(store()))), "listeners.csv", "text/csv")


def page(
    invitations: list[tuple[str, str]] | None = None, ways: Mapping[str, Any] | None = None, problem: str = ""
) -> str:
    """The overview.

    Args:
        ways: what stands in the form of the ways in, if not what is stored.
        problem: with them.
    """
    found, address = overview(store()), url_for("entrance.welcome", _external=True)
    return render_template(
        "admin.html", study=served().study, found=found, token=g.token, crowd=store().crowd, address=address,
        prolific=crowd.prolific_address(address), mturk=crowd.turk_question(address), costs=costs(found),
        invitations=invitations, rule=store().rule, ways=ways or asdict(store().crowd), problem=problem,
        labels=PROLIFIC, most_pay=MOST_PAY,
    )  # fmt: skip


def costs(found: Overview) -> dict[str, crowd.Cost]:
    """What the ratings that are still missing cost on each platform."""
    study = served().study
    minutes = found.minutes or OUTSIDE + session_minutes(study)
    trials = min(study.trials_per_listener, len(study.items))
    return {
        name: crowd.cost(1, found.missing, trials, minutes, store().crowd.hourly, fee=fee, dropped=LOST)
        for name, fee in FEES.items()
    }


def download(content: bytes, name: str, kind: str) -> Response:
    """A file to keep."""
    return Response(content, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def store() -> Store:
    """The database of the study."""
    return served().store


def cookie_name() -> str:
    """Of the experimenter's session, apart from the listener's."""
    return f"{current_app.config['SESSION_COOKIE_NAME']}-admin"
