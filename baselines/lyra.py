"""Lyra v2 (SoundStream, github.com/google/lyra 1.3) from its published TFLite models, run as upstream runs them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import rate_in_kbps, require_rate
from earmark.codec.audio import Audio, fit_length, to_pcm16
from earmark.codec.audio.native_messages import silenced
from earmark.codec.checkpoints.downloads import cache_folder, fetch, hash_fits
from earmark.codec.extras import missing

SAMPLE_RATE = 16000
HOP = 320  # samples: 20 ms
QUANTIZERS = {3.2: 16, 6.0: 30, 9.2: 46}  # kbps -> residual stages of 4 bits in each hop
MOST_QUANTIZERS = 46
UNUSED = -1  # index that tells the decoder that a stage was not sent

WEIGHTS_URL = "https://github.com/google/lyra/raw/v1.3.2/lyra/model_coeffs/"
ENCODER, QUANTIZER, DECODER = "soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"
SHA256 = {
    ENCODER: "237da0b16226fb0a68d49551c81bebf614e42142af72764448359f68581e88f1",
    QUANTIZER: "841ee05989687d32d1f616a8ad1419fc7eda37599d3c05c7cf5a0d60ccf8ac5c",
    DECODER: "50e7839cda4f30599a3a34cfaddcd9c98449b049eee884e1a74295780448ad06",
}


def weights_folder() -> Path:
    """Return $EARMARK_LYRA_DIR, else lyra_v2 in the user's cache."""
    folder = os.environ.get("EARMARK_LYRA_DIR")
    return Path(folder) if folder else cache_folder() / "lyra_v2"


def is_downloaded() -> bool:
    """Whether all models are in `weights_folder`; their hashes are not checked."""
    return all((weights_folder() / name).is_file() for name in SHA256)


def download(url: str) -> Path:
    """Fetch the three models into `weights_folder`.

    Args:
        url: folder of the models, with a trailing slash.

    Raises:
        UserError: no connection, an HTTP error, an interrupted transfer, or a file with another hash.
        WriteError: the folder cannot be written or the disk is full.
    """
    for name, sha256 in SHA256.items():
        fetch(url + name, weights_folder() / name, sha256)
    return weights_folder()


def _runner(path: Path, signature: str, xnnpack: bool) -> Any:
    """Signature of a fresh interpreter, so that the state of the networks never comes from another file."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN if xnnpack else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with silenced():  # XNNPACK prints a message
        interpreter = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=kernels)
        interpreter.allocate_tensors()
        return interpreter.get_signature_runner(signature)


@dataclass
class LyraCodec:
    """Lyra v2 at one bit rate, mono. A packet is a hop of 20 ms: 4 bits per stage, the first stage highest."""

    name: str
    folder: Path
    quantizers: int
    sample_rate: int = SAMPLE_RATE
    channels: int = 1

    def encode(self, audio: Audio) -> Encoded:
        encoder = _runner(self.folder / ENCODER, "serving_default", xnnpack=True)
        quantizer = _runner(self.folder / QUANTIZER, "encode", xnnpack=False)
        hops = -(-audio.shape[-1] // HOP)
        pcm, _ = to_pcm16(fit_length(audio, hops * HOP))
        stages = np.array(self.quantizers, np.int32)
        packets = []
        for hop in np.split((pcm.T / 32768).astype(np.float32), hops, axis=1):
            features = encoder(input_audio=hop)["output_0"]
            indices = quantizer(input_frames=features, num_quantizers=stages)["output_0"]
            packets.append(_pack(indices.ravel()[: self.quantizers]))
        return Encoded(tuple(packets), audio.shape[-1], seconds=hops * HOP / self.sample_rate)

    def decode(self, encoded: Encoded) -> Audio:
        quantizer = _runner(self.folder / QUANTIZER, "decode", xnnpack=False)
        decoder = _runner(self.folder / DECODER, "serving_default", xnnpack=True)
        indices = np.full((MOST_QUANTIZERS, 1, 1), UNUSED, np.int32)
        hops = []
        for packet in encoded.packets:
            indices[: self.quantizers, 0, 0] = _unpack(packet)
            features = quantizer(encoding_indices=indices)["output_0"]
            hops.append(decoder(input_audio=features)["output_0"])
        pcm, _ = to_pcm16(np.concatenate(hops, axis=1))
        return np.ascontiguousarray(fit_length((pcm.T / 32768).astype(np.float32), encoded.samples))


def _pack(indices: NDArray[np.int32]) -> bytes:
    """Pack an even number of 4-bit indices, two per byte."""
    return (indices[0::2] << 4 | indices[1::2]).astype(np.uint8).tobytes()


def _unpack(packet: bytes) -> NDArray[np.uint8]:
    pairs = np.frombuffer(packet, np.uint8)
    return np.stack([pairs >> 4, pairs & 15], axis=1).ravel()


class Lyra(Family):
    """Lyra v2 at 3.2, 6 and 9.2 kbps."""

    name = "lyra"
    title = "Lyra v2"
    rates = "3.2, 6, 9.2 kbps"
    example = "lyra@6"
    sample_rates = "16 kHz mono"
    licence = "Apache-2.0"
    latency = "20 ms"

    def unavailable(self, system: System | None = None) -> str | None:
        if reason := missing("ai_edge_litert", extra="lyra"):
            return reason
        for name, sha256 in SHA256.items():
            path = weights_folder() / name
            if not path.is_file():
                return (
                    f"{path} is missing; run `earmark download lyra_v2`, or set EARMARK_LYRA_DIR to a folder with "
                    f"{', '.join(SHA256)} of {WEIGHTS_URL}"
                )
            if not hash_fits(path, sha256):
                return f"{path}: not the published file (SHA-256); delete it and run `earmark download lyra_v2`"
        return None

    def version(self, system: System | None = None) -> str:
        """Version of the runtime; the weights are always the published ones, checked by their hashes."""
        return f"v1.3.2, LiteRT {package_version('ai-edge-litert')}"

    def check(self, system: System) -> None:
        require_rate(system, QUANTIZERS)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> LyraCodec:
        return LyraCodec(system.text, weights_folder(), QUANTIZERS[rate_in_kbps(system)])
