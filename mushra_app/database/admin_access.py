"""Who may see the admin page: one password, hashed; sign-ins that can be ended; a limit to guessing.

All of it is in the database, so that it holds for all workers, and an ended session cannot be replayed.
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
MOST_FAILURES = 5  # from one address in the window
MOST_FAILURES_OF_ALL = 60  # from all: each costs a tenth of a second of computing


class TooManyTriesError(Exception):
    """Too many wrong passwords lately; the right one is refused too."""


def new_password(store: Store) -> str:
    """Make a password for the admin page, in place of any before; ends all sessions. Only its hash is kept."""
    password = secrets.token_urlsafe(12)
    with store.writing(gate=True) as session:
        session.merge(Setting(name="admin_password", value=generate_password_hash(password)))
        session.execute(delete(AdminSession))
        session.execute(delete(FailedSignIn))
    return password


def has_password(store: Store) -> bool:
    """Whether new_password was ever called."""
    return store.setting("admin_password", "") != ""


def sign_in(store: Store, password: str, address: str) -> str | None:
    """The secret of a new session, for the cookie; None for a wrong password.

    A try counts as failed until the password is found right, so that tries sent at once are counted too.

    Raises:
        TooManyTriesError: see MOST_FAILURES.
    """
    now = time.time()
    with store.writing(gate=True) as session:
        session.execute(delete(FailedSignIn).where(FailedSignIn.time < now - WINDOW_SECONDS))
        count = select(func.count()).select_from(FailedSignIn)
        here = session.scalars(count.where(FailedSignIn.address == address)).one()
        if here >= MOST_FAILURES or session.scalars(count).one() >= MOST_FAILURES_OF_ALL:
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
    """What the forms of this session send back; None where there is no such session."""
    with store.reading() as session:
        found = session.get(AdminSession, _key(secret))
    return None if found is None or found.expires < time.time() else found.form_token


def sign_out(store: Store, secret: str) -> None:
    """End a session."""
    with store.writing() as session:
        session.execute(delete(AdminSession).where(AdminSession.key == _key(secret)))


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
