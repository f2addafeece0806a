"""Optimisers: Adam, as in the EnCodec paper (section 4.4), and Muon, which allows higher learning rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from earmark.codec.training.recipe import OptimizerRecipe

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # factors of x, x^3, x^5 by Jordan: steep at 0 instead of exact at 1
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_RMS = 0.2  # RMS of Adam's updates over the learning rate: 0.2 to 0.4; Liu et al. (arXiv 2502.16982) use 0.2
EPSILON = 1e-8


def build(network: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """Build the recipe's optimiser for all parameters of a network."""
    if recipe.kind == "muon":
        return Muon(network.named_parameters(), recipe.learning_rate, recipe.betas)
    first, second = recipe.betas
    return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(first, second))


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the weights of layers; Adam for gains, biases and the parameters of quantisers.

    The Nesterov momentum of a matrix is replaced by the nearest matrix with orthonormal rows or columns, so that an
    update moves all directions equally and not only the few that have the largest gradients. It is scaled to the size
    of Adam's updates, so that one learning rate suits both. torch.optim.Muon supports two-dimensional parameters only.

    Here the kernel of a convolution is a matrix too: its first axis (outputs, or inputs if transposed) against all
    others. The four gates of an LSTM are one matrix, and so are the groups of a convolution. With weight norm, Muon
    updates the direction. The length of the direction parameter may drift, which only affects the effective rate.

    Args:
        parameters: names and parameters. Matrices are those with "weight" in their name and two axes longer than 1.
        learning_rate: learning rate of Muon and Adam.
        betas: Adam's decay rates.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], learning_rate: float, betas: tuple[float, float]
    ) -> None:
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in parameters:
            is_matrix = "weight" in name and sum(size > 1 for size in parameter.shape) > 1
            (matrices if is_matrix else others).append(parameter)
        groups = [{"params": members, "matrices": members is matrices} for members in (matrices, others) if members]
        super().__init__(groups, {"lr": learning_rate, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            direction = _muon if group["matrices"] else _adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(direction(parameter.grad, self.state[parameter], group), alpha=group["lr"])


def _muon(gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Tensor:
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - MOMENTUM)
    matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
    return (ADAM_RMS * max(matrix.shape) ** 0.5 * orthogonalized(matrix)).view_as(gradient)


def _adam(gradient: Tensor, state: dict[str, Any], group: Mapping[str, Any]) -> Tensor:
    first, second = group["betas"]
    if not state:
        state |= {"updates": 0, "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
    state["updates"] += 1
    mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["updates"])
    square = state["square"].lerp_(gradient.square(), 1 - second) / (1 - second ** state["updates"])
    return mean / (square.sqrt() + EPSILON)


def orthogonalized(matrix: Tensor) -> Tensor:
    """Move the singular values of a matrix, [n, m], close to 1 by Newton-Schulz iterations in bfloat16.

    With these factors they end between 0.68 and 1.21, except those below 1.5e-3 of the matrix's norm.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = (wide / wide.norm().clamp(min=1e-7)).bfloat16()
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide is matrix else x.T).to(matrix.dtype)
