"""HILCodec (arXiv 2405.04752) from its published ONNX models, run hop by hop by ONNX Runtime."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np

from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import option, rate_in_kbps
from earmark.codec.audio import Audio, fit_length
from earmark.codec.checkpoints.downloads import cache_folder
from earmark.codec.errors import UserError
from earmark.codec.extras import missing

SAMPLE_RATE = 24000
HOP = 320  # samples: 75 hops per second
BITS = 10  # of a code
MOST_CODEBOOKS = 12
MODELS = {"speech": "hil_speech", "music": "hil_music"}  # option -> prefix of the file names


def weights_folder() -> Path:
    """Return $EARMARK_HILCODEC_DIR, else hilcodec in the user's cache."""
    folder = os.environ.get("EARMARK_HILCODEC_DIR")
    return Path(folder) if folder else cache_folder() / "hilcodec"


def files(model: str, codebooks: int) -> list[str]:
    """Names of the files of a model at a number of codebooks."""
    ends = ["enc.onnx", "dec.onnx", "cache_enc.npz", "cache_dec.npz"]
    ends += [f"{part}{number}.onnx" for number in range(codebooks) for part in ("vq", "deq")]
    return [f"{MODELS[model]}_{end}" for end in ends]


@functools.lru_cache(maxsize=64)
def _session(path: Path) -> Any:
    """Load a network; it keeps no state between calls, as its state is an input and an output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@dataclass
class HilCodec:
    """HILCodec at one number of codebooks, mono. A packet is a level's codes over the whole file, 10 bits each."""

    name: str
    folder: Path
    model: str
    codebooks: int
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    def encode(self, audio: Audio) -> Encoded:
        from earmark.codec.ecdc.bits import pack

        encoder, state = self._network("enc"), self._fresh_state("enc")
        quantizers = [self._network(f"vq{number}") for number in range(self.codebooks)]
        hops = -(-audio.shape[-1] // HOP)
        codes = np.empty((self.codebooks, hops), np.int64)
        padded = np.ascontiguousarray(fit_length(audio, hops * HOP), dtype=np.float32)
        for hop, part in enumerate(np.split(padded, hops, axis=1)):
            residual, *new = encoder.run(None, {"wav_in": part[None]} | state)
            state = {f"e_in{number}": value for number, value in enumerate(new)}
            for level, quantizer in enumerate(quantizers):
                quantized, index = quantizer.run(None, {"x": residual})
                codes[level, hop] = index.item()
                residual = residual - quantized
        packets = tuple(pack(level, BITS) for level in codes)
        return Encoded(packets, audio.shape[-1], bits=codes.size * BITS, seconds=hops * HOP / self.sample_rate)

    def decode(self, encoded: Encoded) -> Audio:
        from earmark.codec.ecdc.bits import unpack

        decoder, state = self._network("dec"), self._fresh_state("dec")
        dequantizers = [self._network(f"deq{number}") for number in range(self.codebooks)]
        hops = -(-encoded.samples // HOP)
        codes = np.stack([unpack(packet, hops, BITS) for packet in encoded.packets]).astype(np.int64)
        parts = []
        for column in codes.T:
            vectors = [
                dequantizer.run(None, {"idx": code.reshape(1, 1)})[0]
                for dequantizer, code in zip(dequantizers, column, strict=True)
            ]
            part, *new = decoder.run(None, {"q": np.sum(vectors, axis=0)} | state)
            state = {f"d_in{number}": value for number, value in enumerate(new)}
            parts.append(part.reshape(1, -1))
        return np.ascontiguousarray(fit_length(np.concatenate(parts, axis=1), encoded.samples), dtype=np.float32)

    def _network(self, part: str) -> Any:
        return _session(self.folder / f"{MODELS[self.model]}_{part}.onnx")

    def _fresh_state(self, part: str) -> dict[str, Any]:
        with np.load(self.folder / f"{MODELS[self.model]}_cache_{part}.npz") as stored:
            return dict(stored)


class Hil(Family):
    """HILCodec for speech, or for music with the option model."""

    name = "hilcodec"
    title = "HILCodec"
    rates = "0.75 to 9 kbps, in steps of 0.75"
    example = "hilcodec@3"
    sample_rates = "24 kHz mono"
    licence = "MIT"
    latency = "13 ms"
    options: Mapping[str, tuple[str, ...]] = {"model": ("speech", "music")}

    def unavailable(self, system: System | None = None) -> str | None:
        if reason := missing("onnxruntime", extra="hilcodec"):
            return reason
        for path in self._paths(system):
            if not path.is_file():
                return (
                    f"{path} is missing; copy the folder onnx of github.com/aask1357/hilcodec to {path.parent}, or set "
                    "EARMARK_HILCODEC_DIR to it"
                )
        return None

    def version(self, system: System | None = None) -> str:
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in self._paths(system))).hexdigest()[:16]
        return f"weights {digest}, ONNX Runtime {package_version('onnxruntime')}"

    def check(self, system: System) -> None:
        step = BITS * SAMPLE_RATE / HOP / 1000
        kbps = rate_in_kbps(system)
        if kbps / step not in range(1, MOST_CODEBOOKS + 1):
            nearest = step * min(max(round(kbps / step), 1), MOST_CODEBOOKS)
            raise UserError(f"{system.text}: HILCodec has {self.rates}; try hilcodec@{nearest:g}")

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> HilCodec:
        return HilCodec(system.text, weights_folder(), option(system, "model"), _codebooks(system))

    def _paths(self, system: System | None) -> list[Path]:
        if system is None:
            return [weights_folder() / name for name in files("speech", 1)]
        return [weights_folder() / name for name in files(option(system, "model"), _codebooks(system))]


def _codebooks(system: System) -> int:
    return round(rate_in_kbps(system) * 1000 * HOP / BITS / SAMPLE_RATE)
