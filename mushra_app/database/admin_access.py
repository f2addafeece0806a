"""Access to the admin page: one hashed password, sessions that can be ended, and a limit on wrong passwords.

Everything is kept in the database, so that it holds for all workers and an ended session cannot be replayed. Wrong
passwords are limited by address and not in total: nobody can lock the experimenter out from elsewhere. A browser that
has signed in before has its own limit, so that neither can somebody who shares its address, as in a class room. The
password has 96 random bits; the limits spare the processor, not the password.
"""

from __future__ import annotations

import hashlib
import secrets
import threading

from sqlalchemy import delete, func, or_, select
from werkzeug.security import check_password_hash, generate_password_hash

from earmark.mushra_app.database import clock
from earmark.mushra_app.database.persons import network_of
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import AdminSession, FailedSignIn, Setting

SESSION_SECONDS = 12 * 3600
WINDOW_SECONDS = 15 * 60
MAX_FAILURES_PER_ADDRESS = 5  # within WINDOW_SECONDS
CHECKS_AT_ONCE = 2  # per process; checking a password takes 0.1 s of CPU
WAIT_SECONDS = 10.0  # for a turn

_turns = threading.BoundedSemaphore(CHECKS_AT_ONCE)


class TooManyTriesError(Exception):
    """Too many wrong passwords from here in the last WINDOW_SECONDS, or too many attempts at once."""


def new_password(store: Store) -> str:
    """Replace the password of the admin page and end all sessions. Only the hash is stored."""
    password = secrets.token_urlsafe(12)
    with store.writing(exclusive=True) as session:
        session.merge(Setting(name="admin_password", value=generate_password_hash(password)))
        session.execute(delete(AdminSession))
        session.execute(delete(FailedSignIn))
    return password


def has_password(store: Store) -> bool:
    """Whether `new_password` has ever been called."""
    return store.setting("admin_password", "") != ""


def sign_in(store: Store, password: str, address: str, known: str = "") -> str | None:
    """Start a session.

    An attempt counts as failed until its password has been checked, so that simultaneous attempts are limited too.

    Args:
        address: of the visitor, as far as the server knows.
        known: id of a browser that has signed in before; counted instead of its address.

    Returns:
        The secret of the session, for the cookie; None if the password is wrong.

    Raises:
        TooManyTriesError: after MAX_FAILURES_PER_ADDRESS wrong passwords, or if many passwords are being checked.
    """
    origin = f"browser {known}" if known else network_of(address) or address
    with store.writing(exclusive=True) as session:
        now = clock.now(session)
        # From the future, if the clock was set back since; such an attempt counts no longer than any other.
        over = or_(FailedSignIn.time < now - WINDOW_SECONDS, FailedSignIn.time > now + WINDOW_SECONDS)
        session.execute(delete(FailedSignIn).where(over))
        count = select(func.count()).select_from(FailedSignIn)
        if session.scalars(count.where(FailedSignIn.address == origin)).one() >= MAX_FAILURES_PER_ADDRESS:
            raise TooManyTriesError
        attempt = FailedSignIn(address=origin, time=now)
        session.add(attempt)
    if not _turns.acquire(timeout=WAIT_SECONDS):
        raise TooManyTriesError
    try:
        is_right = check_password_hash(store.setting("admin_password", ""), password)
    finally:
        _turns.release()
    if not is_right:
        return None
    secret = secrets.token_urlsafe(32)
    with store.writing() as session:
        session.execute(delete(FailedSignIn).where(FailedSignIn.id == attempt.id))
        session.execute(delete(AdminSession).where(AdminSession.expires < now))
        session.add(AdminSession(key=_key(secret), form_token=secrets.token_urlsafe(16), expires=now + SESSION_SECONDS))
    return secret


def form_token(store: Store, secret: str) -> str | None:
    """CSRF token of a session's forms; None if there is no such session."""
    with store.reading() as session:
        current = session.get(AdminSession, _key(secret))
        return None if current is None or current.expires < clock.now(session) else current.form_token


def sign_out(store: Store, secret: str) -> None:
    """End a session."""
    with store.writing() as session:
        session.execute(delete(AdminSession).where(AdminSession.key == _key(secret)))


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
