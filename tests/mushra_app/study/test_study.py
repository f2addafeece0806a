"""A study.json that comes from somebody else: what is wrong with it is said in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.study.study import load

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda study: study.update(annotations="2"), "annotations, trials_per_listener and sample_rate are whole"),
        (lambda study: study.update(annotations=None), "are whole numbers from 1"),
        (lambda study: study.update(trials_per_listener=2.5), "are whole numbers from 1"),
        (lambda study: study.update(sample_rate=float("nan")), "are whole numbers from 1"),
        (lambda study: study.update(name=["x"]), "a name is no text"),
        (lambda study: study["conditions"][1].update(name=3), "a condition is no text, or occurs twice"),
        (lambda study: study["conditions"].append(study["conditions"][1]), "a condition is no text, or occurs twice"),
        (lambda study: study["items"][1].update(id=study["items"][0]["id"]), "an item is no text, or occurs twice"),
        (lambda study: study["conditions"][1].update(role="spy"), "anchor@3.5k has an unknown role"),
        (lambda study: study["items"][1].update(seconds=float("nan")), "length of item musical-001 is not a number"),
        (lambda study: study["items"][1].update(seconds=-5), "the length of item musical-001 is not a number above 0"),
        (lambda study: study["items"][1].update(seconds="5"), "the length of item musical-001 is not a number above 0"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused(study_folder: Path, change: Change, message: str):
    """A negative length, for example, would let scripts pass that answer at once."""
    path = study_folder / "study.json"
    study = json.loads(path.read_text(encoding="utf-8"))
    change(study)
    path.write_text(json.dumps(study), encoding="utf-8")
    with pytest.raises(UserError, match=message):
        load(study_folder)


@pytest.mark.parametrize(("name", "text"), [("study.json", "[" * 100_000), ("session.toml", "a = " + "[" * 100_000)])
def test_deep_nesting_is_refused(study_folder: Path, name: str, text: str):
    (study_folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=f"{name}: not readable as"):
        load(study_folder)
