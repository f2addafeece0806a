"""The result of the reader of one format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from earmark.mushra_app.ratings.scales import Scale
from earmark.mushra_app.study.study import Role

KEY = ["listener", "item", "condition"]


@dataclass
class ReadRatings:
    """Ratings of one file, before scores are checked against the scale.

    Args:
        frame: one row per rating: listener, item, condition (text), score (float, NaN where the cell is empty), row and
            column (position of the score, for messages), and if known category, comment, seconds, session, excluded,
            excluded_by.
        format: name of the format, for a note.
        notes: what was assumed or skipped, one sentence each.
        names_listeners: whether the file names its listeners; otherwise their names mean nothing outside the file.
        resubmits: whether the last of repeated ratings counts, because the tool stores a session again if its listener
            presses "send" again.
        scale: scale of the scores, if the format defines it.
        roles: role -> condition, if the format tells it.
    """

    frame: pd.DataFrame
    format: str
    notes: list[str] = field(default_factory=list)
    names_listeners: bool = True
    resubmits: bool = False
    scale: Scale | None = None
    roles: Mapping[Role, str] = field(default_factory=dict)
