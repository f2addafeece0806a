"""A study and its database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.study.study import load as load_study
from tests.mushra_app.database.sessions import Clock


@pytest.fixture
def study(study_folder: Path) -> Study:
    """Four items that need more ratings than any test gives."""
    return replace(load_study(study_folder), annotations=100)


@pytest.fixture
def store(study: Study, study_folder: Path) -> Store:
    return open_store(study, study_folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)
