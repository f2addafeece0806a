"""The names that a misspelled one may stand for."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

from earmark.codec.errors import UserError

NEAR = 0.75  # similarity from 0 to 1; lower ones mislead more often than they help
MOST = 3


def same(name: str, names: Iterable[str]) -> str | None:
    """The name in `names`, or the only one that differs from it in case, hyphens or underscores alone."""
    known = tuple(names)
    if name in known:
        return name
    matches = [other for other in known if _plain(other) == _plain(name)]
    return matches[0] if len(matches) == 1 else None


def near(name: str, names: Iterable[str]) -> list[str]:
    """Names that differ by a few letters, best first; case, hyphens and underscores do not count."""
    wanted = _plain(name)
    ranked = sorted(((_similarity(wanted, _plain(other)), other) for other in names), key=lambda pair: -pair[0])
    return [other for similarity, other in ranked if similarity >= NEAR][:MOST]


def choose(name: str, names: Iterable[str], *, option: str, where: str = "this run") -> str:
    """The name in `names` that the value `name` of an option means.

    Raises:
        UserError: there is none; the message lists the names, and a near one.
    """
    known = tuple(names)
    exact = same(name, known)
    if exact is None:
        raise UserError(f"{option} {name}: not in {where}; it has {', '.join(known)}{did_you_mean(name, known)}")
    return exact


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """End of an error message: "; did you mean opus?", or nothing if no name is near."""
    matches = near(name, names)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
