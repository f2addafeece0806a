"""Addresses that `earmark study serve` and `check` take."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from earmark.codec.errors import UserError


def public_address(url: str | None) -> str | None:
    """Return the value of --url with a slash at its end.

    Raises:
        UserError: if it is not an HTTP address with a host, or has more than a host, a port and a path.
    """
    if url is None:
        return None
    if not url.startswith(("https://", "http://")):
        raise UserError(f"--url {url}: must begin with https:// (or http://)")
    if not _is_plain(url):
        raise UserError(
            f"--url {url}: must be an address in ASCII such as https://listen.example.org/test/, without blanks, user "
            "name, ? or #"
        )
    return url if url.endswith("/") else f"{url}/"


def _is_plain(url: str) -> bool:
    """Whether an address has a host, at most a port and a path besides, and only characters of addresses (RFC 3986)."""
    try:
        parts = urlsplit(url)
        has_port = parts.port is None or parts.port > 0  # raises if it is no port
    except ValueError:
        return False
    characters = re.fullmatch(r"[A-Za-z0-9\-._~:/\[\]@!$&'()*+,;=%]+", url)
    return bool(parts.hostname and has_port and characters and "@" not in parts.netloc)


def frame_sites(sites: tuple[str, ...], url: str | None) -> tuple[str, ...]:
    """Return the values of --embed-in without a slash at the end.

    Raises:
        UserError: if one is no origin, or the study has no https address, without which browsers block its cookies.
    """
    for site in sites:
        if not re.fullmatch(r"https://(\*\.)?[A-Za-z0-9.-]+(:\d{1,5})?/?", site):
            raise UserError(f"--embed-in {site}: must be a site without a path, such as https://survey.example.org")
    if sites and not (url or "").startswith("https://"):
        raise UserError("--embed-in: browsers allow cookies in frames to https pages only; give --url https://...")
    return tuple(site.rstrip("/") for site in sites)
