"""Loads pyFFTW, which visqol-python uses for its FFTs, without its interface to Dask.

pyFFTW imports all of Dask's arrays for that interface where Dask is installed, in a fifth of a second.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let imports of a package fail during the block, unless it is loaded already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system takes as absent
    try:
        yield
    finally:
        del sys.modules[package]


with _hidden("dask"), contextlib.suppress(ImportError):  # pyFFTW is an option of visqol-python
    importlib.import_module("pyfftw.interfaces.scipy_fft")
