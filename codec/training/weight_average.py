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
    def update(self, module: nn.Module) -> None:
        """Include the current weights of the module."""
        for name, parameter in module.named_parameters() if self._decay else ():
            self._shadow[name].lerp_(parameter, 1 - self._decay)

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
