"""Addresses that `earmark study serve` and `check` take."""

from __future__ import annotations

import re

from earmark.codec.errors import UserError


def public_address(url: str | None) -> str | None:
    """Return the value of --url with a slash at its end.

    Raises:
        UserError: if it is not an HTTP address.
    """
    if url is not None and not url.startswith(("https://", "http://")):
        raise UserError(f"--url {url}: must begin with https:// (or http://)")
    return url if url is None or url.endswith("/") else f"{url}/"


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
