"""Values that must be finite before an update is applied."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from earmark.codec.training.distributed import maximum


class NotFinite(Exception):  # noqa: N818
    """A loss or a gradient is NaN or infinite; the message names it."""


def require_finite(values: Mapping[str, Tensor]) -> None:
    """Check values together, since reading one from a GPU takes as long as reading all.

    All processes of a training agree: if a value of one is not finite, all of them raise.

    Args:
        values: tensors of any shape by their names in messages, causes before consequences.

    Raises:
        NotFinite: names the first value that is not finite.
    """
    # A sum would overflow where no value is infinite; the extremes do not, and NaN reaches them.
    extremes = torch.stack([torch.stack(value.detach().float().aminmax()) for value in values.values()]).tolist()
    bad = [not (math.isfinite(low) and math.isfinite(high)) for low, high in extremes]
    first = maximum(len(bad) - bad.index(True) if True in bad else 0)
    if not first:
        return
    name, (low, high) = [*values][len(bad) - first], extremes[len(bad) - first]
    reason = "infinite" if math.isinf(low) or math.isinf(high) else "NaN"
    raise NotFinite(f"{name} is {reason}")
