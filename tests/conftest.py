"""Fixtures shared by all tests, and the order of the files."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .prepared import Prepared

# Two processes test on two cores. Threads of libraries beside them, also in the commands that tests start, would wait
# for each other, several times longer than they compute. Before torch and numpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Hundreds of processes start here, and each would compile all modules that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

LONGEST = (  # longest first; started last, one of them would run alone at the end
    "test_docs_run.py",
)
TRAINING = (
    "scipy.signal", "soundfile", "torch", "torch._dynamo", "torch.distributed", "torch.utils.data",
    "earmark.codec.training.run", "earmark.eval.training_cli",
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"  # real data beside a checkout; absent elsewhere


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and rating files; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no real data here: ../shared is absent")
    return SHARED


@pytest.fixture(scope="session")
def prepared() -> Iterator[Prepared]:
    """A process that has imported what trainings need, for commands and programs that run as forks of it."""
    process = Prepared({**os.environ, "PYTHONPATH": str(ROOT)}, TRAINING)
    yield process
    process.close()


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist start files in the order below instead of by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def pytest_collection_finish() -> None:
    """Spare the collector of garbage the million objects of modules and tests, which stay: 0.7 s in each full pass."""
    gc.collect()
    gc.freeze()
