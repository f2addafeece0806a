"""LSTM of SEANet with weights packed once, for inference on the CPU."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from earmark.codec.encodec.fast.onednn import ROWS_EXPECTED, PackedLinear, onednn
from earmark.codec.encodec.layers import LayerState
from earmark.codec.encodec.lstm import LSTM

_LSTM_MODE = 2  # at::native: 0 ReLU, 1 tanh, 2 LSTM, 3 GRU


@dataclass
class FastLSTMState(LayerState):
    """Hidden and cell state of each LSTM layer, each [1, B, C]."""

    hidden: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def rows(self, index: Tensor) -> FastLSTMState:
        return FastLSTMState([(h.index_select(1, index), c.index_select(1, index)) for h, c in self.hidden])


class FastLSTM:
    """`LSTM` with packed weights, which torch's LSTM would pack again at each call."""

    def __init__(self, layer: LSTM, dtype: torch.dtype) -> None:
        self.plain = layer.lstm
        self.dtype = dtype
        self.size = layer.lstm.hidden_size
        self.weights = []
        for k in range(layer.lstm.num_layers):
            weight_ih, weight_hh, *biases = (weight.to("cpu", dtype) for weight in self._plain_weights(k))
            packed = onednn._reorder_mkldnn_rnn_layer_weight(
                weight_ih, weight_hh, self.size, False, True, False, [ROWS_EXPECTED, 1, self.size]
            )
            self.weights.append((*packed, *biases))

    def _plain_weights(self, k: int) -> list[Tensor]:
        return [weight.detach() for weight in self.plain.of_layer(k)]

    @cached_property
    def _gates(self) -> list[PackedLinear]:
        """Product of each layer from its input and hidden state to its gates. Only streams use and thus create it.

        The three gates that take a sigmoid come first: i, f, o, g instead of torch's i, f, g, o.
        """
        gates = []
        for k in range(len(self.weights)):
            weight_ih, weight_hh, bias_ih, bias_hh = self._plain_weights(k)
            weight, bias = torch.cat([weight_ih, weight_hh], dim=1), bias_ih + bias_hh
            order = torch.arange(4 * self.size).view(4, -1)[[0, 1, 3, 2]].flatten()
            gates.append(PackedLinear(weight[order], bias[order], self.dtype))
        return gates

    def new_state(self) -> FastLSTMState:
        return FastLSTMState()

    def __call__(self, x: Tensor, state: FastLSTMState, last: bool) -> Tensor:
        if x.shape[1] == 0:
            return x
        x = x.transpose(0, 1).to(self.dtype).contiguous()
        if not state.hidden:
            zero = x.new_zeros(1, x.shape[1], self.size)
            state.hidden = [(zero, zero)] * len(self.weights)
        y = self._single_step(x, state.hidden) if len(x) == 1 else self._steps(x, state.hidden)
        return (y + x).transpose(0, 1).contiguous()

    def _steps(self, y: Tensor, hidden: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Run all layers on [T, B, C] and update `hidden`."""
        for k, weights in enumerate(self.weights):
            y, h, c, _ = torch.ops.aten.mkldnn_rnn_layer(
                y, *weights, *hidden[k], False, [], _LSTM_MODE, self.size, 1, True, False, False, False
            )
            hidden[k] = h, c
        return y

    def _single_step(self, y: Tensor, hidden: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Same as `_steps` for a single step, [1, B, C], in four fifths of the time."""
        for k, gates in enumerate(self._gates):
            h, c = hidden[k]
            both = gates(torch.cat([y, h], dim=2))
            i, f, o = both[..., : 3 * self.size].sigmoid_().chunk(3, dim=2)
            c = f * c + i * both[..., 3 * self.size :].tanh()
            y = o * c.tanh()
            hidden[k] = y, c
        return y
