"""Evaluation needs no torch: `pip install earmark` comes without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDS_TORCH = {"earmark.eval.paper.reproduce"}  # loaded when the command runs
BLOCKED = """
import importlib, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Block())
"""


def blocked(program: str) -> str:
    """Run a program in which torch cannot be imported."""
    command = [sys.executable, "-c", BLOCKED + program]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_every_module_imports():
    paths = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / "eval").rglob("*.py")]
    names = {f"earmark.{'.'.join(path.parts)}".removesuffix(".__init__") for path in paths} - NEEDS_TORCH
    program = f"for name in {sorted(names)!r}: importlib.import_module(name)\nprint('torch' in sys.modules)"
    assert blocked(program) == "False\n"


def test_metrics_and_tables_of_the_paper_are_listed():
    program = (
        "from earmark.eval.metrics.registry import find\n"
        "from earmark.eval.paper.published_tables import names, published\n"
        "assert find('si_snr').available() is None\n"
        "assert all(published(name).rows for name in names())\n"
        "print(*names())"
    )
    assert "table1" in blocked(program)
