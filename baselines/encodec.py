"""EnCodec (arXiv 2210.13438) by our own implementation, with the official checkpoints or any other of the models."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from baselines.interface import Encoded, Family, System
from baselines.systems import rate_in_kbps, refuse_options
from codec.audio import Audio
from codec.errors import UserError

if TYPE_CHECKING:  # torch takes seconds to import, and most commands do without it
    from codec.model import EncodecModel

SCALE = np.dtype(">f4")  # in front of a normalised segment's codes, as in the public format


@functools.lru_cache(maxsize=2)
def _model(source: str | Path) -> tuple[EncodecModel, str]:
    """Model and identity, loaded once a process: workers code many files with it."""
    from codec import checkpoints
    from codec.fast import accelerate

    model = checkpoints.load(source)
    identity = checkpoints.identity(model)
    accelerate(model)
    return model, identity


@dataclass
class EncodecCodec:
    """EnCodec at one bit rate.

    A packet is a segment: 10 bits a code, filled up to a byte, with 4 bytes of scale in front where the model
    normalises; the public format without its header.
    """

    name: str
    sample_rate: int
    channels: int
    kbps: float
    model: EncodecModel

    @property
    def latency(self) -> float:
        """A segment where the model has segments, else one step of the codes (paper, section 4.6)."""
        config = self.model.config
        return (config.segment_samples or config.seanet.hop) / self.sample_rate

    def encode(self, audio: Audio) -> Encoded:
        from codec.bits import pack

        codes = self.model.encode(audio, self.kbps)
        packets = []
        for segment in codes.segments:
            scale = b"" if segment.scale is None else segment.scale.numpy().astype(SCALE).tobytes()
            packets.append(scale + pack(segment.codes[0].T.flatten().numpy(), self.model.quantizer.bits))
        return Encoded(tuple(packets), codes.samples)

    def decode(self, encoded: Encoded) -> Audio:
        import torch

        from codec.bits import unpack
        from codec.model import Codes, Segment

        config = self.model.config
        codebooks = config.codebooks(self.kbps)
        segments = []
        for packet, (start, end) in zip(encoded.packets, config.segments(encoded.samples), strict=True):
            scale = None
            if config.normalize:
                scale = torch.from_numpy(np.frombuffer(packet[: SCALE.itemsize], SCALE).astype(np.float32))
                packet = packet[SCALE.itemsize :]
            steps = -(-(end - start) // config.seanet.hop)
            entries = unpack(packet, steps * codebooks, self.model.quantizer.bits).reshape(1, steps, codebooks)
            segments.append(Segment(torch.from_numpy(entries.astype(np.int64)).mT, scale))
        decoded = self.model.decode(Codes(tuple(segments), encoded.samples, from_numpy=True))
        return np.ascontiguousarray(decoded[0])


class Encodec(Family):
    """EnCodec at 24 kHz, mono."""

    name = "encodec_24khz"
    title = "EnCodec 24 kHz"
    kbps_steps: tuple[float, ...] = (1.5, 3.0, 6.0, 12.0, 24.0)
    rates = "1.5, 3, 6, 12, 24 kbps"
    example = "encodec_24khz@3"
    sample_rates = "24 kHz"
    licence = "code MIT; weights by their origin"

    def unavailable(self, system: System | None = None) -> str | None:
        from codec.downloads import cached

        source = self.source(system)
        if isinstance(source, Path):
            return None if source.is_file() else f"{source}: no such file; give a checkpoint of {self.title}"
        try:
            cached(source)
        except UserError as error:
            return str(error)
        return None

    def version(self, system: System | None = None) -> str:
        return f"weights {_model(self.source(system))[1][:16]}"

    def check(self, system: System) -> None:
        refuse_options(system, ("checkpoint",))
        kbps = rate_in_kbps(system)
        if kbps not in self.kbps_steps:
            nearest = min(self.kbps_steps, key=lambda step: abs(step - kbps))
            raise UserError(f"{system.text}: {self.title} has {self.rates}; try {self.name}@{nearest:g}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> EncodecCodec:
        model, _ = _model(self.source(system))
        if model.config.name != self.name:
            raise UserError(
                f"{system.text}: its checkpoint is one of {model.config.name}; write {model.config.name}@..."
            )
        kbps = rate_in_kbps(system)
        model.config.codebooks(kbps)  # a checkpoint may have fewer bit rates than the model of the paper
        return EncodecCodec(system.text, model.config.sample_rate, model.config.channels, kbps, model)

    def source(self, system: System | None) -> str | Path:
        """The file named by the option, else the name of the official checkpoint."""
        given = "" if system is None else system.options.get("checkpoint", "")
        return Path(given) if given else self.name


class Encodec48(Encodec):
    """EnCodec at 48 kHz, stereo."""

    name = "encodec_48khz"
    title = "EnCodec 48 kHz"
    kbps_steps = (3.0, 6.0, 12.0, 24.0)
    rates = "3, 6, 12, 24 kbps"
    example = "encodec_48khz@6"
    sample_rates = "48 kHz"
