"""A short run of benchmarks/fuzz_inputs.py: whatever strangers send is read, or refused in one line."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis")

from benchmarks.fuzz_inputs import TARGETS, run


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_reader(name: str):
    run(name, examples=60)
