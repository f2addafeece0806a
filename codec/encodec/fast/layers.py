"""Convolutions, norms and residual units of SEANet on [B, T, C] with weights packed once, for inference on the CPU.

Calling a layer continues a signal from a state and gives the same values as `step` of the plain layer. A whole signal
is one call with `last`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from earmark.codec.encodec.config import PadMode
from earmark.codec.encodec.fast.onednn import (
    NarrowConv,
    PackedConv,
    PackedLinear,
    PlainProduct,
    elu,
    few,
    follow,
)
from earmark.codec.encodec.layers import Conv1d, ConvTranspose1d, LayerState, TimeLayerNorm, reflect
from earmark.codec.encodec.seanet import ResidualUnit


class Layer(Protocol):
    """Layer that takes a signal part by part, from the state `new_state()` on; `last` ends the signal."""

    def new_state(self) -> LayerState: ...

    def __call__(self, x: Tensor, state: Any, last: bool) -> Tensor: ...  # [B, n, C] -> [B, m, D]


class FastNorm:
    """Norm of a plain layer, on [B, T, C]."""

    def __init__(self, norm: nn.GroupNorm | TimeLayerNorm, dtype: torch.dtype) -> None:
        assert norm.bias is not None
        self.weight, self.bias = norm.weight.detach().to("cpu", dtype), norm.bias.detach().to("cpu", dtype)
        self.eps = norm.eps
        self.over_time = isinstance(norm, nn.GroupNorm)

    def __call__(self, x: Tensor) -> Tensor:
        if self.over_time:
            image = x[:, None].permute(0, 3, 1, 2)
            return F.group_norm(image, 1, self.weight, self.bias, self.eps).permute(0, 2, 3, 1)[:, 0]
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def _fast_norm(norm: nn.Module, dtype: torch.dtype) -> FastNorm | None:
    return FastNorm(norm, dtype) if isinstance(norm, nn.GroupNorm | TimeLayerNorm) else None


def _filled(padded: Tensor, left: int, right: int, mode: PadMode) -> Tensor:
    """Fill the first `left` and the last `right` steps of `padded`, [B, left + n + right, C], as `pad` does."""
    end = padded.shape[1] - right
    if mode == "constant":
        padded[:, :left] = 0
        padded[:, end:] = 0
        return padded
    signal = padded[:, left:end]
    if signal.shape[1] <= max(left, right):
        return reflect(signal.transpose(1, 2), left, right).transpose(1, 2).contiguous()
    padded[:, :left] = padded[:, left + 1 : 2 * left + 1].flip(1)
    padded[:, end:] = padded[:, end - 1 - right : end - 1].flip(1)
    return padded


@dataclass
class FastConvState(LayerState):
    """Input that later outputs still need, [B, n, C], after ELU and with padding; the rest is as in `ConvState`."""

    pending: Tensor | None = None
    received: int = 0
    started: bool = False


class FastConv:
    """`Conv1d`, optionally with the ELU before it, which is written straight into the padded input."""

    def __init__(self, layer: Conv1d, elu: bool, dtype: torch.dtype) -> None:
        conv = layer.conv
        assert conv.bias is not None
        self.plain = layer
        self.elu = elu
        self.dtype = dtype
        self.right = 0 if layer.causal else layer.padding // 2
        self.left = layer.padding - self.right
        narrow = conv.out_channels < NarrowConv.STEPS and layer.stride == conv.dilation[0] == 1
        self.conv: NarrowConv | PackedConv = (
            NarrowConv(conv.weight, conv.bias, dtype)
            if narrow
            else PackedConv(conv.weight, conv.bias, dtype, layer.stride, conv.dilation[0])
        )
        self.norm = _fast_norm(layer.norm, dtype)

    def new_state(self) -> FastConvState:
        return FastConvState()

    def __call__(self, x: Tensor, state: FastConvState, last: bool) -> Tensor:
        batch, new, _ = x.shape
        held = 0 if state.pending is None else state.pending.shape[1]
        state.received += new
        begins = not state.started and (last or held + new > self.left or self.plain.pad_mode == "constant")
        left = self.left if begins else 0
        right = self.right + self.plain.missing(state.received) if last else 0
        padded = follow(state.pending, x, self.elu, self.dtype, left, right)
        if left or right:
            padded = _filled(padded, left, right, self.plain.pad_mode)
        state.started = state.started or begins
        stride = self.plain.stride
        windows = max(0, (padded.shape[1] - self.plain.span) // stride + 1) if state.started else 0
        rest = padded[:, windows * stride :]
        state.pending = rest if few(padded) else rest.clone()  # a view would keep all of `padded` in memory
        if windows == 0:
            return padded.new_empty(batch, 0, self.plain.conv.out_channels)
        y = self.conv(padded)
        return y if self.norm is None else self.norm(y)


@dataclass
class UpsamplingState(LayerState):
    """Last input so far, after ELU, [B, 1, C]."""

    previous: Tensor | None = None


class FastUpsampling:
    """ELU and `ConvTranspose1d` of kernel 2 * stride, computed as an ordinary convolution.

    Each input x[t] adds to 2 * stride outputs, so each group of `stride` outputs depends on x[t - 1] and x[t] only.
    That is a convolution of kernel 2 with stride * D channels, which in memory are the outputs in order.
    """

    def __init__(self, layer: ConvTranspose1d, dtype: torch.dtype) -> None:
        weight, bias = layer.conv.weight, layer.conv.bias
        assert weight.shape[2] == 2 * layer.stride
        assert bias is not None
        now, before = weight.detach().permute(2, 1, 0).reshape(2, -1, weight.shape[0])
        self.plain = layer
        self.dtype = dtype
        self.conv = PackedConv(torch.stack([before, now], dim=2), bias.repeat(layer.stride), dtype)
        self.norm = _fast_norm(layer.norm, dtype)

    def new_state(self) -> UpsamplingState:
        return UpsamplingState()

    def __call__(self, x: Tensor, state: UpsamplingState, last: bool) -> Tensor:
        batch, new, channels = x.shape
        width = self.plain.conv.out_channels
        if new == 0:
            return torch.empty(batch, 0, width, dtype=self.dtype)
        after = 0 if self.plain.causal else 1  # a non-causal layer keeps part of the outputs after the last input
        if state.previous is None:
            state.previous = torch.zeros(batch, 1, channels, dtype=self.dtype)
        padded = follow(state.previous, x, True, self.dtype, right=after)
        if after:
            padded[:, -1:] = 0
        state.previous = padded[:, new : new + 1].clone()
        y = self.conv(padded).reshape(batch, -1, width)
        if self.norm is not None:
            y = self.norm(y)
        if self.plain.causal:
            return y
        cut = self.plain.excess - self.plain.excess // 2
        return y[:, cut : cut + new * self.plain.stride]


def _pointwise(layer: Conv1d, dtype: torch.dtype) -> tuple[PackedLinear, FastNorm | None]:
    assert layer.conv.bias is not None
    return PackedLinear(layer.conv.weight[..., 0], layer.conv.bias, dtype), _fast_norm(layer.norm, dtype)


def _side_by_side(first: Conv1d, second: Conv1d, dtype: torch.dtype) -> PlainProduct:
    """Sum of two 1x1 convolutions as one product with their concatenated inputs."""
    assert first.conv.bias is not None
    assert second.conv.bias is not None
    weight = torch.cat([first.conv.weight[..., 0], second.conv.weight[..., 0]], dim=1).detach()
    return PlainProduct(weight.cpu(), (first.conv.bias + second.conv.bias).detach().to("cpu", dtype))


@dataclass
class FastResidualState(LayerState):
    """State of the dilated convolution, and input that waits for its output, [B, n, C]."""

    branch: FastConvState
    waiting: Tensor | None = None


class FastResidual:
    """`ResidualUnit`; without norms, one call computes the last 1x1 convolution and the sum with the skip connection.

    If the skip connection is a 1x1 convolution too, and there are few steps, one product computes both.
    """

    def __init__(self, unit: ResidualUnit, dtype: torch.dtype) -> None:
        _, first, _, second = unit.block
        assert isinstance(first, Conv1d)
        assert isinstance(second, Conv1d)
        self.dtype = dtype
        self.first = FastConv(first, elu=True, dtype=dtype)
        self.second, self.second_norm = _pointwise(second, dtype)
        self.shortcut = self.shortcut_norm = self.both = None
        if isinstance(unit.shortcut, Conv1d):
            self.shortcut, self.shortcut_norm = _pointwise(unit.shortcut, dtype)
            if self.second_norm is None and self.shortcut_norm is None:
                self.both = _side_by_side(second, unit.shortcut, dtype)

    def new_state(self) -> FastResidualState:
        return FastResidualState(self.first.new_state())

    def __call__(self, x: Tensor, state: FastResidualState, last: bool) -> Tensor:
        hidden = self.first(x, state.branch, last)
        if state.waiting is not None:
            x = torch.cat([state.waiting, x], dim=1)
        ready = hidden.shape[1]
        state.waiting = x[:, ready:] if ready < x.shape[1] else None
        skip = x[:, :ready].to(self.dtype)
        if ready == 0:
            return skip
        if self.both is not None and self.both.suits(skip.shape[:-1].numel()):
            return self.both(torch.cat([F.elu(hidden), skip], dim=2))
        if self.shortcut is not None:
            skip = self.shortcut(skip)
        if self.shortcut_norm is not None:
            skip = self.shortcut_norm(skip)
        if self.second_norm is None:
            return self.second(elu(hidden), plus=skip)
        return self.second_norm(self.second(elu(hidden))).add_(skip)
