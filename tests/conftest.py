"""Fixtures shared by all tests, and the order of the files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Two processes test on two cores. Threads of libraries beside them, also in the commands that tests start, would wait
# for each other, several times longer than they compute. Before torch and numpy are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

LONGEST = (  # longest first; started last, one of them would run alone at the end
    "test_docs_run.py",
)
SHARED = Path(__file__).resolve().parents[2] / "shared"  # real data beside a checkout; absent elsewhere


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and rating files; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no real data here: ../shared is absent")
    return SHARED


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-xdist start files in the order below instead of by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))
