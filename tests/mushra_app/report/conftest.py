"""Fixtures: plots of reports, which take most of the time, as SVG alone or in every format."""

from __future__ import annotations

import pytest

from earmark.mushra_app.report import plot_style


@pytest.fixture
def every_format():
    """Marks a test whose plots are rendered as PDF and PNG too."""


@pytest.fixture(autouse=True)
def svg_alone(request, monkeypatch):
    """Write empty PDF and PNG files in tests that look at pages and tables, unless they take `every_format`."""
    if "every_format" not in request.fixturenames:
        for name in ("pdf", "png"):
            monkeypatch.setattr(plot_style, name, lambda figure: b"")
