"""Weights for the tests of checkpoints."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from earmark.codec.checkpoints.loading import save

from .small import tiny_model


@pytest.fixture(scope="module")
def references(pair):
    """(name, seed) -> the reference, with weight norms and norms changed from their initial values."""

    @functools.lru_cache(maxsize=2)  # about 100 MB each
    def make(name: str, seed: int = 0):
        reference, _ = pair(name, seed)
        with torch.no_grad():
            for key, tensor in reference.named_parameters():
                if key.endswith("weight_g") or ".norm." in key:
                    tensor.mul_(1 + 0.2 * torch.rand_like(tensor)).add_(0.01)
        return reference

    return make


@pytest.fixture
def tiny_file(tmp_path) -> Path:
    save(tiny_model(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"
