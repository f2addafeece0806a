"""Paths that a file from elsewhere names stay inside their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from earmark.codec.errors import UserError
from earmark.codec.inside import inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "a.wav").touch()
    (tmp_path / "out.wav").touch()
    return tmp_path / "in"


@pytest.mark.parametrize("name", ["a.wav", "sub/b.wav", "sub/../a.wav", "..a.wav", "50% off? #1.wav"])
def test_a_path_inside_is_returned(folder: Path, name: str):
    assert inside(folder, name, "study.json") == folder / name


@pytest.mark.parametrize(
    "name",
    ["", ".", "sub/..", "../out.wav", "../../x", "sub/../../out.wav", "/etc/passwd", "C:\\x.wav", "\\\\host\\x", "a\0b",
     None, 7],
)  # fmt: skip
def test_a_path_that_leads_out_is_refused_by_name(folder: Path, name: object):
    with pytest.raises(UserError, match=r"study\.json: names “.*”, which is not a path inside") as raised:
        inside(folder, name, "study.json")
    assert "\0" not in str(raised.value)


def test_links_are_followed_before_a_path_is_judged(folder: Path):
    (folder / "near.wav").symlink_to("a.wav")
    (folder / "far.wav").symlink_to("../out.wav")
    (folder / "away").symlink_to(folder.parent)
    assert inside(folder, "near.wav", "study.json").is_file()
    for name in ("far.wav", "away/out.wav"):
        with pytest.raises(UserError, match=name):
            inside(folder, name, "study.json")


def test_a_folder_may_be_a_link_itself(folder: Path):
    (folder.parent / "link").symlink_to(folder)
    assert inside(folder.parent / "link", "a.wav", "study.json").is_file()
