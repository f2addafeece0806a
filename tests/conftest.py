"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"  # real data beside a checkout; absent elsewhere


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and rating files; tests that need it are skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("no real data here: ../shared is absent")
    return SHARED
