"""Initial weights that preserve the variance of the signal. The paper does not specify the initialisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from earmark.codec.encodec.activations import activation
from earmark.codec.encodec.layers import Conv1d, ConvTranspose1d
from earmark.codec.encodec.seanet import ResidualUnit, SEANetDecoder

ELU_GAIN = 1.25  # ELU reduces the variance of a standard Gaussian to 0.64; this is 1 / sqrt(0.64)


@torch.no_grad()
def initialize(network: nn.Module, gain: float = ELU_GAIN) -> None:
    """Draw the weights of SEANet's convolutions so that every layer keeps the signal's variance.

    PyTorch's default keeps a third of the variance per layer and adds a bias of the same size. After the thirty layers
    of encoder and decoder, the output hardly depends on the input, and training makes no progress for thousands of
    updates. Here biases are 0, and the variance of a weight is one over the number of products in a sum. Residual
    branches start with a tenth of that variance, so that the skip connections dominate. The last layer starts with a
    hundredth, so that the first updates need not suppress loud noise.

    Args:
        network: SEANet encoder or decoder. Blocks of plug-ins initialise what is not a Conv1d or ConvTranspose1d.
        gain: 1 / sqrt of the mean square of the activation of a standard Gaussian; see `gain_of`.
    """
    for layer in network.modules():
        if isinstance(layer, Conv1d):
            _draw(layer, layer.conv.in_channels * layer.conv.kernel_size[0], gain)
        elif isinstance(layer, ConvTranspose1d):
            _draw(layer, layer.conv.in_channels * layer.conv.kernel_size[0] / layer.stride, gain)
    if isinstance(network, SEANetDecoder):
        _scale(next(layer for layer in reversed(network.layers) if isinstance(layer, Conv1d)), 0.1)
    for unit in network.modules():
        if isinstance(unit, ResidualUnit):
            _scale(unit.block[-1], 0.1**0.5)
            _scale(unit.shortcut, 1 / gain)  # no activation comes before it


@torch.no_grad()
def gain_of(name: str) -> float:
    """Gain for an activation, 1 / sqrt(mean square of its output) for a standard Gaussian."""
    if name == "elu":
        return ELU_GAIN
    quantiles = torch.special.ndtri((torch.arange(4096) + 0.5) / 4096)
    return float(activation(name, 1)(quantiles[None, None]).square().mean()) ** -0.5


def _draw(layer: Conv1d | ConvTranspose1d, products: float, gain: float) -> None:
    conv = layer.conv
    weight = torch.empty_like(conv.weight).normal_(std=gain / products**0.5)
    _set(conv, weight)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


def _scale(layer: nn.Module, factor: float) -> None:
    if isinstance(layer, Conv1d):
        _set(layer.conv, factor * layer.conv.weight.detach())


def _set(conv: nn.Conv1d | nn.ConvTranspose1d, weight: Tensor) -> None:
    if isinstance(conv.weight, nn.Parameter):
        conv.weight.copy_(weight)
    else:
        conv.weight = weight  # weight norm splits it into length and direction
