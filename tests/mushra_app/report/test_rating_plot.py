"""Plots of means: intervals end where the scale does, and the axis says so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from earmark.mushra_app.report import bandwidth_plot, intervals, rating_plot

RATES = pd.DataFrame([("opus@6", "all", 6.0, float("nan"))], columns=["condition", "category", "kbps", "coded_kbps"])


def summary(low: float, high: float, cut: str) -> pd.DataFrame:
    """A condition with a mean of 50; the interval of the prefix `cut` is given, the other is 40 to 60."""
    ends = {name: (low, high) if name == cut else (40.0, 60.0) for name in ("boot95", "crossed95")}
    return pd.DataFrame({
        "condition": ["opus@6"], "category": ["all"], "role": ["system"], "mean": [50.0],
        **{f"{name}_low": [pair[0]] for name, pair in ends.items()},
        **{f"{name}_high": [pair[1]] for name, pair in ends.items()},
    })  # fmt: skip


def visible(figure: Figure) -> Axes:
    (axes,) = [axes for axes in figure.axes if axes.get_visible()]
    return axes


def drawn_intervals(axes: Axes, along: int) -> list[tuple[float, float]]:
    """Ends of the lines of a plot in the direction of the scores."""
    return [
        tuple(np.asarray(line)[:, along])
        for collection in axes.collections
        if isinstance(collection, LineCollection)
        for line in collection.get_segments()
        if len(line)
    ]


@pytest.mark.parametrize(
    ("given", "drawn", "is_cut"),
    [
        ((-77.0, 177.0), (0, 100), True),
        ((20.0, 101.5), (20, 100), True),
        ((-1.0, 60.0), (0, 60), True),
        ((0.0, 100.0), (0, 100), False),
        ((30.0, 70.0), (30, 70), False),
    ],
)
@pytest.mark.parametrize("plot", ["means", "bit rate"])
def test_intervals_are_clipped_to_the_scale_with_a_note(plot, given, drawn, is_cut):
    shown = intervals.find("listeners")
    if plot == "means":
        table = summary(*given, cut=shown.second)
        axes = visible(rating_plot.plot(table, shown))
        ends, label, limits = drawn_intervals(axes, 0), axes.get_xlabel(), axes.get_xlim()
        assert (40, 60) in ends
        assert rating_plot.cuts_an_interval(table, shown) == is_cut
    else:
        axes = visible(bandwidth_plot.plot(summary(*given, cut=shown.lead), RATES, shown))
        ends, label, limits = drawn_intervals(axes, 1), axes.get_ylabel(), axes.get_ylim()
    assert drawn in ends
    assert label.endswith("cut at the ends of the scale") == is_cut
    assert limits[0] < 0 < 100 < limits[1]  # a marker at an end is drawn whole


def test_a_bit_rate_without_an_interval_has_no_bar_and_no_note():
    table = summary(float("nan"), float("nan"), cut="boot95")
    axes = visible(bandwidth_plot.plot(table, RATES, intervals.find("listeners")))
    assert drawn_intervals(axes, 1) == []
    assert axes.get_ylabel() == "mean score, 95 % intervals"
