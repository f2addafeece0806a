"""Prolific's signed addresses ("secure external study URL"), which nobody can make up.

Prolific adds the parameter `prolific_token`: a JSON Web Token (RFC 7519) signed by RS256 with one of its published
keys. Its documentation ("Retrieve JSON Web Key Set") asks to verify the signature by the key with the token's `kid`,
the expiry `exp`, that `aud` is the domain of this study, and that the claim `prolific` has the ids of the address.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from werkzeug.exceptions import ServiceUnavailable

from earmark.codec.extras import require
from earmark.mushra_app.study.crowd import DAMAGED, ID, Arrival, ArrivalError

if TYPE_CHECKING:
    from jwt import PyJWK

PARAMETER = "prolific_token"
KEYS_ADDRESS = "https://api.prolific.com/.well-known/study/jwks.json"
KEYS_SECONDS = 24 * 3600  # Prolific asks to fetch its keys at least once a day
RETRY_SECONDS = 60  # between fetches for a key that is not known: anybody can send a token with a made-up `kid`
LEEWAY_SECONDS = 60  # between Prolific's clock and ours
IDS = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")


class Keys:
    """Prolific's public keys, fetched when they are needed.

    Args:
        address: of the JSON Web Key Set (RFC 7517).

    Raises:
        UserError: if PyJWT is not installed.
    """

    def __init__(self, address: str = KEYS_ADDRESS) -> None:
        require("jwt", "cryptography", extra="server", for_="session.toml: platform: signed")
        self._address = address
        self._lock = threading.Lock()
        self._keys: dict[str, PyJWK] = {}
        self._tried = self._fetched = float("-inf")

    def key(self, kid: str) -> PyJWK | None:
        """The key with this id; None if Prolific has none.

        Raises:
            ServiceUnavailable: if no key has ever been fetched.
        """
        with self._lock:
            now = time.monotonic()
            is_due = now - self._fetched > KEYS_SECONDS or kid not in self._keys
            if is_due and now - self._tried > RETRY_SECONDS:
                self._tried = now
                self._fetch()
            if not self._keys:
                self._tried = float("-inf")
                raise ServiceUnavailable(f"{self._address}: Prolific's keys could not be fetched")
            return self._keys.get(kid)

    def _fetch(self) -> None:
        import jwt

        try:
            client = jwt.PyJWKClient(self._address, cache_jwk_set=False, timeout=5)
            self._keys = {key.key_id: key for key in client.get_signing_keys() if key.key_id}
            self._fetched = self._tried
        except jwt.PyJWTError:  # known keys stay in use
            return


def signed_arrival(query: Mapping[str, str], keys: Keys, domain: str, known: Arrival | None = None) -> Arrival:
    """Read an address that Prolific has signed.

    Args:
        domain: of this study, for which the address must be signed.
        known: how the listener of this browser came, who may open an address again after it has expired.

    Raises:
        ArrivalError: if the address is not signed, not by Prolific, for another domain or other ids, or has expired.
        ServiceUnavailable: see Keys.
    """
    import jwt

    try:
        token = query.get(PARAMETER, "")
        key = keys.key(str(jwt.get_unverified_header(token).get("kid")))
        if key is None:
            raise ArrivalError(DAMAGED)
        options: Any = {"require": ["exp", "aud"], "verify_exp": False, "verify_aud": False}
        claims = jwt.decode(token, key, algorithms=["RS256"], options=options)
        expiry = float(claims["exp"])
    except (jwt.PyJWTError, TypeError, ValueError) as error:
        raise ArrivalError(DAMAGED) from error
    arrival = _arrival(claims.get("prolific"), query)
    is_known = known is not None and (known.source, known.person) == (arrival.source, arrival.person)
    is_expired = expiry + LEEWAY_SECONDS < time.time()
    if not _is_for(claims["aud"], domain) or (is_expired and not is_known):
        raise ArrivalError(DAMAGED)
    return arrival


def _arrival(ids: object, query: Mapping[str, str]) -> Arrival:
    """The arrival with the signed ids, which those of the address must not contradict."""
    if not isinstance(ids, dict) or not all(isinstance(ids.get(name), str) and ID.fullmatch(ids[name]) for name in IDS):
        raise ArrivalError(DAMAGED)
    if any(query.get(name, ids[name]) != ids[name] for name in IDS):
        raise ArrivalError(DAMAGED)
    details = {name: ids[name] for name in IDS}
    return Arrival("prolific", details["PROLIFIC_PID"], details["SESSION_ID"], details)


def _is_for(audience: object, domain: str) -> bool:
    """Whether one of the audiences, domains or addresses, has this domain."""
    given = audience if isinstance(audience, list) else [audience]
    return any(_host(one).lower() == domain.lower() for one in given if isinstance(one, str))


def _host(audience: str) -> str:
    try:
        return urlsplit(audience if "//" in audience else f"//{audience}").netloc
    except ValueError:
        return ""
