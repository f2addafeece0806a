"""Shapes and bit rates of EnCodec models, and the two presets of the paper (section 3). Does not import torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from earmark.codec.errors import UserError

Norm = Literal["none", "weight_norm", "layer_norm", "time_group_norm"]
PadMode = Literal["reflect", "constant"]
Quantizer = Literal["rvq", "diffq", "gumbel"]
STORED_AS = {"codebook_size": "entries"}  # field -> its key in checkpoints, recipes and identities, where they differ


def stored_keys(config_type: type) -> list[str]:
    """Keys that files use for the fields of a configuration class, in the order of the fields."""
    return [STORED_AS.get(field.name, field.name) for field in fields(config_type)]


def to_stored(config: Any) -> dict[str, Any]:
    """Configuration as a dictionary with the keys that files use."""
    return {STORED_AS.get(name, name): value for name, value in asdict(config).items()}


def from_stored(data: Mapping[str, Any]) -> dict[str, Any]:
    """Keyword arguments of a configuration class from a dictionary with the keys that files use."""
    names = {key: name for name, key in STORED_AS.items()}
    return {names.get(key, key): value for key, value in data.items()}


@dataclass(frozen=True)
class SEANetConfig:
    """Shape of the SEANet encoder and decoder (paper, section 3.1).

    Args:
        channels: audio channels.
        dimension: channels of the latent.
        filters: channels C of the first convolution; every down-sampling doubles them.
        ratios: strides of the decoder, first to last; the encoder uses them in reverse order.
        residual_layers: residual units per scale; unit j has the dilation `dilation_base` ** j.
        kernel_size: kernel of the first convolution of encoder and decoder.
        last_kernel_size: kernel of their last convolution.
        residual_kernel_size: kernel of the dilated convolution in a residual unit.
        dilation_base: see `residual_layers`.
        compress: the residual branch has 1 / compress of the channels.
        true_skip: whether the skip connection is the identity instead of a 1x1 convolution.
        lstm: number of LSTM layers; 0 for none.
        norm: normalisation of the convolutions, either of their weights or of their output.
        causal: whether a convolution sees only the past, as streaming requires.
        tanh: whether the decoder ends with tanh.
        pad_mode: padding of the convolutions, by reflection, as in the paper's models, or with zeros.
        film: whether the encoder ends with a switch for denoising (SoundStream, section III-F).
        activation: elu, as in the paper, snake, or the name of one of a plug-in (codec/plugins.py).
        encoder_block, decoder_block: residual, the paper's residual unit, or the name of one of a plug-in.
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
    pad_mode: PadMode = "reflect"
    film: bool = False
    activation: str = "elu"
    encoder_block: str = "residual"
    decoder_block: str = "residual"

    @property
    def hop(self) -> int:
        """Audio samples per step."""
        return math.prod(self.ratios)


@dataclass(frozen=True)
class EncodecConfig:
    """Shape of a model and the bit rates it was trained for.

    Args:
        name: name of the model, as .ecdc files and error messages give it.
        sample_rate: sample rate of the audio in Hz.
        kbps: bit rates in kbps, ascending; the highest uses every codebook.
        seanet: shape of encoder and decoder.
        codebook_size: codewords per codebook, a power of two.
        segment: seconds of audio that are coded independently; None codes a signal as a whole.
        overlap: share of a segment that overlaps with the next one.
        normalize: whether to divide each segment by its RMS and transmit the RMS as its scale.
        quantizer: residual vector quantisation (section 3.2), DiffQ (A.2.1) or Gumbel-softmax (A.2.2).
        codebook_dim: dimension in which normalised latents and codewords are compared, as in DAC; 0: the latent's.
    """

    name: str
    sample_rate: int
    kbps: tuple[float, ...]
    seanet: SEANetConfig
    codebook_size: int = 1024
    segment: float | None = None
    overlap: float = 0.01
    normalize: bool = False
    quantizer: Quantizer = "rvq"
    codebook_dim: int = 0

    @property
    def channels(self) -> int:
        """Audio channels."""
        return self.seanet.channels

    @property
    def step_rate(self) -> float:
        """Steps per second; not always a whole number: 12.5 for a hop of 1920 samples at 24 kHz."""
        return self.sample_rate / self.seanet.hop

    @property
    def kbps_per_codebook(self) -> float:
        """Bit rate of one codebook in kbps: log2(codewords) bits per step."""
        return math.log2(self.codebook_size) * self.step_rate / 1000

    def codebooks(self, kbps: float | None = None) -> int:
        """Number of codebooks for a bit rate; all of them if `kbps` is None.

        Raises:
            UserError: if the model was not trained for this bit rate.
        """
        if kbps is None:
            kbps = self.kbps[-1]
        if kbps not in self.kbps:
            raise UserError(f"{self.name}@{kbps:g}: {self.name} has {', '.join(f'{r:g}' for r in self.kbps)} kbps")
        return int(round(kbps / self.kbps_per_codebook, 6))  # 0.87 n / 0.87 may be just below n

    @property
    def segment_samples(self) -> int | None:
        """Samples per segment; None if signals are coded as a whole."""
        return None if self.segment is None else int(self.segment * self.sample_rate)

    @property
    def stride_samples(self) -> int | None:
        """Samples from the start of one segment to the start of the next; None if signals are coded as a whole."""
        samples = self.segment_samples
        return None if samples is None else max(1, int((1 - self.overlap) * samples))

    def segments(self, samples: int) -> list[tuple[int, int]]:
        """First sample and end of every segment of a signal of `samples` samples."""
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
