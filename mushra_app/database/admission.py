"""Who may begin a session: each person once, and a limited number of open sessions per network address.

Anybody can open a link with another person's platform id, unless the platform signs it
(signed_address.py). A running session therefore does not keep the same id from beginning another on a visit of its
own; one that ended with ratings does.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import and_, case, func, or_, select, update
from sqlalchemy.orm import Session

from earmark.mushra_app.database import judging
from earmark.mushra_app.database.labels import listener_label
from earmark.mushra_app.database.leases import is_held
from earmark.mushra_app.database.persons import address_key, person_key
from earmark.mushra_app.database.refusals import TookPartError, TooManySessionsError
from earmark.mushra_app.database.tables import Admitted, Listener, Setting
from earmark.mushra_app.study.crowd import Arrival


def check(
    session: Session, settings: Mapping[str, str], arrival: Arrival, address: str, per_address: int | None, now: float
) -> None:  # fmt: skip
    """Refuse somebody who has taken part, or whose network address has too many open sessions.

    Args:
        settings: as `settings_of` reads them.
        per_address: open sessions that one address may have; None for any number.

    Raises:
        TookPartError, TooManySessionsError: the reason.
    """
    if took_part(session, arrival):
        raise TookPartError("You have already taken part in this listening test.")
    hashed = "" if per_address is None else _address(settings["secret_key"], arrival, address)
    if hashed and per_address is not None and _open_sessions(session, hashed, now) >= per_address:
        raise TooManySessionsError("Too many sessions from this address are open.")


def took_part(session: Session, arrival: Arrival) -> bool:
    """Whether the person who arrives has this visit's session, has ended another, or was deleted.

    A session that ended counts if it stored trials, or if a page turned the listener away; it does not if the
    experimenter has excluded it, which lets the person come again.
    """
    if arrival.person is None:
        return False
    whose = and_(Listener.source == arrival.source, Listener.person == arrival.person)
    if session.scalar(select(Listener.id).where(whose).limit(1)) is None:
        person = person_key(settings_of(session)["secret_key"], arrival.source, arrival.person)
        return session.get(Admitted, person) is not None
    ended = or_(Listener.state == "turned away", and_(Listener.state.in_(["finished", "left"]), judging.RATED))
    counts = or_(Listener.excluded_by != "experimenter", Listener.excluded == "")
    ruled_out = or_(Listener.visit.is_not_distinct_from(arrival.visit), and_(ended, counts))
    return session.scalar(select(Listener.id).where(whose, ruled_out).limit(1)) is not None


def new_listener(
    session: Session, settings: Mapping[str, str], key: str, arrival: Arrival, address: str, now: float
) -> Listener:  # fmt: skip
    """A listener with the next number, not yet stored. Numbers are not used again if rows are deleted."""
    number = int(settings["last_listener"]) + 1
    session.execute(update(Setting).where(Setting.name == "last_listener").values(value=str(number)))
    if arrival.person is not None:
        person = person_key(settings["secret_key"], arrival.source, arrival.person)
        session.merge(Admitted(person=person, time=now))
    return Listener(
        id=number, label=listener_label(number, settings["study_id"]), key=key, started=now, seen=now,
        progress=now, address=_address(settings["secret_key"], arrival, address), source=arrival.source,
        person=arrival.person, visit=arrival.visit, arrival=dict(arrival.details),
    )  # fmt: skip


def participation(session: Session, arrival: Arrival) -> Listener | None:
    """The participation of this visit, or else the newest of the person who arrives; None if there is none."""
    of_this_visit = case((Listener.visit.is_not_distinct_from(arrival.visit), 1), else_=0)
    found = (
        select(Listener).where(Listener.source == arrival.source, Listener.person == arrival.person)
        .order_by(of_this_visit.desc(), Listener.id.desc()).limit(1)
    )  # fmt: skip
    return session.scalar(found)


def _address(secret: str, arrival: Arrival, address: str) -> str:
    """Hash by which an address is limited; "" for personal links, which nobody can forge."""
    return "" if arrival.source == "personal" else address_key(secret, address)


def _open_sessions(session: Session, hashed: str, now: float) -> int:
    running = and_(
        Listener.address == hashed, Listener.state == "active", is_held(now), Listener.excluded == ""
    )  # fmt: skip
    return session.scalars(select(func.count()).select_from(Listener).where(running)).one()


def settings_of(session: Session) -> dict[str, str]:
    """Secret, number of the last listener, and id of the study: one query, as others wait for this transaction."""
    named = Setting.name.in_(["secret_key", "last_listener", "study_id"])
    return dict(session.execute(select(Setting.name, Setting.value).where(named)).all())
