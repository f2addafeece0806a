"""Requests to a platform's API: JSON over https, each error as one line without keys."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from earmark.codec.errors import UserError
from earmark.codec.text import printable

TIMEOUT_SECONDS = 30
TRIES = 3  # of a request that is refused because there were too many
LONGEST_WAIT = 60  # seconds; a longer Retry-After ends the try
MOST_BYTES = 20_000_000
SHOWN = 300  # characters of what the platform says
HIDDEN = "[hidden]"
NEVER_SENT = (ConnectionRefusedError, socket.gaierror, ssl.SSLCertVerificationError)

Sign = Callable[
    [str, str, Mapping[str, str], bytes], Mapping[str, str]
]  # method, URL, headers, body -> headers to send


class ApiError(Exception):
    """A request that failed, in one line.

    Args:
        no_effect: whether the platform has certainly not done what was asked. Otherwise it may have.
    """

    def __init__(self, message: str, *, no_effect: bool) -> None:
        super().__init__(message)
        self.no_effect = no_effect


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect, which would carry the key to another place."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass
class Requests:
    """Sends requests to one platform.

    Args:
        title: of the platform, for messages.
        sign: function that adds to a request's headers those that authorise it.
        secrets: texts that no message may contain.
    """

    title: str
    sign: Sign = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Any:
        """Send a request; one that is refused because there were too many is sent again after a while.

        Returns:
            The JSON value of the answer; None if it is empty.

        Raises:
            ApiError: the platform refuses it or fails, cannot be reached, or does not answer in time.
        """
        for last in (False,) * (TRIES - 1) + (True,):
            signed = dict(self.sign(method, url, headers, body))
            request = urllib.request.Request(url, body or None, signed, method=method)
            try:
                with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                    return self._json(answer.read(MOST_BYTES))
            except urllib.error.HTTPError as error:
                said = _body(error)
                seconds = _retry_after(error, said)
                if seconds is None or last or seconds > LONGEST_WAIT:
                    raise self._refusal(error.code, said, seconds) from None
                wait(seconds)
            except (OSError, http.client.HTTPException) as error:
                raise self._failure(error, url) from None
        raise AssertionError("the last try returns or raises")

    def _json(self, text: bytes) -> Any:
        try:
            return json.loads(text) if text.strip() else None
        except ValueError:
            raise ApiError(f"{self.title}: the answer is not JSON", no_effect=False) from None

    def _refusal(self, status: int, said: str, seconds: float | None) -> ApiError:
        if seconds is not None:
            return ApiError(
                f"{self.title}: too many requests ({status}); repeat the command in {max(seconds, 1):.0f} s or later",
                no_effect=True,
            )
        text = self._clean(_explanation(said))
        # A platform that fails (5xx) may have done it before; one that refuses (3xx, 4xx) has not.
        return ApiError(f"{self.title}: {status}{f': {text}' if text else ''}", no_effect=status < 500)

    def _failure(self, error: Exception, url: str) -> ApiError:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(reason, TimeoutError):
            return ApiError(f"{self.title}: no answer within {TIMEOUT_SECONDS} s", no_effect=False)
        text = self._clean(str(reason) or type(reason).__name__)
        never_sent = isinstance(reason, NEVER_SENT)
        return ApiError(f"{self.title}: {urlsplit(url).netloc} cannot be reached ({text})", no_effect=never_sent)

    def _clean(self, text: str) -> str:
        """One line of what came from outside, without keys, even if the platform repeats them."""
        for secret in filter(None, self.secrets):
            text = text.replace(secret, HIDDEN)
        text = printable(" ".join(text.split()))
        return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def key_from(variable: str, title: str) -> str:
    """A key from the environment, the only place where keys come from.

    Raises:
        UserError: the variable is not set, or holds what no key holds.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UserError(f"{title}: the environment variable {variable} is not set; it must hold your key")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UserError(f"{title}: {variable} is not a key: keys have no spaces and no special characters")
    return key


def wait(seconds: float) -> None:
    """Wait before a request is sent again."""
    time.sleep(seconds)


def _body(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(MOST_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return ""


def _retry_after(error: urllib.error.HTTPError, said: str) -> float | None:
    """Seconds to wait after too many requests (RFC 9110, 10.2.3), 1 if none are given; None after another error.

    Amazon says so by status 400 and a ThrottlingException.
    """
    if error.code != 429 and not (error.code == 400 and "ThrottlingException" in said):
        return None
    text = (error.headers.get("Retry-After") or "1").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return 1.0


def _explanation(text: str) -> str:
    """The part of an error's body that is for people: Prolific's `error.detail`, Amazon's `Message`, or the whole."""
    try:
        body = json.loads(text)
    except ValueError:
        return "" if text.lstrip().startswith("<") else text  # a page of a proxy says nothing
    if isinstance(body, dict):
        inner = body["error"] if isinstance(body.get("error"), dict) else body
        said = [inner[name] for name in ("TurkErrorCode", "Message", "message", "detail", "title") if inner.get(name)]
        if said:
            return ": ".join(part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in said)
    return text
