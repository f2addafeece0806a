"""How the conditions were heard: plays, seconds, switches and moves of the slider, as the listeners' browsers say."""

from __future__ import annotations

from typing import Any

import pandas as pd

from earmark.mushra_app.ratings.table import Ratings

COLUMNS = ["plays", "heard_seconds", "switches", "moves"]


def by_condition(frame: pd.DataFrame) -> pd.DataFrame:
    """Medians over the ratings whose listening is known.

    Args:
        frame: ratings with the columns of COLUMNS, or without.

    Returns:
        condition, n (ratings with a record), plays (sum), and the median of each column as median_plays, ...; no rows
        if nothing is known.
    """
    if not set(COLUMNS) <= set(frame):
        return pd.DataFrame(columns=["condition", "n", "plays", *(f"median_{name}" for name in COLUMNS)])
    known = frame.dropna(subset=COLUMNS)
    groups = known.groupby("condition")
    medians = groups[COLUMNS].median().rename(columns=lambda name: f"median_{name}")
    return medians.assign(n=groups.size(), plays=groups["plays"].sum().astype(int)).reset_index()


def device_counts(ratings: Ratings) -> dict[str, dict[str, int]]:
    """Listeners by type of device, pointer, sample rate and browser, the most frequent first; {} if all is unknown."""
    if ratings.devices is None:
        return {}
    known: dict[str, pd.Series[Any]] = {
        "Device": ratings.devices["type"], "Pointer": ratings.devices["pointer"],
        "Sample rate": ratings.devices["sample_rate"].map(lambda rate: "" if pd.isna(rate) else f"{rate:.0f} Hz"),
        "Browser": ratings.devices["browser"],
    }  # fmt: skip
    counts = {name: column[column != ""].value_counts() for name, column in known.items()}
    return {name: {str(one): int(count) for one, count in some.items()} for name, some in counts.items() if len(some)}
