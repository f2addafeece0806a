"""Published neural codecs that run by other packages: DAC, Mimi and EnCodec by transformers, SNAC by snac."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import rate_in_kbps
from earmark.codec.audio import Audio, fit_length
from earmark.codec.errors import UserError
from earmark.codec.extras import missing

if TYPE_CHECKING:  # torch takes seconds to import, and most commands do not need it
    from earmark.baselines.networks import Network

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
TOLERANCE = 0.01  # relative: 7.75 kbps means the 7.7519 of 9 codebooks


@dataclass(frozen=True)
class Published:
    """Properties of a published model that do not need its weights.

    Args:
        repository: name on the Hugging Face hub.
        network: class in baselines/networks.py.
        package: package that runs it, and the extra of Earmark that installs the package.
        bits_per_second: number of codebooks -> bit rate, for each number that the model supports.
    """

    name: str
    title: str
    repository: str
    network: str
    package: Literal["snac", "transformers"]
    sample_rate: int
    bits_per_second: Mapping[int, float]
    licence: str
    latency: str


@dataclass
class TokenCodec:
    """A network at one number of codebooks. A packet is a level: its codes over the whole file, `width` bits each."""

    name: str
    network: Network
    codebooks: int
    sample_rate: int
    channels: int = 1

    @property
    def width(self) -> int:
        """Bits of a code."""
        return math.ceil(math.log2(self.network.codebook_size))

    def encode(self, audio: Audio) -> Encoded:
        import torch

        from earmark.codec.ecdc.bits import pack

        with torch.inference_mode():
            levels = self.network.encode(torch.from_numpy(np.ascontiguousarray(audio[0])), self.codebooks)
        packets = tuple(pack(level.numpy(), self.width) for level in levels)
        seconds = levels[-1].numel() * self.network.hop / self.sample_rate
        return Encoded(packets, audio.shape[-1], self.width * sum(level.numel() for level in levels), seconds)

    def decode(self, encoded: Encoded) -> Audio:
        import torch

        from earmark.codec.ecdc.bits import unpack

        # A code has 8 bits or more, so that the padding of a packet's last byte is never taken for a code.
        counts = [8 * len(packet) // self.width for packet in encoded.packets]
        levels = [
            torch.from_numpy(unpack(packet, count, self.width).astype(np.int64))
            for packet, count in zip(encoded.packets, counts, strict=True)
        ]
        with torch.inference_mode():
            decoded: Audio = self.network.decode(levels).numpy()
        return np.ascontiguousarray(fit_length(decoded[None], encoded.samples), dtype=np.float32)


class Pretrained(Family):
    """A published model, from the hub's cache on this machine or from the folder of the option checkpoint."""

    options: Mapping[str, tuple[str, ...]] = {"checkpoint": ()}
    imports = ("torch",)

    def __init__(self, model: Published) -> None:
        self.model = model
        self.name, self.title, self.licence, self.latency = model.name, model.title, model.licence, model.latency
        self.sample_rates = f"{model.sample_rate / 1000:g} kHz mono"
        rates = [f"{rate / 1000:.3g}" for rate in model.bits_per_second.values()]
        self.rates = (", ".join(rates) if len(rates) < 6 else f"{rates[0]} to {rates[-1]}") + " kbps"
        self.example = f"{model.name}@{rates[min(7, len(rates) - 1)]}"

    def unavailable(self, system: System | None = None) -> str | None:
        if reason := missing("torch", self.model.package, extra=self.model.package):
            return reason
        try:
            self._weights(system)
        except UserError as error:
            return str(error)
        return None

    def version(self, system: System | None = None) -> str:
        package = self.model.package
        return f"{package} {package_version(package)}, weights {_digest(self._weights(system))}"

    def check(self, system: System) -> None:
        self._codebooks(system)

    def kbps(self, system: System) -> float | None:
        return self.model.bits_per_second[self._codebooks(system)] / 1000

    def open(self, system: System, sample_rate: int, channels: int) -> TokenCodec:
        network = _network(self.model.network, self._weights(system).parent)
        return TokenCodec(system.text, network, self._codebooks(system), network.sample_rate)

    def _codebooks(self, system: System) -> int:
        """Number of codebooks of a system's bit rate."""
        nominal = rate_in_kbps(system) * 1000
        rates = self.model.bits_per_second
        nearest = min(rates, key=lambda codebooks: abs(rates[codebooks] - nominal))
        if abs(rates[nearest] - nominal) > TOLERANCE * nominal:
            raise UserError(
                f"{system.text}: {self.title} has {self.rates}; try {self.name}@{rates[nearest] / 1000:.3g}"
            )
        return nearest

    def _weights(self, system: System | None) -> Path:
        """The file of weights, with its configuration in the same folder.

        Raises:
            UserError: there is none.
        """
        folder = "" if system is None else system.options.get("checkpoint", "")
        weights = _weights_in(Path(folder) if folder else _cached(self.model.repository))
        if weights is None and folder:
            raise UserError(
                f"{folder}: no folder with config.json and {' or '.join(WEIGHTS)}; give one of {self.title}"
            )
        if weights is None:
            raise UserError(
                f"{self.name}: its weights are not on this machine; run `hf download {self.model.repository}`, or name "
                "their folder in the option checkpoint"
            )
        return weights


def _cached(repository: str) -> Path | None:
    """Folder of a repository in the hub's cache; None if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _weights_in(folder: Path | None) -> Path | None:
    if folder is None or not (folder / "config.json").is_file():
        return None
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


@functools.cache
def _digest(weights: Path) -> str:
    with weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


@functools.lru_cache(maxsize=4)  # some have hundreds of MB
def _network(name: str, folder: Path) -> Network:
    """Load a network once per process, as workers code many files with it."""
    from earmark.baselines import networks

    network: Network = getattr(networks, name)(folder)
    return network


def _residual(most: int, bits: int, steps_per_second: float) -> dict[int, float]:
    """Number of codebooks -> bit rate, for 1 to `most` residual codebooks."""
    return {codebooks: codebooks * bits * steps_per_second for codebooks in range(1, most + 1)}


def _dac(sample_rate: int, hop: int, codebooks: int) -> Callable[[], Pretrained]:
    khz = sample_rate // 1000
    rates = _residual(codebooks, 10, sample_rate / hop)
    return lambda: Pretrained(
        Published(
            f"dac_{khz}khz", f"DAC {khz} kHz", f"descript/dac_{khz}khz", "DacNetwork", "transformers", sample_rate,
            rates, "MIT", "the whole file",
        )
    )  # fmt: skip


def _snac(sample_rate: int, hop: int, strides: tuple[int, ...]) -> Callable[[], Pretrained]:
    khz = sample_rate // 1000
    rate = sum(12 * sample_rate / hop / stride for stride in strides)
    return lambda: Pretrained(
        Published(
            f"snac_{khz}khz", f"SNAC {khz} kHz", f"hubertsiuzdak/snac_{khz}khz", "SnacNetwork", "snac", sample_rate,
            {len(strides): rate}, "MIT", "the whole file",
        )
    )  # fmt: skip


dac_16khz = _dac(16000, 320, 12)
dac_24khz = _dac(24000, 320, 32)
dac_44khz = _dac(44100, 512, 9)
snac_24khz = _snac(24000, 512, (4, 2, 1))
snac_32khz = _snac(32000, 512, (8, 4, 2, 1))
snac_44khz = _snac(44100, 512, (8, 4, 2, 1))


def mimi() -> Pretrained:
    """Mimi: 12.5 steps per second in up to 32 codebooks of 2048 codewords; Moshi uses 8, 1.1 kbps."""
    rates = _residual(32, 11, 12.5)
    return Pretrained(
        Published("mimi", "Mimi", "kyutai/mimi", "MimiNetwork", "transformers", 24000, rates, "CC-BY-4.0", "80 ms")
    )


def encodec_24khz_hf() -> Pretrained:
    """EnCodec at 24 kHz in the implementation of transformers, for comparison with ours."""
    rates = {codebooks: codebooks * 750.0 for codebooks in (2, 4, 8, 16, 32)}
    return Pretrained(
        Published(
            "encodec_24khz_hf", "EnCodec 24 kHz (transformers)", "facebook/encodec_24khz", "EncodecNetwork",
            "transformers", 24000, rates, "MIT", "13 ms",
        )
    )  # fmt: skip
