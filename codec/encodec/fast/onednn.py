"""Convolution, product and ELU on [B, T, C] by oneDNN with packed weights, tuned for one core of a CPU.

Channels come last, because oneDNN's convolutions are twice as fast in this layout, and because down- and up-sampling
then need no transposition. The functions called here are those that torch.compile generates calls of for the CPU; no
compiler is needed at run time.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from earmark.codec.encodec.precision import cpu_has_bfloat16

onednn: Any = torch.ops.mkldnn
ROWS_EXPECTED = 1024  # rows for which oneDNN optimises the layout of packed weights; other numbers of rows work too
_FEW_PRODUCTS = 1 << 20  # up to here torch's own routine is faster, since a call of oneDNN costs 10 us
_FEW_VALUES = 1 << 14  # up to here a call costs more time than its computation
_BLOCK = 1 << 17  # values of a block, a few copies of which fit into the cache of one core
_LOG2_E = 1 / math.log(2)


def supports(dtype: torch.dtype) -> bool:
    """Whether this CPU and this build of torch support the functions of this module for a type."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and cpu_has_bfloat16())


class PlainProduct:
    """Product x W^T + b for few rows by torch's own routine, [n, C] -> [n, D].

    Args:
        weight: [D, C], or [D, ...] with C values per row.
        bias: [D].
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._products, self._bias = weight.numel(), bias
        if self.suits(1):
            self._weight = weight

    def suits(self, rows: int) -> bool:
        """Whether this routine is the faster one for a number of rows."""
        return rows * self._products <= _FEW_PRODUCTS and self._bias.dtype == torch.float32

    @cached_property
    def _by_input(self) -> Tensor:
        """Weight stored as [C, D], which is read twice as fast. Only streams use and thus create it."""
        return self._weight.flatten(1).t().contiguous().t()

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self._by_input, self._bias)


class PackedConv:
    """Convolution without padding, [B, T, C] -> [B, (T - span) // stride + 1, D]."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype, stride: int = 1, dilation: int = 1) -> None:
        weight = weight.detach().to("cpu")
        self.stride, self.dilation, self.kernel = stride, dilation, weight.shape[2]
        self.span = (self.kernel - 1) * dilation + 1
        self.bias = bias.detach().to("cpu", dtype)
        self.packed = onednn._reorder_convolution_weight(
            weight[:, :, None].to(dtype).contiguous(memory_format=torch.channels_last),
            [0, 0], [1, stride], [1, dilation], 1, [1, weight.shape[1], 1, ROWS_EXPECTED],
        )  # fmt: skip
        self.plain = PlainProduct(weight.transpose(1, 2), self.bias)

    def __call__(self, x: Tensor) -> Tensor:
        batch, length, channels = x.shape
        count = (length - self.span) // self.stride + 1
        if self.plain.suits(batch * count):
            per_signal, per_step, _ = x.stride()
            windows = x.as_strided(
                (batch, count, self.kernel, channels), (per_signal, self.stride * per_step, self.dilation * per_step, 1)
            )
            return self.plain(windows.reshape(batch * count, -1)).view(batch, count, -1)
        image = x[:, None].permute(0, 3, 1, 2)  # [B, C, 1, T], channels last in memory
        y: Tensor = onednn._convolution_pointwise(
            image, self.packed, self.bias, [0, 0], [1, self.stride], [1, self.dilation], 1, "none", [], ""
        )
        return y.permute(0, 2, 3, 1)[:, 0]


class PackedLinear:
    """Product with a weight [D, C] plus a bias, [..., C] -> [..., D]; optionally added to another tensor."""

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        weight = weight.detach().to("cpu")
        self.bias = bias.detach().to("cpu", dtype)
        self.packed = onednn._reorder_linear_weight(weight.to(dtype).contiguous(), ROWS_EXPECTED)
        self.plain = PlainProduct(weight, self.bias)

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        if self.plain.suits(x.shape[:-1].numel()):
            y = self.plain(x)
            return y if plus is None else y.add_(plus)
        if plus is None:
            out: Tensor = onednn._linear_pointwise(x, self.packed, self.bias, "none", [], "")
        else:
            out = onednn._linear_pointwise.binary(x, plus, self.packed, self.bias, "add")
        return out


class NarrowConv:
    """Convolution of stride 1 to one or two channels, [B, T, C] -> [B, T - kernel + 1, D].

    oneDNN fills its vector registers with output channels, and here most of each register would stay empty. So 8
    consecutive output steps become the channels of one convolution of stride 8. Its weight holds the kernel once for
    each of these steps, shifted to the inputs of the step.
    """

    STEPS = 8  # output steps per convolution

    def __init__(self, weight: Tensor, bias: Tensor, dtype: torch.dtype) -> None:
        outputs, channels, kernel = weight.shape
        several = weight.new_zeros(self.STEPS, outputs, channels, kernel + self.STEPS - 1)
        for step in range(self.STEPS):
            several[step, :, :, step : step + kernel] = weight.detach()
        self.several = PackedConv(several.flatten(0, 1), bias.repeat(self.STEPS), dtype, self.STEPS)
        self.single = PackedConv(weight, bias, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        steps = x.shape[1] - self.single.span + 1
        rest = steps % self.STEPS
        if steps == rest:
            return self.single(x)
        y = self.several(x).reshape(x.shape[0], steps - rest, -1)
        return torch.cat([y, self.single(x[:, steps - rest :])], dim=1) if rest else y


def few(x: Tensor) -> bool:
    """Whether a tensor has so few values that a call costs more time than its computation."""
    return x.numel() <= _FEW_VALUES


def elu(x: Tensor) -> Tensor:
    """elu(x) = max(x, exp(min(x, 0)) - 1), [B, T, C]."""
    if few(x):
        return F.elu(x)
    out = torch.empty_like(x)
    elu_into(out, x)
    return out


def elu_into(out: Tensor, x: Tensor) -> None:
    """Write elu(x) into `out`; both are [B, T, C] in float32 or bfloat16.

    Several passes over a block in the cache take half the time of torch's single pass, which evaluates expm1. The
    rounding error, 1e-7 in absolute terms, is that of a sum in float32.
    """
    steps = max(1, _BLOCK // (x.shape[0] * x.shape[2]))
    for part, target in zip(x.split(steps, dim=1), out.split(steps, dim=1), strict=True):
        exact = part.float()
        y = target if out.dtype == torch.float32 else torch.empty_like(exact)
        torch.mul(exact, _LOG2_E, out=y)
        torch.maximum(exact, y.clamp_(max=0).exp2_().sub_(1), out=y)
        if y is not target:
            target.copy_(y)


def follow(
    before: Tensor | None, x: Tensor, with_elu: bool, dtype: torch.dtype, left: int = 0, right: int = 0
) -> Tensor:
    """Concatenate `before` and x, or elu(x), along time; all are [B, T, C].

    Args:
        before: earlier steps; None for none.
        x: new steps.
        with_elu: whether to apply ELU to x.
        dtype: type of the result.
        left: uninitialised steps to leave in front, for padding.
        right: uninitialised steps to leave at the end.
    """
    if few(x) and not left and not right:
        x = F.elu(x.to(dtype)) if with_elu else x.to(dtype)
        return x if before is None else torch.cat([before, x], dim=1)
    held = 0 if before is None else before.shape[1]
    end = left + held + x.shape[1]
    out = torch.empty(x.shape[0], end + right, x.shape[2], dtype=dtype)
    if before is not None:
        out[:, left : left + held] = before
    if with_elu:
        elu_into(out[:, left + held : end], x)
    else:
        out[:, left + held : end] = x
    return out
