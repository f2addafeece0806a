"""Names of audio files that say item and condition, such as castanets-opus.wav."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from earmark.codec.errors import UserError

AUDIO_NAME = re.compile(r"(.+)\.(wav|flac|mp3|ogg|oga|opus|aiff?|m4a|aac|webm)", re.IGNORECASE)


def grid_separator(path: Path, names: Sequence[str]) -> str:
    """Character whose first occurrence splits every name into item and condition so that all pairs exist.

    Args:
        path: file for the error message.
        names: names of audio files without their extension.

    Raises:
        UserError: if neither "-" nor "_" does; names a file that does not fit.
    """
    faults = {separator: _fault(names, separator) for separator in "-_"}
    for separator, fault in faults.items():
        if fault is None:
            return separator
    commonest = max("-_", key=lambda separator: sum(separator in name for name in names))
    raise UserError(
        f"{path}: its file names are not ITEM-CONDITION with every item in every condition: {faults[commonest]}; "
        "remove or rename what does not fit, or convert it to a long table with listener, item, condition, score"
    )


def _fault(names: Sequence[str], separator: str) -> str | None:
    """The first thing that keeps names from being pairs of items and conditions; None if they are."""
    pairs = {name: (name.partition(separator)[0], name.partition(separator)[2]) for name in names}
    if len(pairs) < len(names):
        return f"two are called {next(name for name in names if names.count(name) > 1)}"
    for name, (item, condition) in pairs.items():
        if not item or not condition:
            return f"{name} is not split by {separator}"
    items, conditions = (Counter(pair[part] for pair in pairs.values()) for part in (0, 1))
    if len(conditions) == 1:
        return f"all are in one condition, {next(iter(conditions))}"
    if len(pairs) == len(items) * len(conditions):
        return None
    rarest = min(pairs, key=lambda name: items[pairs[name][0]] * conditions[pairs[name][1]])
    item, condition = pairs[rarest]
    return (
        f"{rarest} would be item {item}, which has {items[item]} of {len(conditions)} conditions, in condition "
        f"{condition}, which has {conditions[condition]} of {len(items)} items"
    )
