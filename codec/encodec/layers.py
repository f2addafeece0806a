"""Convolutions and norms of SEANet, for whole signals and for streams (EnCodec paper, section 3.1).

Every layer has `forward` for a whole signal. Causal layers also have `step`, which takes the signal part by part and
keeps a typed state between calls. Its outputs equal those of `forward`, and each comes as early as it is determined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import weight_norm

from earmark.codec.encodec.config import Norm, PadMode


class TimeLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of each step, [B, C, T]; causal."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


def _norm(norm: Norm, channels: int, causal: bool) -> nn.Module:
    if norm == "layer_norm":
        return TimeLayerNorm(channels)
    if norm == "time_group_norm":
        if causal:
            raise ValueError("time_group_norm averages over the whole segment, so it cannot be causal")
        return nn.GroupNorm(1, channels)
    return nn.Identity()


def has_weight_norm(module: nn.Module) -> bool:
    """Whether a layer of `module` computes its weight from a magnitude and a direction."""
    return any(parametrize.is_parametrized(part, "weight") for part in module.modules())


def fold_weight_norm(module: nn.Module) -> None:
    """Replace every weight norm in `module` by the weight it computes, for inference; the function stays the same."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part, "weight"):
            originals: Any = part.get_submodule("parametrizations.weight")
            weight = fold(originals.original0.detach(), originals.original1.detach())
            parametrize.remove_parametrizations(part, "weight")
            part.weight = nn.Parameter(weight)


def fold(g: Tensor, v: Tensor) -> Tensor:
    """Weight g v / |v| with the norm over all axes but the first; the same bits on every machine.

    torch's kernel sums in an order that depends on the processor, which changes the last bit. Here the order is fixed
    and every operation is rounded as IEEE 754 defines: in float64, the second half of a row of squares is added to the
    first half (the longer one if the length is odd) until one value is left.

    Args:
        g: magnitudes, [D, 1, 1].
        v: directions, [D, C, K].

    Returns:
        Weight, [D, C, K], float32.
    """
    g, v = g.double(), v.double()
    squares = v.flatten(1).square()
    while (width := squares.shape[1]) > 1:
        half = (width + 1) // 2
        squares[:, : width - half] += squares[:, half:]
        squares = squares[:, :half]
    return (g * v / squares.sqrt()[..., None]).float()


def reflect(x: Tensor, left: int, right: int) -> Tensor:
    """Reflection padding of [B, C, T] that also works for signals shorter than the padding.

    A signal that is too short is padded with zeros, reflected, and cut again, as in the public reference.
    """
    short = max(left, right) - x.shape[-1] + 1
    if short <= 0:
        return F.pad(x, (left, right), "reflect")
    padded = F.pad(F.pad(x, (0, short)), (left, right), "reflect")
    return padded[..., : padded.shape[-1] - short]


def pad(x: Tensor, left: int, right: int, mode: PadMode) -> Tensor:
    """Padding of [B, C, T] by reflection, as `reflect`, or with zeros."""
    return reflect(x, left, right) if mode == "reflect" else F.pad(x, (left, right))


class LayerState:
    """Base class of what a layer keeps between calls of `step`; a dataclass whose tensors are [B, ...]."""

    def rows(self, index: Tensor) -> Self:
        """Copy of the state of some signals of the batch, given by their numbers."""
        return type(self)(**{name: _rows(value, index) for name, value in vars(self).items()})


def _rows(value: Any, index: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, index)
    if isinstance(value, LayerState):
        return value.rows(index)
    if isinstance(value, dict):
        return {key: _rows(item, index) for key, item in value.items()}
    return value


@runtime_checkable
class Stepping(Protocol):
    """Layer that takes a signal part by part, from the state `new_state()` on; `last` ends the signal."""

    def new_state(self) -> LayerState: ...

    def step(self, x: Tensor, state: Any, last: bool) -> Tensor: ...  # [B, C, n] -> [B, D, m]


@dataclass
class ConvState(LayerState):
    """State of a causal convolution.

    Args:
        pending: input that later outputs still need, [B, C, n]; includes the padding in front once `started`.
        recent: last inputs without padding, [B, C, <= stride], which the padding at the end reflects.
        received: number of input samples so far.
        started: whether enough samples have come to compute the padding in front.
    """

    pending: Tensor | None = None
    recent: Tensor | None = None
    received: int = 0
    started: bool = False


class Conv1d(nn.Module):
    """1-d convolution with padding, by reflection or with zeros, [B, C, T] -> [B, D, ceil(T / stride)].

    The padding has dilation * (kernel - 1) + 1 - stride samples. All of it precedes the signal if the convolution is
    causal; otherwise half is on each side (the larger half in front). If the last window is incomplete, the samples it
    lacks are padded likewise.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, dilation: int = 1,
        *, causal: bool, norm: Norm = "none", pad_mode: PadMode = "reflect",
    ) -> None:  # fmt: skip
        super().__init__()
        conv = nn.Conv1d(in_channels, out_channels, kernel_size, stride, dilation=dilation)
        self.conv = weight_norm(conv) if norm == "weight_norm" else conv
        self.norm = _norm(norm, out_channels, causal)
        self.causal = causal
        self.stride = stride
        self.span = (kernel_size - 1) * dilation + 1
        self.padding = self.span - stride
        self.pad_mode: PadMode = pad_mode

    def missing(self, length: int) -> int:
        """Number of samples that the last window of a signal of `length` samples lacks."""
        # Padding and span differ by the stride, so there are ceil(length / stride) windows.
        return -length % self.stride

    def forward(self, x: Tensor) -> Tensor:
        right = 0 if self.causal else self.padding // 2
        left = self.padding - right
        missing = self.missing(x.shape[-1])
        if left or right or missing:
            x = pad(x, left, right + missing, self.pad_mode)
        y: Tensor = self.norm(self.conv(x))
        return y

    def new_state(self) -> ConvState:
        return ConvState()

    def step(self, x: Tensor, state: ConvState, last: bool) -> Tensor:
        """Continue a signal with any number of samples, [B, C, n] -> [B, D, m]; `last` ends the signal."""
        pending = x if state.pending is None else torch.cat([state.pending, x], dim=-1)
        recent = x if state.recent is None else torch.cat([state.recent, x], dim=-1)
        state.received += x.shape[-1]
        if not state.started and (last or pending.shape[-1] > self.padding or self.pad_mode == "constant"):
            pending = pad(pending, self.padding, self.missing(state.received) if last else 0, self.pad_mode)
            state.started = True
        elif last:
            missing = self.missing(state.received)
            pending = torch.cat([pending, pad(recent, 0, missing, self.pad_mode)[..., recent.shape[-1] :]], dim=-1)
        windows = max(0, (pending.shape[-1] - self.span) // self.stride + 1) if state.started else 0
        state.recent = recent[..., -max(1, self.stride) :]
        state.pending = pending[..., windows * self.stride :]
        if not windows:
            return x.new_zeros(x.shape[0], self.conv.out_channels, 0)
        y: Tensor = self.norm(self.conv(pending[..., : (windows - 1) * self.stride + self.span]))
        return y


@dataclass
class ConvTransposeState(LayerState):
    """State of a transposed convolution: output to which later input adds, [B, D, kernel - stride], without bias."""

    tail: Tensor | None = None


class ConvTranspose1d(nn.Module):
    """Transposed 1-d convolution, [B, C, T] -> [B, D, T * stride].

    Its kernel - stride surplus samples are cut at the end if it is causal; otherwise half on each side (the larger
    half in front).
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, *, causal: bool, norm: Norm = "none"
    ) -> None:
        super().__init__()
        conv = nn.ConvTranspose1d(in_channels, out_channels, kernel_size, stride)
        self.conv = weight_norm(conv, dim=0) if norm == "weight_norm" else conv
        self.norm = _norm(norm, out_channels, causal)
        self.causal = causal
        self.stride = stride
        self.excess = kernel_size - stride

    def forward(self, x: Tensor) -> Tensor:
        # The norm includes the samples that are cut next, as in the public reference.
        y: Tensor = self.norm(self.conv(x))
        left = 0 if self.causal else self.excess - self.excess // 2
        return y[..., left : left + x.shape[-1] * self.stride]

    def new_state(self) -> ConvTransposeState:
        return ConvTransposeState()

    def step(self, x: Tensor, state: ConvTransposeState, last: bool) -> Tensor:
        """Continue a signal with n steps, [B, C, n] -> [B, D, n * stride]."""
        if x.shape[-1] == 0:
            return x.new_zeros(x.shape[0], self.conv.out_channels, 0)
        y = F.conv_transpose1d(x, self.conv.weight, None, self.stride)
        if state.tail is not None:
            y[..., : self.excess] += state.tail
        cut = x.shape[-1] * self.stride
        state.tail = y[..., cut:].clone()
        assert self.conv.bias is not None
        out: Tensor = self.norm(y[..., :cut] + self.conv.bias[:, None])
        return out
