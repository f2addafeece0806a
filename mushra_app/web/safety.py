"""Protection of listeners and ratings: response headers, cookies, CSRF tokens and error pages."""

from __future__ import annotations

import secrets
from contextlib import suppress
from urllib.parse import unquote

from flask import Flask, Request, Response, abort, current_app, jsonify, render_template, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from itsdangerous import BadSignature
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, ServiceUnavailable

from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.crowd import TURK_HOSTS
from earmark.mushra_app.web import faults
from earmark.mushra_app.web.languages import gettext

# Mechanical Turk shows the listener's pages in a frame, and receives a form at the end.
TURK = "https://*.mturk.com"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'self'{forms}; frame-ancestors {frames}"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
ADMIN_HEADERS = {
    "Content-Security-Policy": POLICY.format(forms="", frames="'none'"),
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}

# Messages for listeners, by status.
REMEDIES = {
    400: marked("The request was not understood. Reload the page and try again."),
    403: marked(
        "Your session is not known any more; perhaps cookies were deleted. Go to the first page and start again."
    ),
    404: marked("There is no such page in this listening test."),
    405: marked("This page cannot be used in that way. Go back to the first page."),
    413: marked("That was too long. Shorten your comments and try again."),
    503: marked("The server is busy. Your answers are kept in this browser; try again in a moment."),
}
APOLOGY = marked("Something went wrong on our side. Your finished trials are stored; reload the page to go on.")


class Cookies(SecureCookieSessionInterface):
    """Session cookies that also work in the frames of Mechanical Turk and of the sites of --embed-in.

    In a frame, browsers require the attribute Secure, hence https, and Partitioned, which separates the cookie from
    those of other frames. Elsewhere the cookie is for this site only (SameSite=Lax).

    No clocks are compared. The server does not look at the age of a cookie, which is negative where the clock that
    signed it was ahead: on another server, or before it was set back. Browsers count Max-Age by their own clock, and
    compare Expires with it.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Read the cookie, whatever its age."""
        serializer = self.get_signing_serializer(app)
        if serializer is None:
            return None
        with suppress(BadSignature):
            return self.session_class(serializer.loads(request.cookies.get(self.get_cookie_name(app), "")))
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Set the cookie, with Max-Age besides Expires."""
        super().save_session(app, session, response)
        start, age = f"{self.get_cookie_name(app)}=", int(app.permanent_session_lifetime.total_seconds())
        cookies = [
            f"{one}; Max-Age={age}" if one.startswith(start) and "Expires=" in one and "Max-Age=" not in one else one
            for one in response.headers.getlist("Set-Cookie")
        ]
        if cookies:
            response.headers.setlist("Set-Cookie", cookies)

    def get_cookie_path(self, app: Flask) -> str:
        """Path of the public address, so that other apps of its host do not get the cookie."""
        return f"{request.script_root}/"

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure

    def get_cookie_samesite(self, app: Flask) -> str:
        return "None" if self._framed() else "Lax"

    def get_cookie_partitioned(self, app: Flask) -> bool:
        return self._framed()

    def _framed(self) -> bool:
        by_turk = session.get("arrival", {}).get("source") == "mturk"
        return request.is_secure and (by_turk or bool(current_app.config["EMBED_IN"]))


def protect(app: Flask) -> None:
    """Add the headers above to all responses, and show errors as a page to people and as JSON to scripts."""
    app.session_interface = Cookies()
    app.before_request(_refuse_nul)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _show_error)
    app.register_error_handler(OperationalError, _show_busy)
    app.register_error_handler(OSError, _show_full)


def session_token() -> str:
    """CSRF token that the forms and scripts of this session must send back."""
    if "token" not in session:
        session["token"] = secrets.token_urlsafe(16)
        session.permanent = True
    token: str = session["token"]
    return token


def check_token(given: object) -> None:
    """Abort with 403 unless `given` is the CSRF token of this session."""
    expected = session.get("token")
    if expected is None or not isinstance(given, str) or not secrets.compare_digest(expected.encode(), _bytes(given)):
        abort(403)


def _bytes(text: str) -> bytes:
    """UTF-8, also of the lone surrogates that JSON can hold."""
    return text.encode(errors="surrogatepass")


def _refuse_nul() -> None:
    """Abort with 404 if the address contains NUL, on which PostgreSQL would fail. None of our addresses does."""
    if "\0" in unquote(request.full_path):
        abort(404)


def _add_headers(response: Response) -> Response:
    frames = " ".join(["'self'", TURK, *current_app.config["EMBED_IN"]])
    forms = "".join(f" {host}" for host in TURK_HOSTS)
    response.headers["Content-Security-Policy"] = POLICY.format(forms=forms, frames=frames)
    response.headers.update(HEADERS)
    if request.blueprint == "admin":
        response.headers.update(ADMIN_HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _show_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    message = gettext(REMEDIES.get(error.code, APOLOGY))  # Flask has logged an unforeseen exception, and made it 500
    if request.accept_mimetypes.best == "application/json" or request.is_json:
        return jsonify(error=message), error.code
    return render_template("error.html", message=message), error.code


def _show_busy(error: OperationalError) -> ResponseReturnValue:
    """Report that the database is locked or unreachable, so that the browser tries again."""
    faults.note(faults.database_cause(error), str(error.orig))
    return _show_error(ServiceUnavailable(str(error)))


def _show_full(error: OSError) -> ResponseReturnValue:
    """Report a full disk in the same way. Other errors are unforeseen."""
    if not faults.is_full(error):
        raise error
    faults.note(faults.DISK_FULL, str(error))
    return _show_error(ServiceUnavailable(str(error)))
