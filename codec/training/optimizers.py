"""Adam, as the EnCodec paper trains (section 4.4), and Muon, which bears higher learning rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from earmark.codec.training.recipe import OptimizerRecipe

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # of x, x^3 and x^5: Jordan's, steep at 0 rather than exact at 1
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_RMS = 0.2  # of Adam's updates over the learning rate: 0.2 to 0.4, of which Liu et al. (2502.16982) take 0.2
EPSILON = 1e-8


def build(network: nn.Module, recipe: OptimizerRecipe) -> torch.optim.Optimizer:
    """The optimiser of all of a network's weights."""
    if recipe.kind == "muon":
        return Muon(network.named_parameters(), recipe.learning_rate, recipe.betas)
    first, second = recipe.betas
    return torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, betas=(first, second))


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al., 2024) for the weights of layers, Adam for gains, biases and what a quantiser learns.

    The momentum of a matrix, in Nesterov's form, is replaced by the nearest one with orthonormal rows or columns, so
    that an update moves all directions alike and not only the few which its largest gradients share; it is scaled to
    the size of Adam's updates, so that a learning rate serves both. torch.optim.Muon does this for matrices alone.

    Here a convolution's kernel is one too, its first axis against all others: outputs, of a transposed convolution
    inputs. So are the gates of an LSTM, all four together, and the groups of a convolution. With weight norm it is the
    direction that moves; its length may drift, and has no effect but on the rate.

    Args:
        parameters: with their names; weights are those called so that have two axes longer than 1.
        learning_rate: of both.
        betas: Adam's.
    """

    def __init__(
        self, parameters: Iterable[tuple[str, nn.Parameter]], learning_rate: float, betas: tuple[float, float]
    ) -> None:
        kinds: dict[bool, list[nn.Parameter]] = {True: [], False: []}
        for name, parameter in parameters:
            kinds["weight" in name and sum(size > 1 for size in parameter.shape) > 1].append(parameter)
        groups = [{"params": found, "matrices": matrices} for matrices, found in kinds.items() if found]
        super().__init__(groups, {"lr": learning_rate, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            move = _muon if group["matrices"] else _adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(move(parameter.grad, self.state[parameter], group), alpha=group["lr"])


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
    """The matrix with its singular values all near 1, by Newton and Schulz's iteration; bfloat16 is enough for it.

    With a quintic as steep as this they end between 0.68 and 1.21, but for those below 1.5e-3 of the matrix's norm.

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
