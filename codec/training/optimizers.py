"""Adam, as the EnCodec paper trains (section 4.4), and Muon, which gets further in the same number of updates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from codec.training.recipe import OptimizerRecipe

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: Jordan's, steep at 0 rather than exact at 1
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_RMS = 0.2  # of Adam's updates of well-trained networks over the learning rate (Liu et al., 2502.16982)
EPSILON = 1e-8


def build(network: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """The optimiser of all of a network's weights."""
    if recipe.kind == "muon":
        return Muon(network.parameters(), recipe.learning_rate, recipe.betas)
    first, second = recipe.betas
    return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(first, second))


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) for kernels and matrices, Adam for gains and biases.

    The momentum of a matrix, in Nesterov's form, is replaced by the nearest one with orthonormal rows or columns, so
    that an update moves all directions alike and not only the few which its largest gradients share; it is scaled to
    the size of Adam's updates, so that a learning rate serves both. torch.optim.Muon does this for matrices; here a
    convolution's kernel is one too, with its first axis against all others.

    Args:
        parameters: those with one axis longer than 1 are gains and biases.
        learning_rate: of both.
        betas: Adam's.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float, betas: tuple[float, float]) -> None:
        kinds: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for parameter in parameters:
            kinds[sum(size > 1 for size in parameter.shape) > 1].append(parameter)
        groups = [{"params": found, "matrices": matrices} for matrices, found in kinds.items() if found]
        super().__init__(groups, {"lr": learning_rate, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    rule = _muon if group["matrices"] else _adam
                    parameter.sub_(rule(parameter.grad, self.state[parameter], group["betas"]), alpha=group["lr"])


def _muon(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
    momentum = state.setdefault("momentum", torch.zeros_like(gradient))
    momentum.lerp_(gradient, 1 - MOMENTUM)
    matrix = gradient.lerp(momentum, MOMENTUM).flatten(1)
    return (ADAM_RMS * max(matrix.shape) ** 0.5 * orthogonalized(matrix)).view_as(gradient)


def _adam(gradient: Tensor, state: dict[str, Any], betas: tuple[float, float]) -> Tensor:
    if not state:
        state |= {"updates": 0, "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)}
    state["updates"] += 1
    state["mean"].lerp_(gradient, 1 - betas[0])
    state["square"].lerp_(gradient.square(), 1 - betas[1])
    mean, square = (
        state[name] / (1 - beta ** state["updates"]) for name, beta in zip(("mean", "square"), betas, strict=True)
    )
    return mean / (square.sqrt() + EPSILON)


def orthogonalized(matrix: Tensor) -> Tensor:
    """The matrix with its singular values all near 1, by Newton and Schulz's iteration; bfloat16 is enough for it.

    With a quintic as steep as this they end between 0.7 and 1.2, but for those below some 1e-3 of the largest.

    Args:
        matrix: [n, m].
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = (wide / wide.norm().clamp(min=1e-7)).bfloat16()
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide is matrix else x.T).to(matrix.dtype)
