"""The names that a misspelled one may stand for."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

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


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """End of an error message: "; did you mean opus?", or nothing if no name is near."""
    matches = near(name, names)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def _plain(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "")


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
