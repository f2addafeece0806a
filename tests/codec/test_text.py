"""Plurals and comma-separated lists."""

from __future__ import annotations

import pytest

from earmark.codec.text import counted, printable, split_list


@pytest.mark.parametrize(("count", "text"), [(0, "0 items"), (1, "1 item"), (2, "2 items")])
def test_only_one_is_singular(count, text):
    assert counted(count, "item") == text


def test_a_list_has_each_part_once_and_in_order():
    assert split_list(" opus@12, mp3@64 ,,opus@12,") == ("opus@12", "mp3@64")
    assert split_list(" , ") == ()


def test_what_acts_on_a_terminal_is_escaped():
    """ESC starts a command of the terminal, U+202E reverses what follows, U+D800 has no UTF-8."""
    assert printable("a\x1b[31mb\u202ec\ud800\n\x7f") == "a\\x1b[31mb\\u202ec\\ud800\\x0a\\x7f"
    assert printable("näselnd 鼻音 👂 “x”") == "näselnd 鼻音 👂 “x”"
