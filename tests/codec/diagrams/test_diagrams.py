"""Figures 1 and 2 of the EnCodec paper, drawn from the modules."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.diagrams.models import diagram
from earmark.codec.errors import UserError


def lines(svg: str) -> list[str]:
    """Texts of a drawing; raises if it is not XML."""
    return [element.text or "" for element in ElementTree.fromstring(svg).iter() if element.tag.endswith("text")]


def test_the_paper_s_model_has_the_paper_s_numbers():
    """Section 3.1: C = 32 channels, kernel 7; strides 2, 4, 5, 8 with kernels of twice the stride; two LSTM layers;
    D = 128; 32 codebooks of 1024 codewords for 24 kbps."""
    found = lines(diagram("encodec_24khz", "model"))
    assert found.count("1 → 32 channels, kernel 7") == 1
    downs = [re.findall(r"\d+", line) for line in found if "stride" in line]
    assert [tuple(map(int, numbers)) for numbers in downs[:4]] == [
        (32, 64, 4, 2), (64, 128, 8, 4), (128, 256, 10, 5), (256, 512, 16, 8),
    ]  # fmt: skip
    assert found.count("LSTM, 2 layers") == 2
    assert "512 → 128 channels, kernel 7" in found
    assert "codebook 32" in found
    assert found.count("1024 codewords of 128") == 4  # the first three and the last
    assert "320 samples per step, 75 steps per second" in found


@pytest.mark.parametrize(
    ("name", "wanted", "absent"),
    [
        ("encodec_48khz", "segments of 1 s, overlapping by 1 %", "causal convolutions, weight norm"),
        ("soundstream", "kernels 7, 1, dilation 9, identity skip", "LSTM, 2 layers"),
        ("tableA3:no_lstm", "320 samples per step, 75 steps per second", "LSTM, 2 layers"),
    ],
)
def test_other_shapes(name, wanted, absent):
    found = lines(diagram(name, "model"))
    assert wanted in found
    assert absent not in found


def test_the_discriminator_has_the_paper_s_layers():
    """Section 3.4: 3 x 8, 32 channels; dilations 1, 2, 4 in time with stride 2 over frequency; then 3 x 3."""
    found = lines(diagram("encodec_24khz", "discriminators"))
    assert "windows 2048, 1024, 512, 256, 128, hop a quarter" in found
    kernels = [line for line in found if "kernel" in line]
    assert kernels == [
        "2 → 32, kernel 3 × 8", "32 → 32, kernel 3 × 8, stride 1 × 2",
        "32 → 32, kernel 3 × 8, stride 1 × 2, dilation 2 × 1",
        "32 → 32, kernel 3 × 8, stride 1 × 2, dilation 4 × 1", "32 → 1, kernel 3 × 3: logits",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "part"), [("encodec_24khz", "discriminators"), ("encodec_24khz_non_streamable", "discriminators")]
)
def test_the_title_lies_within_the_drawing(name, part):
    """The letters of a title of 17 px are 9 px wide in Chromium on Linux."""
    drawn = diagram(name, part)
    assert float(ElementTree.fromstring(drawn).attrib["width"]) >= 20 + 9 * len(lines(drawn)[0])


@pytest.mark.parametrize(("file", "part"), [("architecture", "model"), ("discriminator", "discriminators")])
def test_the_drawings_of_the_documentation_are_those_of_the_model(file, part):
    page = Path(__file__).resolve().parents[3] / "docs" / "images" / f"encodec-{file}.svg"
    assert page.read_text(encoding="utf-8") == diagram("encodec_24khz", part)


def test_the_command(tmp_path):
    out = tmp_path / "figure.svg"
    run = CliRunner().invoke
    assert run(cli, ["inspect", "encodec_24khz", "--diagram", "-o", str(out)]).exit_code == 0
    assert lines(out.read_text(encoding="utf-8"))[0] == "encodec_24khz: encoder, quantiser and decoder"
    assert "exists; " in str(run(cli, ["inspect", "encodec_24khz", "--diagram", "-o", str(out)]).exception)
    said = run(cli, ["inspect", "encodec_24khz"]).exception
    assert str(said) == "encodec_24khz: no such file; a model of that name is drawn by --diagram"
    with pytest.raises(UserError, match="no such recipe"):
        diagram(str(tmp_path / "missing"), "model")
