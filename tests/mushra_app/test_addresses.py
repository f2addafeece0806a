"""Addresses that commands take."""

from __future__ import annotations

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.addresses import public_address


@pytest.mark.parametrize(
    ("given", "address"),
    [
        (None, None), ("https://h.example", "https://h.example/"), ("https://h.example/a", "https://h.example/a/"),
        ("http://127.0.0.1:8000/", "http://127.0.0.1:8000/"), ("https://[::1]:8000/%C3%A4/", "https://[::1]:8000/%C3%A4/"),
    ],
)  # fmt: skip
def test_public_addresses(given: str | None, address: str | None):
    assert public_address(given) == address


@pytest.mark.parametrize(
    "given",
    [
        "listen.example", "https://", "https:///path/", "https://h/a b/", "https://h/?x=1", "https://h/#x", "https://h/?",
        "https://h:x/", "https://h:99999/", "https://h:0/", "https://[/", "https://me:secret@h/", "https://h/\u00e4/",
        "https://h/\n",
    ],
)  # fmt: skip
def test_an_address_that_browsers_or_the_platform_could_not_use_is_refused(given: str):
    """RFC 3986: a host, at most a port, and a path; a query or fragment would come before the platform's parameters."""
    with pytest.raises(UserError, match="--url "):
        public_address(given)
