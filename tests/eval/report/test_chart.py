"""Charts as SVG elements: positions against the axes by hand, and texts that stay inside."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ET

import pytest

from earmark.eval.report import chart
from earmark.eval.report.chart import Axis, Level, Series, draw, linear

SVG = "{http://www.w3.org/2000/svg}"
RATES = Axis(1.0, 100.0, [1.5, 12.0, 96.0], "kbps", logarithmic=True)
SCORES = linear(1.0, 5.0, "MOS")


def panel(text: str) -> ET.Element:
    """The nested element in which the series are drawn, and which cuts off what leaves it."""
    found = ET.fromstring(text).find(f"{SVG}svg")
    assert found is not None
    return found


def test_points_lie_where_the_axes_say():
    """10 is the middle of 1 to 100 on a logarithmic axis; 4 is a quarter of the way down from 5 to 1."""
    inside = panel(
        draw(RATES, SCORES, [Series("opus", [(1.0, 5.0), (10.0, 4.0), (100.0, 1.0)], "#0072b2", "o", line=(1, ""))])
    )
    width = float(inside.attrib["width"])
    line = inside.findall(f"{SVG}path")[0].attrib["d"]
    expected = [(0.0, 0.0), (width / 2, chart.PLOT_HEIGHT / 4), (width, chart.PLOT_HEIGHT)]
    points = [tuple(map(float, point.split())) for point in line.removeprefix("M").split("L")]
    assert points == [pytest.approx(point, abs=0.06) for point in expected]


def test_an_interval_is_drawn_where_there_is_one():
    bars = [(2.0, 4.0), (math.nan, math.nan)]
    paths = panel(draw(RATES, SCORES, [Series("mp3", [(10.0, 3.0), (20.0, 3.0)], "#d55e00", "s", bars=bars)]))
    bar = paths.findall(f"{SVG}path")[0].attrib["d"]
    height = chart.PLOT_HEIGHT
    assert re.findall(r" ([0-9.]+)V([0-9.]+)", bar) == [(f"{0.75 * height:.1f}", f"{0.25 * height:.1f}")]


@pytest.mark.parametrize(("low", "high", "ticks"), [
    (1.0, 5.0, [1, 2, 3, 4, 5]), (-0.02, 1.02, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (-31.0, 62.0, [-20, 0, 20, 40, 60]),
    (4.61, 4.74, [4.62, 4.64, 4.66, 4.68, 4.7, 4.72, 4.74]),
])  # fmt: skip
def test_marks_are_round_values(low, high, ticks):
    assert linear(low, high, "").ticks == pytest.approx(ticks)


@pytest.mark.parametrize("marker", chart.MARKERS)
def test_a_marker_is_centred_on_its_point(marker):
    """Corners are on both sides of the point, and as far from it."""
    paths = panel(draw(RATES, SCORES, [Series("x", [(10.0, 3.0)], "#0072b2", marker)])).findall(f"{SVG}path")
    assert paths[0].attrib["class"] == "marker"
    if marker != "o":
        corners = chart._OUTLINES[marker]
        ends = [
            [sum(corner[axis] for corner in corners[: index + 1]) for index in range(len(corners))] for axis in (0, 1)
        ]
        assert [max(one) for one in ends] == pytest.approx([-min(one) for one in ends])


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_the_names_in_a_legend_stay_within_the_figure_and_the_plot_keeps_its_height(count):
    names = ["opus", "encodec_24khz:lm", "encodec_24khz:checkpoint=out/mpd/model.safetensors", "mp3", "名前" * 30] * 2
    series = [Series(name, [(10.0, 3.0)], "#0072b2", "o") for name in names[:count]]
    figure = ET.fromstring(draw(RATES, SCORES, series))
    for text in (one for one in figure.findall(f"{SVG}text") if one.text in names):
        width = float(text.attrib.get("textLength", chart.text_width(text.text, chart.TEXT)))
        assert float(text.attrib["x"]) + width <= chart.WIDTH + 0.1
    assert float(panel(draw(RATES, SCORES, series)).attrib["height"]) == chart.PLOT_HEIGHT


def test_names_of_levels_do_not_overlap():
    levels = [Level(f"anchor {number}", 3.0 + 0.01 * number, "6 3") for number in range(4)]
    texts = [
        one for one in ET.fromstring(draw(RATES, SCORES, [], levels)).findall(f"{SVG}text") if "anchor" in one.text
    ]
    heights = sorted(float(one.attrib["y"]) for one in texts)
    assert all(b - a >= chart.SMALL for a, b in itertools.pairwise(heights))
