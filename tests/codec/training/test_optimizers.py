"""Muon against torch.optim.Muon for matrices and against an exact SVD; its Adam against torch.optim.Adam."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.training import recipe_files
from earmark.codec.training.optimizers import Muon, build, orthogonalized
from earmark.codec.training.quantizers.gumbel import GumbelQuantizer

BETAS = (0.8, 0.99)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def steps(optimizer, parameter, count=5):
    """The parameter after updates with gradients that are the same in every call."""
    for seed in range(count):
        parameter.grad = noise(*parameter.shape, seed=seed)
        optimizer.step()
    return parameter.detach()


@pytest.mark.parametrize("shape", [(20, 48), (48, 20), (16, 16)])
def test_matrices_equal_torch_muon(shape):
    """Equal except for rounding in bfloat16. Without Nesterov momentum the error would be a quarter."""
    ours, theirs = (nn.Parameter(torch.zeros(shape)) for _ in range(2))
    reference = torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")
    moved = steps(reference, theirs)
    assert (steps(Muon([("weight", ours)], 1e-2, BETAS), ours) - moved).norm() < 0.05 * moved.norm()


@pytest.mark.parametrize("shape", [(12, 8, 7), (40, 2, 3), (12, 3, 5, 4)])
def test_a_kernel_is_a_matrix_with_one_row_per_output(shape):
    kernel = nn.Parameter(torch.zeros(shape))
    matrix = nn.Parameter(torch.zeros(shape).flatten(1))
    kernel.grad = noise(*shape)
    matrix.grad = kernel.grad.flatten(1)
    for parameter in (kernel, matrix):
        Muon([("weight", parameter)], 1e-2, BETAS).step()
    assert torch.equal(kernel.flatten(1), matrix)


@pytest.mark.parametrize("shape", [(64, 300), (300, 64), (128, 128)])
def test_orthogonalized_keeps_the_directions_and_evens_out_their_sizes(shape):
    """The iteration applies a polynomial to each singular value, computed here in float64."""
    matrix = noise(*shape)
    u, sizes, v = torch.linalg.svd(matrix, full_matrices=False)
    wanted = sizes.double() / sizes.double().norm()
    for _ in range(5):
        wanted = 3.4445 * wanted - 4.7750 * wanted**3 + 2.0315 * wanted**5
    found = u.T @ orthogonalized(matrix) @ v.T
    assert (found - wanted.float().diag()).abs().max() < 0.05  # bfloat16 has three digits
    assert found.diagonal()[: -len(wanted) // 10].min() > 0.6
    assert found.diagonal().max() < 1.25


def test_orthogonalized_zero_is_zero():
    assert not orthogonalized(torch.zeros(4, 6)).any()


@pytest.mark.parametrize(
    ("name", "shape"),
    [("bias", (7,)), ("weight.original0", (7, 1, 1)), ("weight", (1, 1)), ("weight", ()), ("codebooks", (4, 16, 8))],
)
def test_other_parameters_equal_torch_adam(name, shape):
    ours, theirs = (nn.Parameter(torch.ones(shape)) for _ in range(2))
    wanted = steps(torch.optim.Adam([theirs], lr=1e-2, betas=BETAS), theirs)
    torch.testing.assert_close(steps(Muon([(name, ours)], 1e-2, BETAS), ours), wanted)


def test_parameters_without_gradient_do_not_change():
    """For example a discriminator that is not used in an update."""
    layer = nn.Linear(4, 3)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    Muon(layer.named_parameters(), 1e-2, BETAS).step()
    assert all(torch.equal(parameter, old) for parameter, old in zip(layer.parameters(), before, strict=True))


def test_the_recipe_selects_the_optimiser_of_all_weights():
    network = nn.Sequential(weight_norm(nn.Conv1d(4, 6, 3)), nn.LSTM(6, 6), GumbelQuantizer(6, 2, 16))
    adam = build(network, recipe_files.load("tiny", ("optimizer.kind=adam",)).optimizer)
    muon = build(network, recipe_files.load("tiny", ("optimizer.kind=muon",)).optimizer)
    assert type(adam) is torch.optim.Adam
    assert isinstance(muon, Muon)
    matrices, rest = muon.param_groups
    assert [tuple(p.shape) for p in matrices["params"]] == [(6, 4, 3), (24, 6), (24, 6)]
    assert len(matrices["params"]) + len(rest["params"]) == len(list(network.parameters()))


def test_kernels_of_one_shape_are_orthogonalized_as_each_alone():
    """A batched product in bfloat16 may round otherwise, by less than one in a hundred."""
    matrices = noise(5, 12, 40)
    together = orthogonalized(matrices)
    for matrix, ours in zip(matrices, together, strict=True):
        assert (ours - orthogonalized(matrix)).norm() < 0.01 * ours.norm()


def test_fused_adam_is_adam():
    """The kernel that GPUs use has an equal on the CPU."""
    moved = []
    for fused in (False, True):
        parameter = nn.Parameter(noise(40, 7))
        moved.append(steps(torch.optim.Adam([parameter], lr=1e-2, betas=BETAS, fused=fused), parameter))
    torch.testing.assert_close(*moved, rtol=1e-5, atol=1e-6)


def test_optimizers_update_parameters_without_gradient_not_at_all():
    recipe = recipe_files.load("tiny", ("optimizer.kind=muon",)).optimizer
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    optimizer = build(network, recipe)
    network[0](noise(2, 4)).sum().backward()
    optimizer.step()
    changed = [not torch.equal(a, b) for a, b in zip(network.parameters(), before, strict=True)]
    assert changed == [True, True, False, False]
