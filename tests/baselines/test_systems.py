"""System strings: valid ones, and the messages for invalid ones."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from earmark.baselines.registry import families, installed
from earmark.baselines.systems import family_of, parse, parse_list
from earmark.cli import cli
from earmark.codec.errors import UserError


@pytest.mark.parametrize(
    ("text", "family", "kbps"),
    [("opus@6", "opus", 6), ("opus@9.6", "opus", 9.6), (" mp3@64 ", "mp3", 64), ("reference", "reference", None),
     ("anchor@3.5k", "anchor", None)],
)  # fmt: skip
def test_names_codec_and_rate(text, family, kbps):
    system = parse(text)
    assert system.family == family
    assert family_of(system).kbps(system) == kbps
    assert system.text == text.strip()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("opus@3", "opus@3: Opus starts at 6 kbps; try opus@6"),
        ("opus@600", "Opus ends at 510 kbps; try opus@510"),
        ("opus@nan", "needs a bit rate in kbps"),
        ("opus@6_0", "needs a bit rate in kbps"),
        ("opus@1e2", "needs a bit rate in kbps"),
        ("mp3@inf", "MP3 needs a bit rate in kbps; try mp3@64"),
        ("opus", "needs a bit rate in kbps; try opus@12"),
        ("opus@fast", "needs a bit rate in kbps"),
        ("opus@12:flavour=nice", "no option 'flavour'"),
        ("mp3@65", "try mp3@64"),
        ("anchor@3500", "cut-off in kHz with a k; try anchor@3.5k"),
        ("anchor@30k", "1k to 20k"),
        ("anchor", "try anchor@3.5k"),
        ("reference@12", "has no bit rate"),
        ("vorbis@64", "there is no codec 'vorbis'; `earmark systems` lists the codecs"),
        ("encodec_24k@3", "did you mean encodec_24khz or "),
        ("opsu@6", "did you mean opus?"),
        ("@12", "is not a system"),
        ("opus@@12", "is not a system"),
    ],
)
def test_invalid_systems_are_refused_with_a_remedy(text, says):
    with pytest.raises(UserError) as caught:
        parse(text)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("opus@12.0", "opus@12"), ("opus@012", "opus@12"), ("opus@9.60", "opus@9.6"), ("opus@100", "opus@100"),
     ("mp3@64.", "mp3@64"), ("anchor@3.50k", "anchor@3.5k"), ("anchor@07k", "anchor@7k")],
)  # fmt: skip
def test_one_system_has_one_spelling(text, canonical):
    assert parse(text) == parse(canonical)
    assert parse(text).text == canonical


def test_a_list_names_each_system_once_and_keeps_its_order():
    assert [system.text for system in parse_list("opus@12, mp3@64,opus@12,")] == ["opus@12", "mp3@64"]
    assert len(parse_list("opus@12,opus@12.0")) == 1
    with pytest.raises(UserError, match="--systems: name at least one"):
        parse_list(" , ")


def test_every_example_is_a_valid_system_in_its_canonical_spelling():
    for family in families().values():
        assert parse(family.example).text == family.example


class BrokenEntry:
    """An entry point whose package lacks a dependency."""

    name, value = "theirs", "their_package:Codec"

    def load(self):
        raise ImportError("No module named 'their_dependency'\nand more")


@pytest.fixture
def broken_entry(monkeypatch):
    monkeypatch.setattr("earmark.baselines.registry.entry_points", lambda group: [BrokenEntry()])
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("broken_entry")
def test_a_third_partys_codec_that_does_not_load_does_not_affect_the_others():
    assert parse("opus@12").family == "opus"
    with pytest.raises(UserError, match=r"theirs: its entry point their_package:Codec does not load") as caught:
        parse("theirs@12")
    assert "\n" not in str(caught.value)
    listing = CliRunner().invoke(cli, ["systems"])
    assert listing.exit_code == 0
    assert "No module named 'their_dependency'" in listing.output
