"""The experimenter's pages: sign-in, overview, opening and closing, admission, invitations, downloads."""

from __future__ import annotations

import math
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, abort, current_app, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature, URLSafeSerializer

from earmark.codec.errors import UserError
from earmark.mushra_app.database import attention, collected
from earmark.mushra_app.database.admin_access import SESSION_SECONDS, TooManyTriesError, form_token, sign_in, sign_out
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study import cost, crowd
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.web import faults
from earmark.mushra_app.web.downloads import answers_table, as_csv, as_parquet, listeners_table
from earmark.mushra_app.web.invitations import invitation
from earmark.mushra_app.web.listener_rows import all_listeners
from earmark.mushra_app.web.overview import Overview, overview
from earmark.mushra_app.web.served import served

MAX_INVITATIONS = 500
BROWSER_SECONDS = 365 * 24 * 3600
MAX_HOURLY_PAY = 1000
PROLIFIC: Mapping[str, str] = {
    "prolific_completion": "Completion code", "prolific_screen_out": "Screen-out code",
    "prolific_no_consent": "No-consent code", "prolific_study": "Study id",
}  # fmt: skip

admin = Blueprint("admin", __name__, url_prefix="/admin")


@admin.before_request
def require_sign_in() -> ResponseReturnValue | None:
    """Require a session on all pages but sign-in, and its CSRF token in every form."""
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
    """Exchange the password for a session."""
    if request.method != "POST":
        return render_template("sign_in.html")
    try:
        secret = sign_in(store(), request.form.get("password", ""), request.remote_addr or "", known_browser())
    except TooManyTriesError:
        return render_template("sign_in.html", problem="Too many wrong passwords. Wait a quarter of an hour."), 429
    if secret is None:
        return render_template("sign_in.html", problem="This is not the password."), 403
    response = redirect(url_for(".show"), 303)
    response.set_cookie(
        cookie_name(), secret, max_age=SESSION_SECONDS, path=url_for(".show"), secure=request.is_secure, httponly=True,
        samesite="Strict",
    )  # fmt: skip
    response.set_cookie(
        f"{cookie_name()}-browser", _browsers().dumps(known_browser() or secrets.token_urlsafe(12)),
        max_age=BROWSER_SECONDS, path=url_for(".show"), secure=request.is_secure, httponly=True, samesite="Strict",
    )  # fmt: skip
    return response


def known_browser() -> str:
    """Id of a browser that has signed in before, from a signed cookie that nobody can make up; "" for another."""
    try:
        return str(_browsers().loads(request.cookies.get(f"{cookie_name()}-browser", "")))
    except BadSignature:
        return ""


def _browsers() -> URLSafeSerializer:
    assert isinstance(current_app.secret_key, str)
    return URLSafeSerializer(current_app.secret_key, salt="admin browser")


@admin.post("/sign-out")
def leave() -> ResponseReturnValue:
    """End the session, also for anybody who copied its cookie."""
    sign_out(store(), request.cookies.get(cookie_name(), ""))
    return redirect(url_for(".enter"), 303)


@admin.get("/")
def show() -> ResponseReturnValue:
    """Show the overview."""
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
    """Include or exclude a listener's ratings."""
    counts = request.form.get("counts")
    if counts not in ("yes", "no") or not 0 < listener_id < 2**31:
        abort(400)
    store().exclude(listener_id, "" if counts == "yes" else "excluded by the experimenter")
    return redirect(url_for(".show", _anchor="listeners", **shown_listeners()), 303)


@admin.post("/places")
def free_places() -> ResponseReturnValue:
    """Free the places that are reserved for a listener, or for everybody who has stored no trial yet."""
    given = request.form.get("listener", "")
    if given and (not given.isascii() or not given.isdigit() or not 0 < int(given[:12]) < 2**31):
        abort(400)
    store().free_places(int(given) if given else None)
    return redirect(url_for(".show", _anchor="listeners", **shown_listeners()), 303)


@admin.post("/crowd")
def ways_in() -> ResponseReturnValue:
    """Set who is admitted, Prolific's codes, and the pay. Invalid values are explained, and nothing is stored."""
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
    if not 0 <= read["hourly"] <= MAX_HOURLY_PAY:
        problem = f"Pay per hour: “{typed['hourly']}” is not a number from 0 to {MAX_HOURLY_PAY}."
        return page(ways=typed, problem=problem), 400
    store().crowd = crowd.Crowd(**typed | read)
    return redirect(url_for(".show", _anchor="ways-in"), 303)


@admin.post("/invitations")
def invite() -> ResponseReturnValue:
    """Make personal links, one per line of the form. The same name gives the same link; nothing is stored."""
    people = [line.strip()[:100] for line in request.form.get("people", "").splitlines() if line.strip()]
    return page(invitations=[(person, invitation(person)) for person in people[:MAX_INVITATIONS]])


@admin.get("/ratings.csv")
def ratings_csv() -> ResponseReturnValue:
    """Download all ratings as CSV."""
    return download(as_csv(store().ratings()), "ratings.csv", "text/csv")


@admin.get("/ratings.parquet")
def ratings_parquet() -> ResponseReturnValue:
    """Download all ratings as Parquet."""
    return download(as_parquet(store().ratings()), "ratings.parquet", "application/vnd.apache.parquet")


@admin.get("/moves.csv")
def moves_csv() -> ResponseReturnValue:
    """Download all moves of the sliders, with their times."""
    with store().reading() as session:
        table = collected.moves(session)
    return download(as_csv(table), "moves.csv", "text/csv")


@admin.get("/answers.csv")
def answers_csv() -> ResponseReturnValue:
    """Download all answers to questionnaires, and the results of checks."""
    with store().reading() as session:
        table = answers_table(collected.questionnaire_answers(session), attention.checks(session))
    return download(as_csv(table), "answers.csv", "text/csv")


@admin.get("/listeners.csv")
def listeners_csv() -> ResponseReturnValue:
    """Download all listeners with their ids on the platforms, for payment."""
    return download(as_csv(listeners_table(all_listeners(store()))), "listeners.csv", "text/csv")


def page(
    invitations: list[tuple[str, str]] | None = None, ways: Mapping[str, Any] | None = None, problem: str = ""
) -> str:
    """Render the overview.

    Args:
        invitations: persons and their links.
        ways: values of the admission form; default: the stored ones.
        problem: what is wrong with them.
    """
    shown = shown_listeners()
    current = overview(store(), shown.get("show", "all"), int(shown.get("page", 1)))
    address, admitted = url_for("entrance.welcome", _external=True), store().crowd
    return render_template(
        "admin.html", study=served().study, overview=current, token=g.token, crowd=admitted, address=address,
        faults=[(one, datetime.fromtimestamp(one.last, UTC)) for one in faults.faults().all()],
        platform=served().study.platform, platform_address=platform_address(address),
        prolific=crowd.prolific_address(address), mturk=crowd.turk_question(address),
        costs=costs(current, admitted.hourly), invitations=invitations, rule=store().rule,
        ways=ways or asdict(admitted), problem=problem, labels=PROLIFIC, max_hourly_pay=MAX_HOURLY_PAY, shown=shown,
    )  # fmt: skip


def platform_address(address: str) -> str:
    """Study URL to enter on the platform of the study."""
    platform = served().study.platform
    return f"{address}?{platform.study_address}" if platform and platform.study_address else address


def shown_listeners() -> dict[str, Any]:
    """Parameters of the address that choose the listeners to show: group (`show`) and number of the page (`page`)."""
    found = {name: request.args[name][:20] for name in ("show", "page") if name in request.args}
    if not re.fullmatch("[0-9]{1,9}", found.get("page", "1")):
        del found["page"]
    return found


def costs(overview: Overview, hourly: float) -> dict[str, cost.Cost]:
    """Costs of the missing ratings, by platform; sessions take as long as they really took, once some have ended."""
    study = served().study
    minutes = math.ceil(overview.minutes) if overview.minutes else session_minutes(study)
    trials = min(study.trials_per_listener, len(study.items))
    return {
        name: cost.cost(1, overview.missing, trials, minutes, hourly, fee=fee, dropped=cost.DROPPED_SHARE)
        for name, fee in cost.FEES.items()
    }


def download(content: bytes, name: str, mimetype: str) -> Response:
    """Make a response that browsers save as a file."""
    return Response(content, mimetype=mimetype, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def store() -> Store:
    """Database of the study."""
    return served().store


def cookie_name() -> str:
    """Name of the cookie with the experimenter's session; the listener's is another one."""
    return f"{current_app.config['SESSION_COOKIE_NAME']}-admin"
