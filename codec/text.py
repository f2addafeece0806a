"""Words and lists in messages and options: plurals, comma-separated lists."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return "1 item" or "2 items"; for nouns whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def split_list(text: str) -> tuple[str, ...]:
    """Split a comma-separated list; drops surrounding spaces, empty parts and repetitions."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
