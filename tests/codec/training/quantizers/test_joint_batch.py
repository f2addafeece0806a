"""Quantisers that two processes train together, against one process with the joint batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer

WORKER = """
import sys
import torch
from torch import distributed
from earmark.codec.training.quantizers.diffq import DiffQuantizer
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer

torch.set_num_threads(1)
folder, rank = sys.argv[1], int(sys.argv[2])
distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
rvq, diffq = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=64), DiffQuantizer(8)
for batch in torch.load(f"{folder}/batches.pt"):
    own = batch[:3] if rank == 0 else batch[3:]
    codes = rvq(own, 2).codes
    diffq(own, 1)
torch.save({"rvq": rvq.state_dict(), "codes": codes, "diffq": diffq.state_dict()}, f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


@pytest.fixture(scope="module")
def batches() -> list[Tensor]:
    """Batches of five signals, three of which are for the first process. The latent moves, so codewords die."""
    generator = torch.Generator().manual_seed(0)
    return [update + torch.randn(5, 8, 30, generator=generator) for update in range(6)]


@pytest.fixture(scope="module")
def ranks(prepared, batches, tmp_path_factory) -> list[dict[str, Any]]:
    """Final states of the two processes."""
    folder = tmp_path_factory.mktemp("ranks")
    torch.save(batches, folder / "batches.pt")
    prepared.run_ranks(WORKER, folder)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


def test_codebooks_are_those_of_the_joint_batch(batches, ranks):
    alone = TrainableResidualVectorQuantizer(8, codebooks=2, codebook_size=64)
    for batch in batches:
        codes = alone(batch, 2).codes
    assert torch.equal(torch.cat([rank["codes"] for rank in ranks]), codes)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(ranks[0]["rvq"][name], value, rtol=1e-4, atol=1e-5)
        assert torch.equal(ranks[0]["rvq"][name], ranks[1]["rvq"][name]), name


def test_diffq_keeps_the_mean_of_both_statistics(batches, ranks):
    mean, deviation = torch.zeros(8), torch.ones(8)
    for batch in batches:
        mean = 0.9 * mean + 0.1 * torch.stack([part.mean(dim=(0, 2)) for part in (batch[:3], batch[3:])]).mean(dim=0)
        spread = [part.std(dim=(0, 2), correction=0) for part in (batch[:3], batch[3:])]
        deviation = 0.9 * deviation + 0.1 * torch.stack(spread).mean(dim=0)
    for rank in ranks:
        torch.testing.assert_close(rank["diffq"]["mean"], mean)
        torch.testing.assert_close(rank["diffq"]["deviation"], deviation)
