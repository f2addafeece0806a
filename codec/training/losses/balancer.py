"""The loss balancer (EnCodec paper, section 3.4, "Balancer")."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from earmark.codec.training.distributed import average

SMALLEST = torch.finfo(torch.float32).tiny  # norm whose inverse is finite


@dataclass
class _Average:
    """Exponential moving average without a bias towards its start.

    It is the mean total / weight of all values so far, each weighted by decay to the power of its age.
    """

    total: float = 0.0
    weight: float = 0.0

    def update(self, value: float, decay: float) -> float:
        """Include a value and return the average."""
        self.total = decay * self.total + value
        self.weight = decay * self.weight + 1
        return self.total / self.weight


class Balancer:
    """Gives each loss a fixed share of the gradient that reaches the decoder, whatever its scale (equation 5).

    With g_i the gradient of loss i with respect to the decoded audio x^, the network receives the sum of

        g~_i = R lambda_i / sum_j lambda_j * g_i / <|g_i|_2>_beta

    where <.>_beta is an exponential moving average over the batches, this one included, and |g_i|_2 the norm of the
    whole gradient: all examples, channels and samples. The losses are means over the batch. If processes share the
    batch and average the gradients of their weights afterwards, the norm is that of the joint batch, so that the update
    equals that of a single process.

    A gradient that is zero (a saturated hinge) or not finite cannot be scaled: its loss is ignored in that batch, on
    all processes, and its average does not change. The other losses keep their scale.

    Args:
        weights: lambda_i by the name of the loss. If a batch lacks some losses, the sum is over those it has.
        reference_norm: R.
        decay: beta.
        enabled: if False, the gradient is that of the weighted sum of the losses (Table A.4).
    """

    def __init__(
        self, weights: Mapping[str, float], *, reference_norm: float = 1.0, decay: float = 0.999, enabled: bool = True
    ) -> None:
        self.weights = dict(weights)
        self.reference_norm = reference_norm
        self.decay = decay
        self.enabled = enabled
        self._averages = {name: _Average() for name in self.weights}

    def backward(
        self, losses: Mapping[str, Tensor], decoded: Tensor, unbalanced: Tensor | None = None, parts: int = 1
    ) -> dict[str, float]:
        """Add the balanced gradient to the gradients of the weights, in one backward pass through the networks.

        Args:
            losses: scalars by their names in `weights`. They must depend on the trained weights through `decoded` only.
                Their graphs are kept.
            decoded: output of the decoder, [B, C, T].
            unbalanced: scalar that is added without balancing, such as the commitment loss.
            parts: number of parts of the batch, whose gradients are added up one after the other; the norm of the
                joint gradient is estimated from each, as if all had the same.

        Returns:
            The share of each loss in this batch: the norm of its contribution over the sum of these norms.

        Raises:
            ValueError: a loss without a weight.
        """
        if unknown := losses.keys() - self.weights.keys():
            raise ValueError(f"no weight for the losses {', '.join(sorted(unknown))}")
        gradients = [torch.autograd.grad(loss, decoded, retain_graph=True)[0] for loss in losses.values()]
        # The joint gradient holds those of all parts, each divided by their number: |g| / parts * sqrt(parts).
        norms = {name: norm / parts**0.5 for name, norm in zip(losses, _joint_norms(gradients), strict=True)}
        scales = self._scales(norms)
        total = torch.zeros_like(decoded)
        for name, gradient in zip(losses, gradients, strict=True):
            if name in scales:
                total.add_(gradient, alpha=scales[name] / parts)
        if unbalanced is not None and unbalanced.requires_grad:
            torch.autograd.backward([decoded, unbalanced], [total, torch.full_like(unbalanced, 1 / parts)])
        else:
            decoded.backward(total)
        contributions = {name: scales[name] * norms[name] if name in scales else 0.0 for name in losses}
        whole = sum(contributions.values())
        return {name: norm / whole if whole else 0.0 for name, norm in contributions.items()}

    def state_dict(self) -> dict[str, Any]:
        """The moving averages."""
        return {name: asdict(norm) for name, norm in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `state_dict`."""
        self._averages |= {name: _Average(**norm) for name, norm in state.items()}

    def _scales(self, norms: Mapping[str, float]) -> dict[str, float]:
        """The factor of each gradient that can be scaled."""
        usable = {name: norm for name, norm in norms.items() if SMALLEST <= norm < math.inf}
        if not self.enabled:
            return {name: self.weights[name] for name in usable}
        averages = {name: self._averages[name].update(norm, self.decay) for name, norm in usable.items()}
        weights = sum(self.weights[name] for name in norms)
        return {
            name: self.reference_norm * self.weights[name] / weights / averages[name] if weights else 0.0
            for name in usable
        }


def _joint_norms(gradients: list[Tensor]) -> list[float]:
    """Norms of the gradients of the joint batch, from those of each process's part."""
    squares = torch.stack([torch.linalg.vector_norm(g, dtype=torch.float64).square() for g in gradients])
    average([squares])
    # The joint gradient of W processes holds theirs, each divided by W: sum |g|^2 / W^2 = mean |g|^2 / W.
    processes = dist.get_world_size() if dist.is_initialized() else 1
    norms: list[float] = (squares / processes).sqrt().tolist()
    return norms
