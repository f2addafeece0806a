"""Personal links: an address that says who is invited, signed so that nobody can make one."""

from __future__ import annotations

from collections.abc import Mapping

from flask import current_app, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.crowd import Arrival, ArrivalError

SALT = "invitation"


def invitation(person: str) -> str:
    """The link for this person, who can take part once and take it up again anywhere."""
    return url_for("entrance.welcome", invitation=_serializer().dumps(person), _external=True)


def read_invitation(query: Mapping[str, str]) -> Arrival | None:
    """Who comes by a personal link; None where the address is of another kind.

    Raises:
        ArrivalError: the link is damaged or not ours.
    """
    if "invitation" not in query:
        return None
    try:
        person = _serializer().loads(query["invitation"])
    except BadSignature as error:
        raise ArrivalError(
            marked("This personal link is damaged. Copy the whole of it from your invitation.")
        ) from error
    return Arrival("personal", person, query["invitation"])


def _serializer() -> URLSafeSerializer:
    assert isinstance(current_app.secret_key, str)
    return URLSafeSerializer(current_app.secret_key, salt=SALT)
