"""Moving average of the weights, which often sounds better than the last weights. The paper does not use one.

torch.optim.swa_utils.AveragedModel can compute the same average, but it stores other keys and copies of all buffers:
saved trainings would need a conversion that is longer than this module.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a module's parameters. Buffers are not averaged.

    Args:
        module: module whose parameters are averaged.
        decay: decay per update; 0 turns the average off.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._shadow = {name: p.detach().clone() for name, p in module.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, module: nn.Module, bad: Tensor | None = None) -> None:
        """Include the current weights of the module.

        Args:
            bad: scalar on the device; if it is 1, the average does not change (see `FiniteCheck`).
        """
        if not self._decay:
            return
        current = dict(module.named_parameters())
        averages = [*self._shadow.values()]
        weights: list[Tensor] = [current[name] for name in self._shadow]
        if bad is None:
            torch._foreach_lerp_(averages, weights, 1 - self._decay)
        else:
            steps = torch._foreach_mul(torch._foreach_sub(weights, averages), (1 - self._decay) * (1 - bad))
            torch._foreach_add_(averages, steps)

    @contextlib.contextmanager
    def in_place(self, module: nn.Module) -> Iterator[None]:
        """Context in which the module has the averaged weights instead of its own."""
        parameters = dict(module.named_parameters())
        own = {name: parameters[name].data for name in self._shadow}
        for name, tensor in self._shadow.items():
            parameters[name].data = tensor
        try:
            yield
        finally:
            for name, tensor in own.items():
                parameters[name].data = tensor

    def state_dict(self) -> dict[str, Tensor]:
        """Averaged weights by name; empty if the average is off."""
        return self._shadow

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restore a state of `state_dict`."""
        for name, tensor in state.items():
            self._shadow[name].copy_(tensor)
