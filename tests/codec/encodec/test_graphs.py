"""Encoder and decoder as graphs of torch.export and torch.compile: any length and batch, no break."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim

from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.fast.accelerate import accelerate

from .test_codes import small_model

NETWORKS = [(name, part) for name in PRESETS for part in ("encoder", "decoder")]


def network_and_input(name: str, part: str, length: int, batch: int = 2) -> tuple[nn.Module, torch.Tensor]:
    model = small_model(name)
    accelerate(model)
    channels, hop = (model.config.channels, 320) if part == "encoder" else (8, 1)
    odd = 1 if part == "encoder" else 0
    return getattr(model, part), torch.randn(batch, channels, length * hop + odd, generator=torch.manual_seed(0))


@pytest.mark.parametrize(("name", "part"), NETWORKS[:3])
@torch.no_grad()
def test_exported_for_any_length_and_batch(name, part):
    """Lengths that are and are not multiples of the hop; 151 steps gave 24000 samples instead of 48320."""
    network, example = network_and_input(name, part, 50)
    shortest = 3200 if part == "encoder" else 8
    dims = {0: Dim("batch", min=1, max=4096), 2: Dim("time", min=shortest, max=1 << 24)}
    exported = torch.export.export(network, (example,), dynamic_shapes=(dims,)).module()
    for length, batch in ((151, 1), (20, 3), (50, 2)):
        _, x = network_and_input(name, part, length, batch)
        torch.testing.assert_close(exported(x), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "part"), NETWORKS[:2])
@torch.no_grad()
def test_compiled_without_a_graph_break(name, part):
    network, x = network_and_input(name, part, 10)
    torch._dynamo.reset()
    compiled = torch.compile(network, fullgraph=True, dynamic=True, backend="eager")  # no compiler of C++ needed
    for length in (10, 21):
        _, x = network_and_input(name, part, length)
        torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-5)
