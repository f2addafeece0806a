"""Texts and options of a webMUSHRA configuration that cannot be imported, by page.

Keys that webMUSHRA reads: its doc/experimenter.md and the pages under lib/webmushra/pages.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from earmark.mushra_app.building.webmushra_values import NULLS, is_off, is_on, text_of
from earmark.mushra_app.ratings.text_table import tidy

# Keys that are imported: type of page, or "test" for the configuration itself -> keys.
IMPORTED: Mapping[str, frozenset[str]] = {
    "test": frozenset({"testname", "testId", "pages"}),
    "mushra": frozenset({"type", "id", "reference", "stimuli"}),
    "generic": frozenset({"type", "id", "content"}),
    "consent": frozenset({"type", "id", "content"}),
    "volume": frozenset({"type", "id"}),
    "finish": frozenset({"type", "id"}),
}
# Options with a value that describes a study of ours.
ALWAYS_ON = frozenset({
    "randomize", "strict", "showWaveform", "enableLooping", "mustConsent", "writeResults", "showErrors", "stopOnErrors",
})  # fmt: skip
ALWAYS_OFF = frozenset({"showConditionNames", "showResults", "showButtonPreviousPage", "switchBack"})
SWITCHES = frozenset({"createAnchor35", "createAnchor70", "optional"})  # imported if on or off
TEXTS = frozenset({"name", "label", "content", "popupContent"})  # too long to be repeated
LONGEST_VALUE = 24


def omitted(settings: Mapping[str, Any], imported: Collection[str]) -> list[str]:
    """Keys with a value that is neither imported nor true of every study of ours, with short values.

    Args:
        settings: of the test, a page, a question or an answer.
        imported: keys that are imported.
    """
    return [
        _described(key, value)
        for key, value in settings.items()
        if key not in imported and value not in NULLS and not _holds_here(key, value)
    ]


def listed(omissions: Sequence[tuple[str, Sequence[str]]]) -> str:
    """One phrase from pairs of a page's name and its keys; pages with the same keys share an entry."""
    pages: dict[tuple[str, ...], list[str]] = {}
    for page, keys in omissions:
        if keys:
            pages.setdefault(tuple(keys), []).append(page)
    return "; ".join(f"{', '.join(names)} ({', '.join(keys)})" for keys, names in pages.items())


def _holds_here(key: str, value: object) -> bool:
    if key in ALWAYS_ON:
        return is_on(value)
    if key in ALWAYS_OFF:
        return is_off(value)
    return key in SWITCHES and (is_on(value) or is_off(value))


def _described(key: str, value: object) -> str:
    shown = tidy(text_of(value))
    name = tidy(key) or "a key without a name"
    return name if key in TEXTS or not shown or len(shown) > LONGEST_VALUE else f"{name}: {shown}"
