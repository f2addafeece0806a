"""The versions of visqol-python whose scores the kernels are verified to give."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

# Modules whose steps the kernels replace or rely on.
MODULES = (
    "alignment", "analysis_window", "audio_utils", "gammatone", "nsim", "numba_accel", "patch_creator",
    "patch_selector", "signal_utils", "visqol_core", "visqol_manager",
)  # fmt: skip
# Version -> digest of the modules. Add one when tests/eval/metrics/visqol_kernels passes with it.
VERIFIED = {"3.8.0": "b34af82d3bdd20e074e1b2e9ad0055c879c0918b04b6009f5f433fe53f3ee207"}


def obstacle() -> str | None:
    """Why the library has to score by itself; None if the kernels can.

    A package that was changed after its release has another digest, and counts as not verified.
    """
    try:
        installed = version("visqol-python")
    except PackageNotFoundError:
        return "visqol-python is not installed"
    if find_spec("numba") is None:
        return "numba is not installed"
    if installed not in VERIFIED:
        return f"visqol-python {installed} is not verified"
    if digest() != VERIFIED[installed]:
        return f"visqol-python {installed} differs from its release"
    return None


def digest() -> str:
    """Hash of the library's modules, empty if their source is not there; line ends do not matter."""
    found = find_spec("visqol")
    if found is None or found.origin is None:
        return ""
    result = hashlib.sha256()
    try:
        for name in MODULES:
            result.update(b"\n".join(Path(found.origin).with_name(f"{name}.py").read_bytes().splitlines()))
    except OSError:
        return ""
    return result.hexdigest()
