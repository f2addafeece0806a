"""Scores against bit rate: Figure 3 of the EnCodec paper, in the report of a listening test."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from earmark.codec.errors import UserError
from earmark.eval.paper import published_figure
from earmark.mushra_app.analysis.rates import rates_of_run, read_rates
from earmark.mushra_app.report import bandwidth_plot, intervals
from earmark.mushra_app.report.loading import load_ratings

LISTENERS = intervals.find("listeners")


def summary(*conditions, category="all"):
    return pd.DataFrame([
        {"condition": name, "role": "hidden reference" if name == "reference" else "system", "category": category,
         "mean": mean, "boot95_low": mean - 2, "boot95_high": mean + 3}
        for name, mean in conditions
    ])  # fmt: skip


def rates(*rows):
    return pd.DataFrame(rows, columns=["condition", "category", "kbps", "coded_kbps"])


def test_a_hollow_marker_stands_at_the_rate_with_entropy_coding():
    """The score of both is that of the audio, which entropy coding does not change."""
    known = rates(("encodec_24khz@6", "all", 6.0, 4.1), ("opus@6", "all", 5.7, math.nan))
    shown = summary(("encodec_24khz@6", 80.0), ("opus@6", 30.0), ("reference", 96.0))
    drawn = bandwidth_plot.points(shown, known, LISTENERS, "all")
    assert [(one.series, one.kbps, one.mean, one.hollow) for one in drawn] == [
        ("encodec_24khz", 6.0, 80.0, False), ("encodec_24khz", 4.1, 80.0, True), ("opus", 5.7, 30.0, False),
    ]  # fmt: skip
    assert (drawn[0].low, drawn[0].high) == (78.0, 83.0)
    (axes,) = bandwidth_plot.plot(shown, known, LISTENERS).axes
    faces = {line.get_markerfacecolor(): line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"}
    assert {face: rate for face, rate in faces.items() if face == "#ffffff"} == {"#ffffff": 4.1}


def test_a_condition_with_a_language_model_is_hollow_and_of_the_same_codec():
    (one,) = bandwidth_plot.points(
        summary(("encodec_24khz@3:lm", 60.0)), rates(("encodec_24khz@3:lm", "all", math.nan, 1.9)), LISTENERS, "all"
    )
    assert (one.series, one.kbps, one.hollow) == ("encodec_24khz", 1.9, True)


def test_there_is_no_figure_without_rates():
    shown = summary(("opus@6", 30.0))
    assert not bandwidth_plot.known_rates(shown, None)
    assert not bandwidth_plot.known_rates(shown, rates(("lyra@6", "all", 6.0, math.nan)))
    assert bandwidth_plot.known_rates(shown, rates(("opus@6", "all", 5.7, math.nan)))


def test_rates_of_a_run_join_each_system_with_its_twin():
    """Bits over the coded duration: 2 s of 5 and 7 kbps give 6; the twin with a language model, 4."""
    rows = [("a", "speech", "e@6", 5.0), ("b", "music", "e@6", 7.0), ("a", "speech", "e@6:lm", 3.0),
            ("b", "music", "e@6:lm", 5.0)]  # fmt: skip
    scores = pd.DataFrame(rows, columns=["file", "category", "system", "kbps"]).assign(
        metric="si_snr", value=1.0, status="ok", kbps_nominal=6.0, coded_seconds=2.0, duration=2.0, encode_seconds=1.0,
        decode_seconds=1.0,
    )  # fmt: skip
    table = rates_of_run(scores)
    plain = table[table["condition"] == "e@6"].set_index("category")
    assert plain.loc["all", ["kbps", "coded_kbps"]].tolist() == [6.0, 4.0]
    assert plain.loc["music", ["kbps", "coded_kbps"]].tolist() == [7.0, 5.0]


def test_published_points_are_those_of_table_1():
    """EnCodec at 3 kbps: 67.0, 62.5, 89.6 and 87.8 in four categories, 76.725 over all; 1.9 kbps entropy-coded."""
    of_speech = {one.label: one for one in published_figure.points("speech")}
    three = of_speech["EnCodec, 3 kbps"]
    assert (three.kbps, three.coded_kbps, three.mean, three.low, three.high) == (3.0, 1.9, 67.0, 65.5, 68.5)
    over_all = {one.label: one for one in published_figure.points()}["EnCodec, 3 kbps"]
    assert over_all.mean == pytest.approx(76.725)
    assert math.isnan(over_all.low)
    assert len(of_speech) == 9  # all but the reference
    assert published_figure.points("birds") == []
    drawn = bandwidth_plot.paper_points("speech")
    assert sum(one.hollow for one in drawn) == 4  # only EnCodec is entropy-coded


@pytest.fixture
def ratings(tmp_path):
    rng = np.random.default_rng(0)
    means = {"reference": 97, "anchor@3.5k": 20, "opus@6": 30, "encodec_24khz@6": 75}
    rows = [
        (f"L{listener}", f"{category}{item}", name, category, mean + rng.uniform(-3, 3))
        for listener in range(4) for category in ("speech", "music") for item in range(2)
        for name, mean in means.items()
    ]  # fmt: skip
    pd.DataFrame(rows, columns=["listener", "item", "condition", "category", "score"]).to_csv(
        tmp_path / "ratings.csv", index=False
    )
    return load_ratings(tmp_path / "ratings.csv")


def test_the_report_has_the_figure_once_rates_are_known(ratings, tmp_path, every_format):
    """It has a panel per category and one over all, here with the paper's points."""
    (tmp_path / "rates.csv").write_text("condition,kbps,coded_kbps\nopus@6,5.7,\nencodec_24khz@6,6,4.1\n")
    report = ratings.report(tmp_path / "with", rates=tmp_path / "rates.csv", published=True)
    page = report.page.read_text(encoding="utf-8")
    assert "Table 1 of arXiv 2210.13438" in page
    assert "var(--series-0, #0072b3)" in page
    drawn = report.plots["bandwidth"].read_text(encoding="utf-8")
    assert all(f">{text}<" in drawn for text in ("all categories", "speech", "music", "with entropy coding", "lyra"))
    assert report.plots["bandwidth"].with_suffix(".pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("system,kbps\na,1\n", "needs the columns condition and kbps"),
        ("condition,kbps\nopus@6,six\n", "line 2: kbps must be a positive number"),
        ("condition,kbps\nlyra@6,6\n", "has none of the conditions anchor@3.5k, encodec_24khz@6, opus@6, reference"),
    ],
)
def test_rates_that_cannot_be_used(ratings, tmp_path, content, said):
    (tmp_path / "rates.csv").write_text(content)
    with pytest.raises(UserError, match=said):
        ratings.report(tmp_path / "out", rates=tmp_path / "rates.csv")


def test_a_folder_without_a_run_gives_no_rates(tmp_path):
    with pytest.raises(UserError, match="not a run; give a run of `earmark compare`, or a CSV file"):
        read_rates(tmp_path)


def test_published_points_need_rates(ratings, tmp_path):
    with pytest.raises(UserError, match=r"--published draws points beside yours .*; give --rates"):
        ratings.report(tmp_path / "out", published=True)


def test_names_of_lines_do_not_lie_on_each_other():
    """Reference at 97 and anchor at 95: the name of the anchor stands below its line."""
    lines = pd.DataFrame({"condition": ["anchor", "reference"], "mean": [95.0, 97.0]})
    axes = Figure().subplots()
    bandwidth_plot._draw_lines(axes, lines)
    assert {text.get_text(): text.get_verticalalignment() for text in axes.texts} == {
        "anchor": "top", "reference": "bottom",
    }  # fmt: skip
