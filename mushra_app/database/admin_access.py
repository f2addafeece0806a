"""Access to the admin page: one hashed password, sessions that can be ended, and a limit on wrong passwords.

Everything is kept in the database, so that it holds for all workers and an ended session cannot be replayed.
"""

from __future__ import annotations

import hashlib
import secrets
import time

from sqlalchemy import delete, func, select
from werkzeug.security import check_password_hash, generate_password_hash

from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import AdminSession, FailedSignIn, Setting

SESSION_SECONDS = 12 * 3600
WINDOW_SECONDS = 15 * 60
MAX_FAILURES_PER_ADDRESS = 5  # within WINDOW_SECONDS
MAX_FAILURES = 60  # from all addresses; checking a password takes 0.1 s of CPU


class TooManyTriesError(Exception):
    """Too many wrong passwords in the last WINDOW_SECONDS. The right one is refused as well."""


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


def sign_in(store: Store, password: str, address: str) -> str | None:
    """Start a session.

    An attempt counts as failed until its password has been checked, so that simultaneous attempts are limited too.

    Args:
        address: of the visitor, as far as the server knows.

    Returns:
        The secret of the session, for the cookie; None if the password is wrong.

    Raises:
        TooManyTriesError: after MAX_FAILURES_PER_ADDRESS or MAX_FAILURES wrong passwords.
    """
    now = time.time()
    with store.writing(exclusive=True) as session:
        session.execute(delete(FailedSignIn).where(FailedSignIn.time < now - WINDOW_SECONDS))
        count = select(func.count()).select_from(FailedSignIn)
        here = session.scalars(count.where(FailedSignIn.address == address)).one()
        if here >= MAX_FAILURES_PER_ADDRESS or session.scalars(count).one() >= MAX_FAILURES:
            raise TooManyTriesError
        attempt = FailedSignIn(address=address, time=now)
        session.add(attempt)
    if not check_password_hash(store.setting("admin_password", ""), password):
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
    return None if current is None or current.expires < time.time() else current.form_token


def sign_out(store: Store, secret: str) -> None:
    """End a session."""
    with store.writing() as session:
        session.execute(delete(AdminSession).where(AdminSession.key == _key(secret)))


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
