"""LSTM of SEANet, for whole signals, for streams and for graphs (EnCodec paper, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from earmark.codec.encodec.layers import LayerState


@dataclass
class LSTMState(LayerState):
    """Hidden and cell state of an LSTM, each [layers, B, C]; None at the start of a signal."""

    hidden: tuple[Tensor, Tensor] | None = field(default=None)

    def rows(self, index: Tensor) -> LSTMState:
        if self.hidden is None:
            return LSTMState()
        hidden, cell = self.hidden
        return LSTMState((hidden.index_select(1, index), cell.index_select(1, index)))


class LSTMWeights(nn.Module):
    """Weights of an LSTM under the names that nn.LSTM gives them.

    torch.compile refuses a module of the class nn.LSTM. The price is that cuDNN, which warns of it once, copies the
    weights at every call: 16 MB, a few microseconds.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.hidden_size, self.num_layers = channels, layers
        for k in range(layers):
            for name, shape in (("weight_ih", (4 * channels, channels)), ("weight_hh", (4 * channels, channels)),
                                ("bias_ih", (4 * channels,)), ("bias_hh", (4 * channels,))):  # fmt: skip
                self.register_parameter(f"{name}_l{k}", nn.Parameter(torch.empty(shape)))
        for weight in self.parameters():
            nn.init.uniform_(weight, -(channels**-0.5), channels**-0.5)

    def of_layer(self, k: int) -> list[Tensor]:
        """Input weight, recurrent weight, input bias and recurrent bias of a layer; gates in the order i, f, g, o."""
        return [getattr(self, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


class LSTM(nn.Module):
    """LSTM over time with a skip connection around it, [B, C, T] -> [B, C, T]; causal."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.lstm = LSTMWeights(channels, layers)

    def forward(self, x: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            return self._scan(x)
        return self.step(x, self.new_state(), last=True)

    def _scan(self, x: Tensor) -> Tensor:
        """Run step by step as an operation of the graph: torch would unroll its own LSTM to one fixed length."""
        from torch._higher_order_ops.scan import scan

        y = x
        for k in range(self.lstm.num_layers):
            weight_ih, weight_hh, bias_ih, bias_hh = self.lstm.of_layer(k)
            gates = F.conv1d(y, weight_ih[..., None], bias_ih + bias_hh).permute(2, 0, 1)
            start = y.new_zeros(y.shape[0], y.shape[1])
            _, outputs = scan(partial(_lstm_step, weight_hh), (start, start.clone()), gates, dim=0)
            y = outputs.permute(1, 2, 0)
        return y + x

    def new_state(self) -> LSTMState:
        return LSTMState()

    def step(self, x: Tensor, state: LSTMState, last: bool) -> Tensor:
        """Continue a signal with n steps, [B, C, n] -> [B, C, n]."""
        if x.shape[-1] == 0:
            return x
        steps = x.permute(2, 0, 1)
        weights = [weight for k in range(self.lstm.num_layers) for weight in self.lstm.of_layer(k)]
        if state.hidden is None:
            start = steps.new_zeros(self.lstm.num_layers, x.shape[0], self.lstm.hidden_size)
            state.hidden = start, start
        y, *hidden = torch.lstm(
            steps, state.hidden, weights, True, self.lstm.num_layers, 0.0, self.training, False, False
        )
        state.hidden = hidden[0], hidden[1]
        out: Tensor = (y + steps).permute(1, 2, 0)
        return out


def _lstm_step(weight: Tensor, state: tuple[Tensor, Tensor], gates: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """One step of a layer: state and gates before the recurrent product, [B, C] and [B, 4 C], to state and output."""
    hidden, cell = state
    i, f, g, o = F.linear(hidden, weight).add(gates).chunk(4, dim=-1)
    cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
    hidden = o.sigmoid() * cell.tanh()
    return (hidden, cell), hidden.clone()  # the operation does not return one tensor twice
