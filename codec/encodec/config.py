"""Shapes and bit rates of EnCodec models, and the presets of the paper (section 3); no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from earmark.codec.errors import UserError

Norm = Literal["none", "weight_norm", "layer_norm", "time_group_norm"]
STORED_AS = {"codebook_size": "entries"}  # fields whose key differs in checkpoints, recipes and identities


def stored_keys(config_type: type) -> list[str]:
    """Keys of a configuration class in files, in the order of its fields."""
    return [STORED_AS.get(field.name, field.name) for field in fields(config_type)]


def to_stored(config: Any) -> dict[str, Any]:
    """A configuration as files hold it."""
    return {STORED_AS.get(name, name): value for name, value in asdict(config).items()}


def from_stored(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments for a configuration class from what a file holds."""
    names = {key: name for name, key in STORED_AS.items()}
    return {names.get(key, key): value for key, value in data.items()}


@dataclass(frozen=True)
class SEANetConfig:
    """Shape of encoder and decoder.

    Args:
        channels: of the audio.
        dimension: channels of the latent.
        filters: channels C of the first convolution; doubled at every down-sampling.
        ratios: strides of the decoder, first to last; the encoder takes them in reverse.
        residual_layers: residual units at every scale, with dilations `dilation_base` ** 0, 1, ...
        compress: the residual branch has 1 / compress of the channels.
        true_skip: skip connections are the identity rather than a 1x1 convolution.
        lstm: LSTM layers, 0 for none.
        tanh: end the decoder with tanh.
    """

    channels: int = 1
    dimension: int = 128
    filters: int = 32
    ratios: tuple[int, ...] = (8, 5, 4, 2)
    residual_layers: int = 1
    kernel_size: int = 7
    last_kernel_size: int = 7
    residual_kernel_size: int = 3
    dilation_base: int = 2
    compress: int = 2
    true_skip: bool = False
    lstm: int = 2
    norm: Norm = "weight_norm"
    causal: bool = True
    tanh: bool = False

    @property
    def hop(self) -> int:
        """Audio samples per latent step."""
        return math.prod(self.ratios)


@dataclass(frozen=True)
class EncodecConfig:
    """A model's shape and the bit rates it was trained for.

    Args:
        sample_rate: of the audio in Hz.
        kbps: bit rates in kbps, ascending; the last one uses every codebook.
        segment: seconds that are coded on their own, None for the whole signal.
        overlap: share of a segment that the next one overlaps.
        normalize: divide each segment by its RMS and send that as its scale.
    """

    name: str
    sample_rate: int
    kbps: tuple[float, ...]
    seanet: SEANetConfig
    codebook_size: int = 1024
    segment: float | None = None
    overlap: float = 0.01
    normalize: bool = False

    @property
    def channels(self) -> int:
        return self.seanet.channels

    @property
    def step_rate(self) -> int:
        """Latent steps per second."""
        return math.ceil(self.sample_rate / self.seanet.hop)

    @property
    def kbps_per_codebook(self) -> float:
        return math.log2(self.codebook_size) * self.step_rate / 1000

    def codebooks(self, kbps: float | None = None) -> int:
        """Codebooks that make `kbps`, all of them for None.

        Raises:
            UserError: the model has no such bit rate.
        """
        if kbps is None:
            kbps = self.kbps[-1]
        if kbps not in self.kbps:
            raise UserError(f"{self.name}@{kbps:g}: {self.name} has {', '.join(f'{r:g}' for r in self.kbps)} kbps")
        return int(round(kbps / self.kbps_per_codebook, 6))  # 0.87 n / 0.87 may be just below n

    @property
    def segment_samples(self) -> int | None:
        return None if self.segment is None else int(self.segment * self.sample_rate)

    @property
    def stride_samples(self) -> int | None:
        """Samples from the start of one segment to that of the next."""
        samples = self.segment_samples
        return None if samples is None else max(1, int((1 - self.overlap) * samples))

    def segments(self, samples: int) -> list[tuple[int, int]]:
        """Start and end of every segment of a signal."""
        if self.segment_samples is None or self.stride_samples is None:
            return [(0, samples)]
        starts = range(0, samples, self.stride_samples)
        return [(start, min(samples, start + self.segment_samples)) for start in starts]


ENCODEC_24KHZ = EncodecConfig("encodec_24khz", 24000, (1.5, 3.0, 6.0, 12.0, 24.0), SEANetConfig())
ENCODEC_48KHZ = EncodecConfig(
    "encodec_48khz", 48000, (3.0, 6.0, 12.0, 24.0),
    SEANetConfig(channels=2, norm="time_group_norm", causal=False), segment=1.0, normalize=True,
)  # fmt: skip
PRESETS = {config.name: config for config in (ENCODEC_24KHZ, ENCODEC_48KHZ)}
