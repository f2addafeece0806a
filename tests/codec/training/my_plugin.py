"""A plug-in as a user writes it: an activation, a block, a loss, a discriminator, a quantizer and a metric."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from earmark.codec import plugins
from earmark.codec.encodec.seanet import ResidualUnit
from earmark.codec.training.discriminators.network import DiscriminatorNetwork
from earmark.codec.training.quantizers.rvq import TrainableResidualVectorQuantizer


@plugins.activation("my_snake")
class MySnake(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.log_alpha = nn.Parameter(torch.zeros(1, channels, 1))

    def forward(self, x):
        return x + torch.sin(self.log_alpha.exp() * x).square() / self.log_alpha.exp()


@plugins.block("scaled")
class Scaled(ResidualUnit):
    """A residual unit with a learned gain."""

    def __init__(self, channels, dilation, config):
        super().__init__(channels, dilation, config)
        self.gain = nn.Parameter(torch.full((1, channels, 1), 0.5))

    def forward(self, x):
        return self.gain * super().forward(x)

    def step(self, x, state, last):
        return self.gain * super().step(x, state, last)


@plugins.loss("energy")
def energy(reference, decoded):
    return (reference.square().mean() - decoded.square().mean()).abs()


@plugins.loss("smooth")
class Smooth:
    def __init__(self, sample_rate):
        self.step = sample_rate // 8000

    def __call__(self, reference, decoded):
        return (reference - decoded)[..., :: self.step].abs().mean()


@plugins.discriminator("waves")
class Waves(nn.Module):
    def __init__(self, sample_rate, filters):
        super().__init__()
        layers = [nn.Conv1d(1, filters, 15, stride=4), nn.Conv1d(filters, filters, 15, stride=4)]
        self.network = DiscriminatorNetwork(layers, nn.Conv1d(filters, 1, 3))

    def forward(self, audio):
        return [self.network(audio.flatten(0, 1)[:, None])]


@plugins.quantizer("half")
class Half(TrainableResidualVectorQuantizer):
    """RVQ of half the latent."""

    def forward(self, latent, codebooks):
        return super().forward(0.5 * latent, codebooks)


@plugins.validation_metric("peak_error", better="lower")
def peak_error(reference, decoded, sample_rate):
    return np.abs(reference - decoded).max()
