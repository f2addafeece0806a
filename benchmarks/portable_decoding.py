"""Portability of files coded with the language model: decoding with other threads, instruction sets and batches.

    python benchmarks/portable_decoding.py [SYMBOLS [LANGUAGE_MODEL]]

Encodes codes drawn from a language model (default: random weights) once, then decodes them in one process per limit.
For comparison, each process also decodes a segment of 2 s in the public format, whose tables depend on floating point.
The case "noise" moves every floating-point result by one unit in the last place, up or down at random; in the public
format, only the logits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.errors import UserError
from earmark.codec.language_model import exact_linear
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.public_coder import PublicModelCoder, Tables

CODEBOOKS, STEPS, BITS = 8, 150, 10
LIMITS = {
    "SSE4.1": {
        "ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX-512": {
        "ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512",
        "OPENBLAS_CORETYPE": "SkylakeX",
    },
}  # fmt: skip
CASES: dict[str, tuple[dict[str, str], dict[str, int]]] = {  # environment; threads, batch, noise
    "as encoded": ({}, {}),
    "2 threads": ({"OPENBLAS_NUM_THREADS": "2"}, {"threads": 2}),
    "one by one": ({}, {"batch": 1}),
    **{name: (limits, {}) for name, limits in LIMITS.items()},
    "noise": ({}, {"noise": 1}),
}


def noisy(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move every value up or down by one unit in the last place."""
    return np.nextafter(values, np.where(rng.random(values.shape) < 0.5, -np.inf, np.inf).astype(values.dtype))


def add_noise() -> None:
    """Disturb all floating-point results of the integer model, which thus computes products in float32, not 8 bits."""
    rng, whole, root = np.random.default_rng(0), exact_linear.integers, np.sqrt
    exact_linear.has_exact_bytes = lambda rows, columns: False  # type: ignore[assignment]
    exact_linear.integers = lambda product: whole(noisy(product, rng))
    np.sqrt = lambda values: noisy(root(values), rng)  # type: ignore[assignment]
    forward = LanguageModel.forward

    def disturbed(self, previous, past=None, offset=0):  # type: ignore[no-untyped-def]
        logits, past = forward(self, previous, past, offset)
        return torch.from_numpy(noisy(logits.numpy(), rng)), past

    LanguageModel.forward = disturbed  # type: ignore[method-assign]


def public_tables(coder: PublicModelCoder, codes: np.ndarray) -> np.ndarray:
    """Cumulative frequencies of the public format for codes [codebooks, steps]."""
    tables = Tables(coder._model, CODEBOOKS)
    cumulative = []
    for step in codes.T.astype(np.int64):
        cumulative.append(tables.next())
        tables.follow(step)
    return np.stack(cumulative)


def decode(folder: Path, threads: int, batch: int, noise: int) -> None:
    """Decode the files in the folder in this process, and print the differences."""
    torch.set_num_threads(threads)
    if noise:
        add_noise()
    data = np.load(folder / "coded.npz")
    payloads = [part.tobytes() for part in np.split(data["bytes"], np.cumsum(data["sizes"])[:-1])]
    coder = PortableModelCoder(language_model_files.load_portable(folder / "model.safetensors", ENCODEC_24KHZ))
    mismatches, began = 0, time.process_time()
    for first in range(0, len(payloads), batch):
        part = payloads[first : first + batch]
        codes = np.stack(coder.decode_all(part, CODEBOOKS, [STEPS] * len(part), BITS))
        mismatches += int((codes != data["codes"][first : first + batch]).sum())
    seconds = time.process_time() - began
    row = f"{mismatches:>10} of {data['codes'].size}{seconds:>8.0f} s"
    if (folder / "float.safetensors").exists():
        public = PublicModelCoder(language_model_files.load_float(folder / "float.safetensors", ENCODEC_24KHZ))
        codes = data["codes"][0]
        changed = (public_tables(public, codes) != data["tables"]).any(axis=-1).mean()
        source = (folder / "public.bin").open("rb")
        try:
            wrong = sum(int((step != codes[:, [index]]).sum())
                        for index, step in enumerate(public.decode(source, CODEBOOKS, STEPS, BITS)))  # fmt: skip
            outcome = f"{wrong} of {codes.size} codes wrong"
        except (UserError, EOFError):
            outcome = "decoding fails"
        row += f"{100 * changed:>10.1f} % tables changed, {outcome}"
    print(row)


def prepare(folder: Path, symbols: int, model: Path | None) -> None:
    """Draw codes from the model, encode them, and write codes, files and models to the folder."""
    torch.manual_seed(0)
    if model is None:
        plain = LanguageModel(LanguageModelConfig(CODEBOOKS, context=262)).eval().requires_grad_(False)
        for linear in plain.linears:  # makes predictions as confident as a trained model's
            linear.weight.mul_(6)
        language_model_files.save(plain, folder / "float.safetensors")
        model = folder / "float.safetensors"
    portable = language_model_files.load_portable(model, ENCODEC_24KHZ)
    language_model_files.save(portable, folder / "model.safetensors")
    coder = PortableModelCoder(portable)
    rng = np.random.default_rng(0)
    codes: list[np.ndarray] = []
    while len(codes) * STEPS * CODEBOOKS < symbols:  # decoding random bytes draws codes from the model's distribution
        codes += coder.decode_all([rng.bytes(4000) for _ in range(32)], CODEBOOKS, [STEPS] * 32, BITS)
    payloads = [coder.encode(segment, BITS) for segment in codes]
    tables = np.zeros(0)
    if (folder / "float.safetensors").exists():
        public = PublicModelCoder(language_model_files.load_float(folder / "float.safetensors", ENCODEC_24KHZ))
        tables = public_tables(public, codes[0])
        (folder / "public.bin").write_bytes(public.encode(codes[0], BITS))
    np.savez(
        folder / "coded.npz", codes=np.stack(codes), sizes=[len(payload) for payload in payloads],
        bytes=np.frombuffer(b"".join(payloads), np.uint8), tables=tables,
    )  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["decode"]:
        decode(Path(sys.argv[2]), *map(int, sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("symbols", type=int, nargs="?", default=1_000_000, help="default: 1000000")
    parser.add_argument("language_model", type=Path, nargs="?", help="default: random weights")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), arguments.symbols, arguments.language_model)
        print(f"8-bit instructions are exact on this CPU: {exact_linear.has_exact_bytes(600, 200)}")
        print(f"{'decoded':<14}{'portable mode: mismatches':>30}     public mode", flush=True)
        for name, (limits, options) in CASES.items():
            settings = [str(options.get(key, usual)) for key, usual in (("threads", 1), ("batch", 32), ("noise", 0))]
            command = [sys.executable, __file__, "decode", folder, *settings]
            done = subprocess.run(command, env=os.environ | limits, check=True, capture_output=True, text=True)
            print(f"{name:<14}{done.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
