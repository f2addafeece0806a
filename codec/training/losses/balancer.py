"""The loss balancer (EnCodec paper, section 3.4, "Balancer")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from earmark.codec.training.distributed import average

SMALLEST = torch.finfo(torch.float32).tiny  # norm whose inverse is finite


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

    Norms, averages and scales stay on the device of the decoded audio, so that nothing waits for it. An average has no
    bias towards its start: it is the mean total / weight of all values so far, each weighted by beta to the power of
    its age.

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
        zero = torch.zeros((), dtype=torch.float64)
        self._averages = dict.fromkeys(self.weights, (zero, zero))  # total and weight

    def backward(
        self,
        losses: Mapping[str, Tensor],
        decoded: Tensor,
        unbalanced: Tensor | None = None,
        parts: int = 1,
        bad: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Add the balanced gradient to the gradients of the weights, in one backward pass through the networks.

        Args:
            losses: scalars by their names in `weights`. They must depend on the trained weights through `decoded` only.
                Their graphs are kept.
            decoded: output of the decoder, [B, C, T].
            unbalanced: scalar that is added without balancing, such as the commitment loss.
            parts: number of parts of the batch, whose gradients are added up one after the other; the norm of the
                joint gradient is estimated from each, as if all had the same.
            bad: scalar on the device; if it is not 0, the averages do not change (see `FiniteCheck`).

        Returns:
            The share of each loss in this batch: the norm of its contribution over the sum of these norms. Scalars on
            the device.

        Raises:
            ValueError: a loss without a weight.
        """
        if unknown := losses.keys() - self.weights.keys():
            raise ValueError(f"no weight for the losses {', '.join(sorted(unknown))}")
        gradients = [torch.autograd.grad(loss, decoded, retain_graph=True)[0] for loss in losses.values()]
        # The joint gradient holds those of all parts, each divided by their number: |g| / parts * sqrt(parts).
        norms = _joint_norms(gradients) / parts**0.5
        usable = (norms >= SMALLEST) & norms.isfinite()
        scales = torch.where(usable, self._scales([*losses], norms, usable, bad), 0)
        total = torch.zeros_like(decoded)
        for gradient, scale, used in zip(gradients, (scales / parts).to(total.dtype), usable, strict=True):
            total.addcmul_(torch.where(used, gradient, 0), scale)
        if unbalanced is not None and unbalanced.requires_grad:
            torch.autograd.backward([decoded, unbalanced], [total, torch.full_like(unbalanced, 1 / parts)])
        else:
            decoded.backward(total)
        contributions = torch.where(usable, scales * norms, 0)
        shares = contributions / contributions.sum().clamp(min=SMALLEST)
        return dict(zip(losses, shares.float(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The moving averages."""
        return {name: {"total": float(total), "weight": float(w)} for name, (total, w) in self._averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `state_dict`."""
        for name, saved in state.items():
            total, weight = (torch.tensor(saved[key], dtype=torch.float64) for key in ("total", "weight"))
            self._averages[name] = total, weight

    def _scales(self, names: Sequence[str], norms: Tensor, usable: Tensor, bad: Tensor | None) -> Tensor:
        """The factor of each gradient, [losses]; of those that are not usable, any value."""
        lambdas = torch.tensor([self.weights[name] for name in names], dtype=norms.dtype).to(norms.device)
        if not self.enabled:
            return lambdas
        before = [torch.stack([self._averages[name][i].to(norms.device) for name in names]) for i in range(2)]
        changed = usable if bad is None else usable & (bad == 0)
        totals, weights = (
            torch.where(changed, self.decay * old + new, old)
            for old, new in zip(before, (norms, torch.ones_like(norms)), strict=True)
        )
        self._averages |= zip(names, zip(totals, weights, strict=True), strict=True)
        return self.reference_norm * lambdas / lambdas.sum().clamp(min=SMALLEST) * weights / totals


def _joint_norms(gradients: list[Tensor]) -> Tensor:
    """Norms of the gradients of the joint batch, from those of each process's part, float64 [gradients]."""
    squares = torch.stack([torch.linalg.vector_norm(g, dtype=torch.float64).square() for g in gradients])
    average([squares])
    # The joint gradient of W processes holds theirs, each divided by W: sum |g|^2 / W^2 = mean |g|^2 / W.
    processes = dist.get_world_size() if dist.is_initialized() else 1
    return (squares / processes).sqrt()
