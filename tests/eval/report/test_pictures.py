"""Spectrograms and scatter plots of the report."""

from __future__ import annotations

import base64
import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from earmark.eval.report import plots, spectrograms
from earmark.eval.report.scatter import scatters

RATE = 16000


def tone(frequency, amplitude=0.5, seconds=1.0):
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE))[None].astype("float32")


def pixels(png):
    """Pixels of a picture, [height, width, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB"))


@pytest.mark.parametrize("frequency", [1000, 4100, 7000])
def test_a_tone_lies_at_its_height(frequency):
    """96 bands up to 8 kHz are 83.3 Hz each."""
    levels = spectrograms.levels(tone(frequency), RATE)
    assert levels.shape == (96, 320)
    assert abs(levels.mean(axis=1).argmax() - frequency / (8000 / 96)) <= 1


def test_half_the_level_is_six_decibels_less():
    difference = spectrograms.levels(tone(1000), RATE) - spectrograms.levels(tone(1000, 0.25), RATE)
    assert difference[12].mean() == pytest.approx(6.02, abs=0.01)


def test_a_picture_stands_upright_and_its_brightest_is_the_tone():
    levels = spectrograms.levels(tone(1000), RATE)
    picture = pixels(spectrograms.picture(levels, float(levels.max())))
    assert picture.shape == (96, 320, 3)
    assert abs((95 - picture.sum(axis=2).mean(axis=1).argmax()) - 12) <= 1


def test_a_difference_is_blue_where_the_codec_has_less_and_red_where_it_has_more():
    source = spectrograms.levels(tone(1000) + tone(5000), RATE)
    decoded = spectrograms.levels(tone(1000) + tone(3000), RATE)
    picture = pixels(spectrograms.difference(source, decoded, float(source.max())))[::-1].astype(int)
    lost, kept, new = picture[60, 160], picture[12, 160], picture[36, 160]
    assert lost[2] > lost[0] + 50
    assert new[0] > new[2] + 50
    assert kept.min() > 235  # nearly white


@pytest.mark.parametrize(("palette", "name"), [(spectrograms.MAGMA, "magma"), (spectrograms.RED_BLUE, "RdBu_r")])
def test_palettes_are_those_of_matplotlib(palette, name):
    expected = mpl.colormaps[name](np.linspace(0, 1, spectrograms.COLOURS), bytes=True)[:, :3]
    assert bytes.fromhex(palette) == expected.tobytes()


def test_shorter_than_a_window_and_silent_have_pictures_too():
    for samples in (tone(1000, seconds=0.01), np.zeros((2, RATE), "float32")):
        levels = spectrograms.levels(samples, RATE)
        assert np.isfinite(levels).all()
        pixels(spectrograms.picture(levels, float(levels.max())))


def rows(metric, values, category="speech"):
    return [
        {
            "file": f"{number}.wav", "category": category, "system": system, "metric": metric, "value": value,
            "status": "ok",
        }
        for system, each in values.items()
        for number, value in enumerate(each)
    ]  # fmt: skip


def test_metrics_that_order_alike_have_a_correlation_of_one():
    """1, 2, 5 against 1, 4, 25 rises, though not on a line; the third metric falls."""
    values = {"opus@6": (1.0, 2.0), "mp3@64": (5.0,)}
    squares = {system: tuple(value**2 for value in each) for system, each in values.items()}
    falling = {system: tuple(-value for value in each) for system, each in values.items()}
    scores = pd.DataFrame(rows("si_snr", values) + rows("visqol", squares) + rows("stoi", falling))
    result = scatters(scores, plots.styles(values))
    assert [one.correlation for one in result] == [
        f"Spearman's ρ = {rho} over 3 scores" for rho in ("1.00", "-1.00", "-1.00")
    ]
    assert result[0].title == "ViSQOL against SI-SNR"
    for series in ("opus", "mp3"):
        assert f">{series}</text>" in result[0].svg


def test_a_metric_with_two_scales_has_a_panel_for_each():
    """Both rise together in each mode: rho = 1. Ranks 1 to 6 against 4, 5, 6, 1, 2, 3 give 1 - 6 x 54 / 210 < 0."""
    speech, music = {"opus@6": (1.0, 2.0, 3.0)}, {"opus@6": (11.0, 12.0, 13.0)}
    low, high = {"opus@6": (1.0, 1.1, 1.2)}, {"opus@6": (4.0, 4.1, 4.2)}
    scores = pd.DataFrame(
        rows("si_snr", speech) + rows("visqol", high) + rows("si_snr", music, "music") + rows("visqol", low, "music")
    )
    result = scatters(scores.assign(file=scores["category"] + scores["file"]), {}, ["speech"])
    assert [(one.title, one.correlation) for one in result] == [
        ("ViSQOL against SI-SNR, speech mode", "Spearman's ρ = 1.00 over 3 scores"),
        ("ViSQOL against SI-SNR, audio mode", "Spearman's ρ = 1.00 over 3 scores"),
    ]


def test_one_metric_has_no_scatter():
    assert scatters(pd.DataFrame(rows("si_snr", {"opus@6": (1.0, 2.0, 3.0)})), {}) == []
