"""SEANet encoder and decoder (EnCodec paper, section 3.1, "Encoder & Decoder Architecture"; Table A.3 varies it)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from earmark.codec import plugins
from earmark.codec.encodec.activations import activation
from earmark.codec.encodec.config import SEANetConfig
from earmark.codec.encodec.film import FiLM
from earmark.codec.encodec.layers import Conv1d, ConvTranspose1d, LayerState, Stepping
from earmark.codec.encodec.lstm import LSTM
from earmark.codec.errors import UserError

State = dict[int, LayerState]  # index of a layer in its stack -> its state; {} at the start of a signal


def step_through(stack: nn.Sequential, x: Tensor, state: State, last: bool) -> Tensor:
    """Run the next part of a signal, [B, C, n], through a causal stack and update `state`; `last` ends the signal."""
    for index, layer in enumerate(stack):
        if isinstance(layer, Stepping):
            if index not in state:
                state[index] = layer.new_state()
            x = layer.step(x, state[index], last)
        else:
            x = layer(x)
    return x


@dataclass
class ResidualState(LayerState):
    """States of the branch, and skip output that waits for output of the branch, [B, C, n]."""

    branch: State = field(default_factory=dict)
    waiting: Tensor | None = None


class ResidualUnit(nn.Module):
    """Skip connection plus a branch of activation, dilated convolution, activation and 1x1 convolution.

    [B, C, T] -> [B, C, T].
    """

    def __init__(self, channels: int, dilation: int, config: SEANetConfig) -> None:
        super().__init__()
        hidden = channels // config.compress
        how: Any = {"causal": config.causal, "norm": config.norm, "pad_mode": config.pad_mode}
        self.block = nn.Sequential(
            activation(config.activation, channels),
            Conv1d(channels, hidden, config.residual_kernel_size, dilation=dilation, **how),
            activation(config.activation, hidden),
            Conv1d(hidden, channels, 1, **how),
        )
        self.shortcut = nn.Identity() if config.true_skip else Conv1d(channels, channels, 1, **how)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.shortcut(x) + self.block(x)
        return y

    def new_state(self) -> ResidualState:
        return ResidualState()

    def step(self, x: Tensor, state: ResidualState, last: bool) -> Tensor:
        """Continue with n samples, [B, C, n] -> [B, C, m].

        m differs from n only at the start, where the branch waits for the samples that its padding reflects.
        """
        skip = self.shortcut(x) if x.shape[-1] else x  # a 1x1 convolution has no state
        if state.waiting is not None:
            skip = torch.cat([state.waiting, skip], dim=-1)
        y = step_through(self.block, x, state.branch, last)
        state.waiting = skip[..., y.shape[-1] :]
        return skip[..., : y.shape[-1]] + y


def _blocks(name: str, width: int, config: SEANetConfig) -> list[nn.Module]:
    """The blocks of a scale with `width` channels.

    Raises:
        UserError: no plug-in that is loaded has the block, or a causal model cannot stream through it.
    """
    make = ResidualUnit if name == "residual" else plugins.find("block", name, ["residual"])
    blocks: list[nn.Module] = [make(width, config.dilation_base**j, config) for j in range(config.residual_layers)]
    if config.causal and not all(isinstance(block, Stepping) for block in blocks):
        raise UserError(f"block {name}: has no `new_state` and `step`, which a causal model needs; set causal = false")
    return blocks


class SEANetEncoder(nn.Module):
    """Encoder, audio [B, channels, T] -> latent [B, dimension, ceil(T / hop)]."""

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        how: Any = {"causal": config.causal, "norm": config.norm, "pad_mode": config.pad_mode}
        width = config.filters
        layers: list[nn.Module] = [Conv1d(config.channels, width, config.kernel_size, **how)]
        for ratio in reversed(config.ratios):
            layers += _blocks(config.encoder_block, width, config)
            layers += [activation(config.activation, width), Conv1d(width, 2 * width, 2 * ratio, ratio, **how)]
            width *= 2
        if config.lstm:
            layers.append(LSTM(width, config.lstm))
        layers += [
            activation(config.activation, width),
            Conv1d(width, config.dimension, config.last_kernel_size, **how),
        ]
        if config.film:
            layers.append(FiLM(config.dimension))
        self.layers = nn.Sequential(*layers)

    @property
    def film(self) -> FiLM | None:
        """The switch for denoising; None if the encoder has none."""
        last = self.layers[-1]
        return last if isinstance(last, FiLM) else None

    def forward(self, audio: Tensor) -> Tensor:
        latent: Tensor = self.layers(audio)
        return latent

    def step(self, audio: Tensor, state: State, last: bool) -> Tensor:
        """Continue a signal with any number of samples; `state` is {} at the start, and `last` ends the signal."""
        return step_through(self.layers, audio, state, last)


class SEANetDecoder(nn.Module):
    """Decoder, latent [B, dimension, T] -> audio [B, channels, T * hop]."""

    def __init__(self, config: SEANetConfig) -> None:
        super().__init__()
        how: Any = {"causal": config.causal, "norm": config.norm, "pad_mode": config.pad_mode}
        width = config.filters * 2 ** len(config.ratios)
        layers: list[nn.Module] = [Conv1d(config.dimension, width, config.kernel_size, **how)]
        if config.lstm:
            layers.append(LSTM(width, config.lstm))
        for ratio in config.ratios:
            layers += [
                activation(config.activation, width),
                ConvTranspose1d(width, width // 2, 2 * ratio, ratio, causal=config.causal, norm=config.norm),
            ]
            width //= 2
            layers += _blocks(config.decoder_block, width, config)
        layers += [activation(config.activation, width), Conv1d(width, config.channels, config.last_kernel_size, **how)]
        if config.tanh:
            layers.append(nn.Tanh())
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        audio: Tensor = self.layers(latent)
        return audio

    def step(self, latent: Tensor, state: State, last: bool) -> Tensor:
        """Continue a signal with any number of steps; `state` is {} at the start, and `last` ends the signal."""
        return step_through(self.layers, latent, state, last)
