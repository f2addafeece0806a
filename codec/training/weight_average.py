"""A moving average of the weights, which often sounds better than the last ones; off in the paper's recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a module's parameters; buffers follow their own rule and stay as they are.

    Args:
        decay: of the average; 0 for none.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self._shadow = {name: p.detach().clone() for name, p in module.named_parameters()} if decay else {}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        for name, parameter in module.named_parameters() if self._decay else ():
            self._shadow[name].lerp_(parameter, 1 - self._decay)

    @contextlib.contextmanager
    def in_place(self, module: nn.Module) -> Iterator[None]:
        """Lend the averaged weights to the module, which has its own back afterwards."""
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
        return self._shadow

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        for name, tensor in state.items():
            self._shadow[name].copy_(tensor)
