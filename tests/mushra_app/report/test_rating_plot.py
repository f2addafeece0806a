"""The plot of means: intervals end where the scale does, and the axis says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection

from earmark.mushra_app.report import intervals, rating_plot


def summary(low: float, high: float) -> pd.DataFrame:
    """A condition with a mean of 50; the leading interval is 40 to 60, the second is given."""
    return pd.DataFrame({
        "condition": ["opus@6"], "category": ["all"], "role": ["system"], "mean": [50.0],
        "boot95_low": [40.0], "boot95_high": [60.0], "crossed95_low": [low], "crossed95_high": [high],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("given", "drawn", "is_cut"),
    [
        ((-77.0, 177.0), (0, 100), True),
        ((20.0, 101.5), (20, 100), True),
        ((0.0, 100.0), (0, 100), False),
        ((30.0, 70.0), (30, 70), False),
    ],
)
def test_intervals_are_clipped_to_the_scale_with_a_note(given, drawn, is_cut):
    shown = intervals.find("listeners")
    figure = rating_plot.plot(summary(*given), shown)
    (axes,) = [axes for axes in figure.axes if axes.get_visible()]
    lines = [line for collection in axes.collections if isinstance(collection, LineCollection)
             for line in collection.get_segments()]  # fmt: skip
    ends = [tuple(np.asarray(line)[:, 0]) for line in lines]
    assert drawn in ends
    assert (40, 60) in ends
    assert axes.get_xlabel().endswith("cut at the ends of the scale") == is_cut
    assert rating_plot.cuts_an_interval(summary(*given), shown) == is_cut
