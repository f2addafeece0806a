"""Other people's neural codecs behind one face: a signal in, levels of codewords out, and back.

Each loads from a folder as its hub has it: a configuration beside weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad


class Network(Protocol):
    """A mono codec of residual or multi-scale codebooks.

    Args of its methods: audio [time] at `sample_rate`, of at least one sample; a level is [steps], codewords of a
    codebook. decode() may give more samples than were encoded, not fewer.
    """

    sample_rate: int
    codebook_size: int

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]: ...

    def decode(self, levels: list[Tensor]) -> Tensor: ...


class DacNetwork:
    """Descript Audio Codec (arXiv 2306.06546) as transformers has it."""

    def __init__(self, folder: Path) -> None:
        from transformers import DacModel

        self.model = _from_pretrained(DacModel, folder)
        self.sample_rate: int = self.model.config.sampling_rate
        self.codebook_size: int = self.model.config.codebook_size

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        hop = self.model.config.hop_length
        # Each odd stride of the decoder ends a sample short of its last step.
        short = hop - _length_after(1, self.model.config.upsampling_ratios)
        padded = pad(audio, (0, -(audio.shape[-1] + short) % hop + short))
        codes = self.model.encode(padded[None, None], n_quantizers=codebooks).audio_codes
        return list(codes[0])

    def decode(self, levels: list[Tensor]) -> Tensor:
        return self.model.decode(audio_codes=torch.stack(levels)[None]).audio_values.flatten()


def _length_after(steps: int, strides: list[int]) -> int:
    """Samples that transposed convolutions of kernel 2 x stride and padding ceil(stride / 2) make of `steps`."""
    for stride in strides:
        steps = steps * stride - stride % 2
    return steps


class MimiNetwork:
    """Mimi (arXiv 2410.00037) as transformers has it."""

    def __init__(self, folder: Path) -> None:
        from transformers import MimiModel

        self.model = _from_pretrained(MimiModel, folder)
        self.sample_rate: int = self.model.config.sampling_rate
        self.codebook_size: int = self.model.config.codebook_size

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        padded = pad(audio, (0, -audio.shape[-1] % self.model.config.frame_size))
        return list(self.model.encode(padded[None, None], num_quantizers=codebooks).audio_codes[0])

    def decode(self, levels: list[Tensor]) -> Tensor:
        return self.model.decode(torch.stack(levels)[None]).audio_values.flatten()


class EncodecNetwork:
    """EnCodec at 24 kHz as transformers has it, for comparison with our own."""

    def __init__(self, folder: Path) -> None:
        from transformers import EncodecModel

        self.model = _from_pretrained(EncodecModel, folder)
        self.sample_rate: int = self.model.config.sampling_rate
        self.codebook_size: int = self.model.config.codebook_size

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        config = self.model.config
        padded = pad(audio, (0, -audio.shape[-1] % config.hop_length))
        kbps = codebooks * config.codebook_nbits * config.frame_rate / 1000
        return list(self.model.encode(padded[None, None], bandwidth=kbps).audio_codes[0, 0])

    def decode(self, levels: list[Tensor]) -> Tensor:
        return self.model.decode(torch.stack(levels)[None, None], [None]).audio_values.flatten()


class SnacNetwork:
    """SNAC (arXiv 2410.14411) by its own package: codebooks of several rates, all of them always used."""

    def __init__(self, folder: Path) -> None:
        from snac import SNAC

        self.model = SNAC.from_pretrained(str(folder))
        self.sample_rate: int = self.model.sampling_rate
        self.codebook_size: int = self.model.codebook_size

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        return [level[0] for level in self.model.encode(audio[None, None])]  # which pads by itself

    def decode(self, levels: list[Tensor]) -> Tensor:
        with torch.random.fork_rng(devices=[]):  # its decoder adds noise
            torch.manual_seed(0)
            decoded: Tensor = self.model.decode([level[None] for level in levels]).flatten()
        return decoded


def _from_pretrained(kind: Any, folder: Path) -> Any:
    """A model of transformers out of `folder`, ready for inference, without its progress bars."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return kind.from_pretrained(folder, local_files_only=True).eval()
