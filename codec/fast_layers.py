"""The layers of SEANet on [B, T, C], with weights packed once for oneDNN; for inference on the CPU.

Channels come last, because oneDNN's convolutions are twice as fast there and because down- and up-sampling then need
no transposition. Each layer is called with whatever has come so far and continues from its state, as `step` of the
plain layers does, with the same values; the whole signal is one call with `last`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from codec.layers import LSTM, Conv1d, ConvState, ConvTranspose1d, TimeLayerNorm, reflect
from codec.seanet import ResidualUnit

_onednn: Any = torch.ops.mkldnn
_ROWS_EXPECTED = 1024  # for which oneDNN chooses the layout of packed weights; any other number of rows works as well
_LSTM_MODE = 2  # at::native: 0 ReLU, 1 tanh, 2 LSTM, 3 GRU
_LOG2_E = 1 / math.log(2)
_FEW = 1 << 14
_BLOCK = 1 << 17  # numbers of which a few copies stay in the cache of one core


class Layer(Protocol):
    """One layer of a stack, continuing from `state`, which starts as `new_state()`; `last` ends the signal."""

    def new_state(self) -> Any: ...

    def __call__(self, x: Tensor, state: Any, last: bool) -> Tensor: ...  # [B, n, C] -> [B, m, D]


def supports(dtype: torch.dtype) -> bool:
    """Whether this CPU and this build of torch have what the layers here need."""
    if not torch.backends.mkldnn.is_available() or not hasattr(torch.ops.mkldnn, "_convolution_pointwise"):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(_onednn._is_mkldnn_bf16_supported()))


def elu_into(out: Tensor, x: Tensor) -> None:
    """Write elu(x) = max(x, exp(min(x, 0)) - 1) into `out`, both [B, T, C], in float32 or bfloat16 each.

    Several passes over a block that stays in the cache take half the time of torch's one, which evaluates expm1; for
    few numbers one call is faster. The rounding, 1e-7 in absolute terms, is that of any sum in float32.
    """
    if x.numel() <= _FEW:
        F.elu(out.copy_(x), inplace=True)
        return
    steps = max(1, _BLOCK // (x.shape[0] * x.shape[2]))
    for part, into in zip(x.split(steps, dim=1), out.split(steps, dim=1), strict=True):
        exact = part.float()
        y = into if out.dtype == torch.float32 else torch.empty_like(exact)
        torch.mul(exact, _LOG2_E, out=y)
        torch.maximum(exact, y.clamp_(max=0).exp2_().sub_(1), out=y)
        if y is not into:
            into.copy_(y)


class PackedConv:
    """Convolution without padding, [B, T, C] -> [B, (T - span) // stride + 1, D]."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, stride: int = 1, dilation: int = 1):
        self.stride, self.dilation = [1, stride], [1, dilation]
        self.bias = None if bias is None else bias.detach().to("cpu", dtype)
        self.weight = _onednn._reorder_convolution_weight(
            weight.detach().to("cpu", dtype)[:, :, None].contiguous(memory_format=torch.channels_last),
            [0, 0], self.stride, self.dilation, 1, [1, weight.shape[1], 1, _ROWS_EXPECTED],
        )  # fmt: skip

    def __call__(self, x: Tensor) -> Tensor:
        image = x[:, None].permute(0, 3, 1, 2)  # [B, C, 1, T], channels last in memory
        y: Tensor = _onednn._convolution_pointwise(
            image, self.weight, self.bias, [0, 0], self.stride, self.dilation, 1, "none", [], ""
        )
        return y.permute(0, 2, 3, 1)[:, 0]


class PackedLinear:
    """1x1 convolution by a weight [D, C], [B, T, C] -> [B, T, D]; on request added to something."""

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        assert bias is not None
        self.weight = _onednn._reorder_linear_weight(weight.detach().to("cpu", dtype).contiguous(), _ROWS_EXPECTED)
        self.bias = bias.detach().to("cpu", dtype)

    def __call__(self, x: Tensor, plus: Tensor | None = None) -> Tensor:
        if plus is None:
            y: Tensor = _onednn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
        else:
            y = _onednn._linear_pointwise.binary(x, plus, self.weight, self.bias, "add")
        return y


class FastNorm:
    """The norm of a plain layer on [B, T, C]."""

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


class FastConv:
    """`Conv1d`, on request with the ELU before it, which is written straight into the padded input."""

    def __init__(self, layer: Conv1d, elu: bool, dtype: torch.dtype) -> None:
        conv = layer.conv
        self.plain = layer
        self.elu = elu
        self.dtype = dtype
        self.right = 0 if layer.causal else layer.padding // 2
        self.left = layer.padding - self.right
        self.conv = PackedConv(conv.weight, conv.bias, dtype, layer.stride, conv.dilation[0])
        self.norm = _fast_norm(layer.norm, dtype)

    def new_state(self) -> ConvState:
        return ConvState()

    def __call__(self, x: Tensor, state: ConvState, last: bool) -> Tensor:
        batch, new, channels = x.shape
        held = 0 if state.pending is None else state.pending.shape[1]
        state.received += new
        begins = not state.started and (last or held + new > self.left)
        left = self.left if begins else 0
        right = self.right + self.plain.missing(state.received) if last else 0
        padded = torch.empty(batch, left + held + new + right, channels, dtype=self.dtype)
        signal = padded[:, left : left + held + new]
        if state.pending is not None:
            signal[:, :held] = state.pending
        if self.elu:
            elu_into(signal[:, held:], x)
        else:
            signal[:, held:] = x
        if left or right:
            if held + new > max(left, right):
                padded[:, :left] = signal[:, 1 : left + 1].flip(1)
                padded[:, left + held + new :] = signal[:, held + new - 1 - right : held + new - 1].flip(1)
            else:
                padded = reflect(signal.transpose(1, 2), left, right).transpose(1, 2).contiguous()
        state.started = state.started or begins
        stride = self.plain.stride
        frames = max(0, (padded.shape[1] - self.plain.span) // stride + 1) if state.started else 0
        state.pending = padded[:, frames * stride :].clone()
        if frames == 0:
            return padded.new_empty(batch, 0, self.plain.conv.out_channels)
        y = self.conv(padded)
        return y if self.norm is None else self.norm(y)


@dataclass
class UpsamplingState:
    """The input before the next one, after ELU, [B, 1, C]."""

    previous: Tensor | None = None


class FastUpsampling:
    """ELU and `ConvTranspose1d` of kernel 2 * stride.

    Each input x[t] adds to 2 * stride outputs, so that `stride` outputs at a time come from x[t - 1] and x[t]: an
    ordinary convolution of kernel 2 with stride * D channels, which in memory are the outputs in order.
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
        stride, width = self.plain.stride, self.plain.conv.out_channels
        if new == 0:
            return torch.empty(batch, 0, width, dtype=self.dtype)
        after = 0 if self.plain.causal else 1  # outputs that follow the last input, of which a part remains
        padded = torch.empty(batch, 1 + new + after, channels, dtype=self.dtype)
        padded[:, :1] = 0 if state.previous is None else state.previous
        elu_into(padded[:, 1 : 1 + new], x)
        padded[:, 1 + new :] = 0
        state.previous = padded[:, new : new + 1].clone()
        y = self.conv(padded).reshape(batch, -1, width)
        if self.norm is not None:
            y = self.norm(y)
        cut = 0 if self.plain.causal else self.plain.excess - self.plain.excess // 2
        return y[:, cut : cut + new * stride]


@dataclass
class FastLSTMState:
    """Hidden and cell state of each LSTM layer, [1, B, C] each."""

    hidden: list[tuple[Tensor, Tensor]] = field(default_factory=list)


class FastLSTM:
    """`LSTM` with packed weights, which torch would pack anew at each call."""

    def __init__(self, layer: LSTM, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self.size = layer.lstm.hidden_size
        self.weights = []
        for k in range(layer.lstm.num_layers):
            of_input, of_hidden, *biases = (
                getattr(layer.lstm, f"{name}_l{k}").detach().to("cpu", dtype)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            packed = _onednn._reorder_mkldnn_rnn_layer_weight(
                of_input, of_hidden, self.size, False, True, False, [_ROWS_EXPECTED, 1, self.size]
            )
            self.weights.append((*packed, *biases))

    def new_state(self) -> FastLSTMState:
        return FastLSTMState()

    def __call__(self, x: Tensor, state: FastLSTMState, last: bool) -> Tensor:
        if x.shape[1] == 0:
            return x
        steps = x.transpose(0, 1).to(self.dtype).contiguous()
        if not state.hidden:
            zero = steps.new_zeros(1, steps.shape[1], self.size)
            state.hidden = [(zero, zero)] * len(self.weights)
        y = steps
        for k, (weights, hidden) in enumerate(zip(self.weights, state.hidden, strict=True)):
            y, h, c, _ = torch.ops.aten.mkldnn_rnn_layer(
                y, *weights, *hidden, False, [], _LSTM_MODE, self.size, 1, True, False, False, False
            )
            state.hidden[k] = (h, c)
        return (y + steps).transpose(0, 1).contiguous()


def _pointwise(layer: Conv1d, dtype: torch.dtype) -> tuple[PackedLinear, FastNorm | None]:
    return PackedLinear(layer.conv.weight[..., 0], layer.conv.bias, dtype), _fast_norm(layer.norm, dtype)


@dataclass
class FastResidualState:
    """State of the dilated convolution, and input for which it has no answer yet, [B, n, C]."""

    branch: ConvState
    waiting: Tensor | None = None


class FastResidual:
    """`ResidualUnit`; without norms the 1x1 convolution adds to the skip connection as it goes."""

    def __init__(self, unit: ResidualUnit, dtype: torch.dtype) -> None:
        _, first, _, second = unit.block
        assert isinstance(first, Conv1d)
        assert isinstance(second, Conv1d)
        self.dtype = dtype
        self.first = FastConv(first, elu=True, dtype=dtype)
        self.second, self.second_norm = _pointwise(second, dtype)
        self.shortcut = self.shortcut_norm = None
        if isinstance(unit.shortcut, Conv1d):
            self.shortcut, self.shortcut_norm = _pointwise(unit.shortcut, dtype)

    def new_state(self) -> FastResidualState:
        return FastResidualState(self.first.new_state())

    def __call__(self, x: Tensor, state: FastResidualState, last: bool) -> Tensor:
        hidden = self.first(x, state.branch, last)
        active = torch.empty_like(hidden)
        elu_into(active, hidden)
        if state.waiting is not None:
            x = torch.cat([state.waiting, x], dim=1)
        answered = hidden.shape[1]
        state.waiting = x[:, answered:] if answered < x.shape[1] else None
        skip = x[:, :answered].to(self.dtype)
        if answered == 0:
            return skip
        if self.shortcut is not None:
            skip = self.shortcut(skip)
        if self.shortcut_norm is not None:
            skip = self.shortcut_norm(skip)
        if self.second_norm is None:
            return self.second(active, plus=skip)
        return self.second_norm(self.second(active)).add_(skip)
