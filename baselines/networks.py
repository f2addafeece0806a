"""Neural codecs of other packages behind one interface: a signal to levels of codes, and back.

Each loads from a folder with configuration and weights, as its repository on the Hugging Face hub has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad


class Network(Protocol):
    """A mono codec of residual or multi-scale codebooks.

    Audio is [time] at `sample_rate`, of at least one sample. A level is [steps], the codes of one codebook. decode()
    returns at least as many samples as were encoded.
    """

    sample_rate: int
    codebook_size: int
    hop: int  # samples per step of the last level, which has the most steps

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]: ...

    def decode(self, levels: list[Tensor]) -> Tensor: ...


class DacNetwork:
    """Descript Audio Codec (arXiv 2306.06546) as transformers has it."""

    def __init__(self, folder: Path) -> None:
        from transformers import DacModel

        self.model = _from_pretrained(DacModel, folder)
        self.sample_rate: int = self.model.config.sampling_rate
        self.codebook_size: int = self.model.config.codebook_size
        self.hop: int = self.model.config.hop_length

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        # The output of each layer with an odd stride is a sample shorter than steps x stride.
        short = self.hop - _length_after(1, self.model.config.upsampling_ratios)
        padded = pad(audio, (0, -(audio.shape[-1] + short) % self.hop + short))
        codes = self.model.encode(padded[None, None], n_quantizers=codebooks).audio_codes
        return list(codes[0])

    def decode(self, levels: list[Tensor]) -> Tensor:
        return self.model.decode(audio_codes=torch.stack(levels)[None]).audio_values.flatten()


def _length_after(steps: int, strides: list[int]) -> int:
    """Output length of transposed convolutions of kernel 2 x stride, padding ceil(stride / 2), for `steps` inputs."""
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
        self.hop: int = self.model.config.frame_size

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        padded = pad(audio, (0, -audio.shape[-1] % self.hop))
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
        self.hop: int = self.model.config.hop_length

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        config = self.model.config
        padded = pad(audio, (0, -audio.shape[-1] % self.hop))
        kbps = codebooks * config.codebook_nbits * config.frame_rate / 1000
        return list(self.model.encode(padded[None, None], bandwidth=kbps).audio_codes[0, 0])

    def decode(self, levels: list[Tensor]) -> Tensor:
        return self.model.decode(torch.stack(levels)[None, None], [None]).audio_values.flatten()


class SnacNetwork:
    """SNAC (arXiv 2410.14411) by its own package: codebooks at several step rates, all of which are always used."""

    def __init__(self, folder: Path) -> None:
        from snac import SNAC

        self.model = SNAC.from_pretrained(str(folder))
        self.sample_rate: int = self.model.sampling_rate
        self.codebook_size: int = self.model.codebook_size
        self.hop = int(self.model.hop_length * self.model.vq_strides[-1])

    def encode(self, audio: Tensor, codebooks: int) -> list[Tensor]:
        return [level[0] for level in self.model.encode(audio[None, None])]  # pads its input itself

    def decode(self, levels: list[Tensor]) -> Tensor:
        with torch.random.fork_rng(devices=[]):  # its decoder adds noise
            torch.manual_seed(0)
            decoded: Tensor = self.model.decode([level[None] for level in levels]).flatten()
        return decoded


def _from_pretrained(model_class: Any, folder: Path) -> Any:
    """Load a model of transformers for inference, without progress bars."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return model_class.from_pretrained(folder, local_files_only=True).eval()
