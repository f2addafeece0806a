"""People as the platforms and personal links name them: who has taken part, and keyed hashes that name nobody."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress


def person_key(secret: str, source: str, person: str) -> str:
    """Keyed hash of a person's id at a platform.

    Args:
        secret: setting `secret_key` of the database.
        source: see tables.Listener.
    """
    return _keyed(secret, f"person/{source}/{person}")


def address_key(secret: str, address: str) -> str:
    """Keyed hash of a network address; "" for the server's own machine, and for an address that is none.

    The addresses of one IPv6 network of 64 bits, of which a subscriber has the whole, count as one.
    """
    network = network_of(address)
    return (
        ""
        if network is None or ipaddress.ip_address(address.partition("%")[0]).is_loopback
        else _keyed(secret, f"address/{network}")
    )


def network_of(address: str) -> str | None:
    """The address, or for IPv6 its network of 64 bits; None if it is not an address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


def _keyed(secret: str, text: str) -> str:
    return hmac.new(secret.encode(), text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]
