"""Optimisers: Adam, as in the EnCodec paper (section 4.4), and Muon, which allows higher learning rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from earmark.codec.training.recipe import OptimizerRecipe

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # factors of x, x^3, x^5 by Jordan: steep at 0 instead of exact at 1
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_RMS = 0.2  # RMS of Adam's updates over the learning rate: 0.2 to 0.4; Liu et al. (arXiv 2502.16982) use 0.2
EPSILON = 1e-8


def build(network: nn.Module, recipe: OptimizerRecipe, deferred: bool = False) -> torch.optim.Optimizer:
    """Build the recipe's optimiser for all parameters of a network.

    Args:
        deferred: make an optimiser whose steps depend on its attribute `found_inf`, a scalar on the device (see
            `FiniteCheck.bad`): if it is 1, a step changes neither parameters nor moments. Adam is fused, which is
            faster on a GPU.

    The parts of the network that have a learning rate of their own in `recipe.rates` are groups of their own, whose key
    "rate" is their learning rate relative to the recipe's.
    """
    rates = asdict(recipe.rates)
    if recipe.kind == "muon":
        return Muon(network.named_parameters(), recipe.learning_rate, recipe.betas, rates)
    first, second = recipe.betas
    groups = [
        {"params": [parameter for _, parameter in named], "rate": rate}
        for rate, named in _parts(network.named_parameters(), rates)
    ]
    return torch.optim.Adam(groups, lr=recipe.learning_rate, betas=(first, second), fused=deferred)


def load_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Restore the moments of a saved state; rates and betas stay those of the recipe, and so do the groups.

    Groups may be divided otherwise than those saved, if their parameters have the same order.
    """
    optimizer.load_state_dict({"state": state["state"], "param_groups": optimizer.state_dict()["param_groups"]})


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
        rates: learning rates relative to that, by the first part of a name; default: 1.
    """

    def __init__(
        self,
        parameters: Iterable[tuple[str, nn.Parameter]],
        learning_rate: float,
        betas: tuple[float, float],
        rates: Mapping[str, float] | None = None,
    ) -> None:
        parts = _parts(parameters, rates or {})
        groups = [
            {"params": members, "matrices": matrices, "rate": rate}
            for matrices in (True, False)
            for rate, named in parts
            if (members := [parameter for name, parameter in named if _is_matrix(name, parameter) == matrices])
        ]
        super().__init__(groups, {"lr": learning_rate, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; with an attribute `found_inf` of 1, change nothing."""
        bad: Tensor | None = getattr(self, "found_inf", None)
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            gradients = [parameter.grad for parameter in trained]
            if trained and group["matrices"]:
                directions = self._muon(trained, gradients, bad)
                torch._foreach_add_(trained, directions, alpha=-group["lr"])
            elif trained:
                self._adam(trained, gradients, group, bad)

    def _muon(self, parameters: list[nn.Parameter], gradients: list[Tensor], bad: Tensor | None) -> list[Tensor]:
        """Directions of matrices; those of one shape are orthogonalised together."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(gradient)
        momenta = [self.state[parameter]["momentum"] for parameter in parameters]
        if bad is not None:  # the average of a momentum and itself does not move
            gradients = [torch.where(bad > 0, m, g) for m, g in zip(momenta, gradients, strict=True)]
        torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
        nesterov = torch._foreach_lerp(gradients, momenta, MOMENTUM)
        by_shape: dict[torch.Size, list[int]] = {}
        for index, each in enumerate(nesterov):
            by_shape.setdefault(each.flatten(1).shape, []).append(index)
        directions = list(nesterov)
        for shape, indices in by_shape.items():
            stacked = orthogonalized(torch.stack([nesterov[index].flatten(1) for index in indices]))
            stacked *= ADAM_RMS * max(shape) ** 0.5
            for index, direction in zip(indices, stacked, strict=True):
                directions[index] = direction.view_as(nesterov[index])
        return directions if bad is None else list(torch._foreach_mul(directions, 1 - bad))

    def _adam(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], group: Mapping[str, Any], bad: Tensor | None
    ) -> None:
        """Update all other parameters, by PyTorch's fused Adam."""
        first, second = group["betas"]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            state = self.state[parameter]
            if not state:
                state.update({"updates": 0, "mean": torch.zeros_like(gradient), "square": torch.zeros_like(gradient)})
            if not isinstance(state["updates"], Tensor):  # a state of an earlier version, too
                state["updates"] = torch.full((), float(state["updates"]), device=gradient.device)
        means, squares, updates = (
            [self.state[parameter][key] for parameter in parameters] for key in ("mean", "square", "updates")
        )
        adam(
            [*parameters], gradients, means, squares, [], updates, fused=True, found_inf=bad, amsgrad=False,
            beta1=first, beta2=second, lr=group["lr"], weight_decay=0.0, eps=EPSILON, maximize=False,
        )  # fmt: skip


def _parts(
    parameters: Iterable[tuple[str, nn.Parameter]], rates: Mapping[str, float]
) -> list[tuple[float, list[tuple[str, nn.Parameter]]]]:
    """Names and parameters of each part in `rates` and of all others together, with the part's rate."""
    parts: dict[str, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in parameters:
        part = name.partition(".")[0]
        parts.setdefault(part if part in rates else "", []).append((name, parameter))
    return [(rates.get(part, 1.0), named) for part, named in parts.items()]


def _is_matrix(name: str, parameter: nn.Parameter) -> bool:
    return "weight" in name and sum(size > 1 for size in parameter.shape) > 1


def orthogonalized(matrix: Tensor) -> Tensor:
    """Move the singular values of matrices, [..., n, m], close to 1 by Newton-Schulz iterations in bfloat16.

    With these factors they end between 0.68 and 1.21, except those below 1.5e-3 of the matrix's norm.
    """
    wide = matrix if matrix.shape[-2] <= matrix.shape[-1] else matrix.mT
    x = (wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp(min=1e-7)).bfloat16()
    a, b, c = NEWTON_SCHULZ
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x if wide is matrix else x.mT).to(matrix.dtype)
