"""What protects listeners and ratings: response headers, the session's token against forged requests, error pages."""

from __future__ import annotations

import secrets

from flask import Flask, Response, abort, jsonify, render_template, request, session
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, ServiceUnavailable

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

# What a listener can do about it.
REMEDIES = {
    400: "The request was not understood. Reload the page and try again.",
    403: "Your session is not known any more; perhaps cookies were deleted. Go to the first page and start again.",
    404: "There is no such page in this listening test.",
    405: "This page cannot be used in that way. Go back to the first page.",
    413: "That was too long. Shorten your comments and try again.",
    503: "The server is busy. Your answers are kept in this browser; try again in a moment.",
}
EXCUSE = "Something went wrong on our side. Your finished trials are stored; reload the page to go on."


def protect(app: Flask) -> None:
    """Give every response the headers above, and every error a page for people or JSON for scripts."""
    app.before_request(_refuse_nul)
    app.after_request(_add_headers)
    app.register_error_handler(HTTPException, _show_error)
    app.register_error_handler(OperationalError, _show_busy)


def session_token() -> str:
    """The token that this session's forms and scripts must send back."""
    if "token" not in session:
        session["token"] = secrets.token_urlsafe(16)
        session.permanent = True
    token: str = session["token"]
    return token


def check_token(given: object) -> None:
    """Refuse a request that does not come from one of our own pages in this session, with 403."""
    expected = session.get("token")
    if expected is None or not isinstance(given, str) or not secrets.compare_digest(expected.encode(), given.encode()):
        abort(403)


def _refuse_nul() -> None:
    """No address of ours has a NUL, and PostgreSQL fails on one."""
    if "\0" in request.path:
        abort(404)


def _add_headers(response: Response) -> Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _show_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    message = REMEDIES.get(error.code, EXCUSE)  # an unforeseen exception arrives as 500, after Flask has logged it
    if request.accept_mimetypes.best == "application/json" or request.is_json:
        return jsonify(error=message), error.code
    return render_template("error.html", message=message), error.code


def _show_busy(error: OperationalError) -> ResponseReturnValue:
    """The database is locked or away; the browser tries again."""
    return _show_error(ServiceUnavailable(str(error)))
