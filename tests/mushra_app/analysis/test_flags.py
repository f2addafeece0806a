"""Which listeners are flagged, and the evidence given."""

from __future__ import annotations

import pandas as pd

from earmark.mushra_app.analysis.flags import flag, trial_seconds
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.table import Ratings

QUALITY = {"ref": 100.0, "good": 80.0, "fair": 50.0, "low": 10.0}


def panel(listeners: int = 5, items: int = 4) -> pd.DataFrame:
    """Listeners L0, L1, ... whose scores differ by at most two points, and who take 60 s per trial."""
    rows = [
        (f"L{listener}", f"i{item}", name, score - (listener + item) % 3, 60.0)
        for listener in range(listeners)
        for item in range(items)
        for name, score in QUALITY.items()
    ]
    return pd.DataFrame(rows, columns=["listener", "item", "condition", "score", "seconds"])


def flagged(frame: pd.DataFrame) -> dict[str, str]:
    roles = {"ref": "hidden reference", "good": "system", "fair": "system", "low": "low anchor"}
    flags = flag(Ratings(frame, roles, "test"))
    return flags[flags != ""].to_dict()


def test_nobody_is_flagged_in_a_good_panel():
    assert flagged(panel()) == {}


def test_less_than_a_third_of_the_typical_time():
    """The median is 60 s, so 19 s are less than a third of it, 20 s are not."""
    frame = panel()
    frame.loc[frame["listener"] == "L1", "seconds"] = 19
    frame.loc[frame["listener"] == "L2", "seconds"] = 20
    assert flagged(frame) == {"L1": "19 s per trial (median: 60 s)"}
    assert trial_seconds(frame).to_dict() == {"L0": 60, "L1": 19, "L2": 20, "L3": 60, "L4": 60}


def test_without_times_nobody_is_flagged_as_quick():
    assert flagged(panel().drop(columns="seconds")) == {}


def test_less_than_half_of_the_items_and_missing_conditions():
    frame = panel()
    few = (frame["listener"] == "L0") & ~frame["item"].isin(["i0"])
    gap = (frame["listener"] == "L1") & (frame["item"] == "i2") & (frame["condition"] == "good")
    assert flagged(frame[~few & ~gap]) == {
        "L0": "1 item (median: 4)",
        "L1": "1 of 4 trials lack a condition",
    }


def test_one_score_for_everything_in_more_than_half_of_the_trials():
    frame = panel()
    frame.loc[(frame["listener"] == "L3") & frame["item"].isin(["i0", "i1", "i2"]), "score"] = 50
    frame.loc[(frame["listener"] == "L4") & frame["item"].isin(["i0", "i1"]), "score"] = 50
    assert flagged(frame)["L3"].startswith("one score for all conditions in 3 of 4 trials")
    assert "one score" not in flagged(frame).get("L4", "")


def test_a_listener_with_the_scale_upside_down():
    frame = panel()
    inverted = frame["listener"] == "L2"
    frame.loc[inverted, "score"] = 100 - frame.loc[inverted, "score"]
    flags = flagged(frame)
    assert list(flags) == ["L2"]
    assert flags["L2"].endswith("correlation of -1.00 with the others (median: 1.00)")


def test_real_file(shared):
    """By the standard library, two listeners' medians are below 28.5 s, a third of the median of all."""
    flags = flag(read_ratings(shared / "mushra/ambisonics_webmushra/webmushra_results.csv"))
    quick = flags[flags.str.contains(r" s per trial \(median")]
    assert {name[:8] for name in quick.index} == {"504285e7", "df4000bd"}
    assert len(flags) == 22
