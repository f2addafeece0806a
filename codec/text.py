"""Words and lists in messages and options: plurals, comma-separated lists."""

from __future__ import annotations

import re
import tempfile
import unicodedata

ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # Unicode categories of characters that are not shown themselves


def counted(count: int, noun: str) -> str:
    """Return "1 item" or "2 items"; for nouns whose plural ends in s."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def split_list(text: str) -> tuple[str, ...]:
    """Split a comma-separated list; drops surrounding spaces, empty parts and repetitions."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def printable(text: str) -> str:
    """Write characters that would act on a terminal, or hide what a text says, as escapes such as \\x1b.

    These are control characters, line breaks included, the marks that change the direction of text, and lone
    surrogates (Unicode categories Cc, Cf, Cs, Zl and Zp).
    """
    return "".join(_escape(one) if unicodedata.category(one) in ACTING else one for one in text)


def without_temporary_paths(text: str) -> str:
    """Shorten paths in temporary folders, whose names are random, to what is in them, so that equal messages are equal.

    "/tmp/earmark-4k2j9x1a/input.wav: too short" becomes "input.wav: too short".
    """
    folder = rf"{re.escape(tempfile.gettempdir())}/(?:earmark-(?:[a-z0-9]+-)?|tmp)[a-z0-9_]{{8}}"
    return re.sub(f"{folder}(?![a-z0-9_])", "the temporary folder", re.sub(f"{folder}/(?=[^\\s'\"])", "", text))


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
