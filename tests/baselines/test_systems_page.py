"""The pages on systems: their table is complete, their system strings are valid, and the example package is a codec."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from earmark.baselines.registry import BUILT_IN, families, installed
from earmark.baselines.systems import parse
from earmark.baselines.transcode import transcode

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "reference" / "systems.md").read_text(encoding="utf-8")
GUIDE = (DOCS / "how-to" / "add-a-codec.md").read_text(encoding="utf-8")


class Entry:
    """Stands in for the entry point of an installed package with the class of the guide."""

    name, value = "mine", "my_package:Mine"

    def load(self):
        code = GUIDE.partition("## A package")[2].partition("```python\n")[2].partition("```")[0]
        names = {"my_encoder": lambda audio: audio.tobytes(), "my_decoder": self.decoder}
        exec(code, names)
        return names["Mine"]

    def decoder(self, payload):
        return np.frombuffer(payload, np.float32)[None]


@pytest.fixture
def package(monkeypatch):
    monkeypatch.setattr("earmark.baselines.registry.entry_points", lambda group: [Entry()])
    installed.cache_clear()
    yield
    installed.cache_clear()


@pytest.mark.usefixtures("package")
def test_the_package_of_the_guide_is_a_codec():
    audio = np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
    result = transcode(families()["mine"].open(parse("mine"), 16000, 2), audio, 16000)
    np.testing.assert_array_equal(result.audio, audio)


def test_every_system_is_on_the_page_and_no_other():
    table = PAGE.partition("| System |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z]\w*)", row.split("|")[1])}
    assert named == set(BUILT_IN)


def test_every_system_that_the_page_writes_is_one():
    for text in re.findall(r"`(\w+@[\d.]+k?(?::[a-z]+=\w+)*)`", PAGE):
        assert parse(text).text
