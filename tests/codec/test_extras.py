"""Messages about packages that are not installed."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from earmark.codec.errors import UserError
from earmark.codec.extras import Extra, missing, require

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_every_extra_for_users_has_a_message():
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"].keys()
    assert {*get_args(Extra)} == extras - {"all", "dev", "docs"}


def test_message_names_what_needs_the_package_and_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError) as error:
        require("torch", extra="encodec", for_="earmark encode")
    assert str(error.value) == "earmark encode: PyTorch is not installed; run `pip install 'earmark[encodec]'`"


def test_message_names_all_packages_that_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "visqol", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    expected = "visqol-python and soxr are not installed; run `pip install 'earmark[visqol]'`"
    assert missing("visqol", "numpy", "soxr", extra="visqol") == expected


def test_nothing_is_said_of_installed_packages():
    assert missing("numpy", extra="encodec") is None
    require("numpy", extra="encodec", for_="earmark encode")
