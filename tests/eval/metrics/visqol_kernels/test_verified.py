"""The library scores by itself unless it is a version that the kernels are verified with."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from earmark.eval.metrics import visqol
from earmark.eval.metrics.visqol_kernels import verified

pytest.importorskip("visqol")
pytest.importorskip("numba")


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """A copy of the library's modules that is found in its place."""
    folder = tmp_path / "visqol"
    folder.mkdir()
    for name in ("__init__", *verified.MODULES):
        shutil.copy(Path(find_spec("visqol").origin).with_name(f"{name}.py"), folder)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "visqol"]:
        monkeypatch.delitem(sys.modules, name)
    return folder


def test_the_installed_version_is_verified():
    """If this fails after an update: run test_manager.py with the new version, then name it in VERIFIED."""
    assert verified.obstacle() is None
    assert visqol._kernels() is not None


def test_line_ends_do_not_matter(copy):
    before = verified.digest()
    for path in copy.glob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert verified.digest() == before


def test_a_changed_module_is_not_verified(copy):
    module = copy / "nsim.py"
    module.write_text(module.read_text(encoding="utf-8").replace("0.619485845753726", "0.62"), encoding="utf-8")
    assert verified.obstacle() == "visqol-python 3.8.0 differs from its release"
    assert visqol._kernels() is None


def test_a_module_without_source_is_not_verified(copy):
    (copy / "gammatone.py").unlink()
    assert verified.obstacle() == "visqol-python 3.8.0 differs from its release"


def test_another_version_is_not_verified(monkeypatch):
    monkeypatch.setattr(verified, "version", lambda name: "3.9.0")
    assert verified.obstacle() == "visqol-python 3.9.0 is not verified"
    assert visqol._kernels() is None


def test_kernels_that_do_not_compile_leave_the_work_to_the_library(monkeypatch):
    from earmark.eval.metrics.visqol_kernels import manager

    def fail() -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(manager, "compile_kernels", fail)
    assert visqol._kernels() is None
