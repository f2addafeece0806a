"""Personal links: addresses that name the invited person, signed so that nobody can forge one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from flask import current_app, url_for
from itsdangerous import BadSignature, URLSafeSerializer

from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.crowd import Arrival, ArrivalError

SALT = "invitation"


def invitation(person: str) -> str:
    """Link for a person, who can take part once and continue in any browser."""
    return url_for("entrance.welcome", invitation=_serializer().dumps(person), _external=True)


def read_invitation(query: Mapping[str, str]) -> Arrival | None:
    """Read the personal link in the parameters of an address; None if there is none.

    Raises:
        ArrivalError: if the link is damaged or forged.
    """
    if "invitation" not in query:
        return None
    try:
        person = _serializer().loads(query["invitation"])
    except BadSignature as error:
        raise ArrivalError(
            marked("This personal link is damaged. Copy the whole of it from your invitation.")
        ) from error
    visit = hashlib.sha256(query["invitation"].encode(errors="replace")).hexdigest()  # the link itself is a secret
    return Arrival("personal", person, visit)


def _serializer() -> URLSafeSerializer:
    assert isinstance(current_app.secret_key, str)
    return URLSafeSerializer(current_app.secret_key, salt=SALT)
