"""Why a run computes again what it has: systems and recordings that are no longer those of its results."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

SHOWN = 3  # names in a line


def reasons(
    before: Mapping[str, Any],
    versions: Mapping[str, str],
    parts: Mapping[str, Mapping[str, str]],
    recordings: Mapping[str, str | None],
    fresh: Collection[str] = (),
) -> Iterator[str]:
    """One line for each system, and one for all recordings, whose earlier results do not count any more.

    Args:
        before: content of run.json; {} for a new run.
        versions: system -> version of its codec now.
        parts: system -> what the version sums up, with a hash of each.
        recordings: recording -> SHA-256 now, None if it cannot be read.
        fresh: systems that the user wants measured again.
    """
    had = before.get("systems", ())
    for system, version in versions.items():
        if system in had and system in fresh:
            yield f"{system}: computed again, as --fresh says"
        elif system in had and (was := before.get("versions", {}).get(system, version)) != version:
            changed = _changed(before.get("codec_parts", {}).get(system, {}), parts.get(system, {}))
            what = changed or f"{was} is {version} now"
            yield f"{system}: {what}; computed again"
    known = {entry["file"]: entry["sha256"] for entry in before.get("recordings", ())}
    anew = [file for file, sha256 in recordings.items() if sha256 is not None and (known.get(file) or sha256) != sha256]
    if anew:
        yield f"{_listed(anew)} changed since the last run; computed again"


def _changed(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Name the difference between the parts of two versions; "" if that is not known."""
    if not before or not now:
        return ""
    changed = [name for name, content in now.items() if before.get(name, content) != content]
    named = [name for name in now if name not in before]
    gone = [name for name in before if name not in now]
    if "its command" in changed:
        return "its command changed since the last run"
    if changed:
        return f"{_listed(changed)} changed since the last run"
    return f"its command finds other files than in the last run: {_listed([*named, *gone])}" if named or gone else ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
