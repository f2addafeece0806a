"""Libraries that are loaded after the start of a server."""

from __future__ import annotations

import importlib
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from earmark.mushra_app.web import warm_up


def test_the_loading_thread_pauses_before_each_module_and_no_other_thread_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """mine needs part, so that two modules are loaded here; other is loaded by another thread."""
    (tmp_path / "mine.py").write_text("import part\n")
    (tmp_path / "part.py").touch()
    (tmp_path / "other.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    pauses: list[float] = []
    monkeypatch.setattr(warm_up, "time", SimpleNamespace(sleep=pauses.append))  # other threads sleep, too
    finders = list(sys.meta_path)
    with warm_up.Pauses():
        importlib.import_module("mine")
        thread = threading.Thread(target=importlib.import_module, args=("other",))
        thread.start()
        thread.join()
    assert pauses == [warm_up.PAUSE] * 2
    assert {"mine", "part", "other"} <= sys.modules.keys()
    assert sys.meta_path == finders
    for name in ("mine", "part", "other"):
        monkeypatch.delitem(sys.modules, name)
