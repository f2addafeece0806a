"""The public address of a study that a reverse proxy forwards to this server.

Scheme, host and path come from `--url` and not from headers, which anybody can send. Only the visitor's address is read
from X-Forwarded-For, and only if the connection comes from this machine or a private network, where the proxy is.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class PublicUrl:
    """WSGI middleware that lets an app make the addresses that visitors see.

    Args:
        app: the app.
        url: its public address, such as "https://listen.example/tests/one/".
    """

    def __init__(self, app: Wsgi, url: str) -> None:
        parts = urlsplit(url)
        self._app = app
        self._scheme, self._host, self._prefix = parts.scheme, parts.netloc, parts.path.rstrip("/")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):  # the proxy has kept it
            environ["PATH_INFO"] = path[len(self._prefix) :] or "/"
        environ |= {"wsgi.url_scheme": self._scheme, "HTTP_HOST": self._host, "SCRIPT_NAME": self._prefix}
        forwarded = environ.pop("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded and _is_near(environ.get("REMOTE_ADDR", "")) and _address(forwarded) is not None:
            environ["REMOTE_ADDR"] = forwarded
        return self._app(environ, start_response)


def _is_near(address: str) -> bool:
    """Whether a connection comes from this machine (also by a Unix socket) or a private network."""
    parsed = _address(address)
    return parsed is None or parsed.is_loopback or parsed.is_private


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
