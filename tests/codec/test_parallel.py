"""Limits of processes that work beside others."""

from __future__ import annotations

import os

import pytest

from earmark.codec.parallel import ONE_THREAD, thread_limit


def test_the_limit_of_threads_ends_with_the_block(monkeypatch: pytest.MonkeyPatch):
    """A value of the user comes back, and a variable that was absent goes again, also after an error."""
    first, *others = ONE_THREAD
    monkeypatch.setenv(first, "3")
    for name in others:
        monkeypatch.delenv(name, raising=False)

    def fail_within() -> None:
        with thread_limit(2):
            assert {os.environ[name] for name in ONE_THREAD} == {"2"}
            raise KeyError

    with pytest.raises(KeyError):
        fail_within()
    assert os.environ[first] == "3"
    assert not any(name in os.environ for name in others)
