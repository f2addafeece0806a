"""EnCodec on a GPU: codes that differ from the CPU's, streaming, speed and memory.

    python benchmarks/encodec_device.py [--device cuda] [--seconds 10] [--batch 64]

Prints one table per model, with the bundled weights at 24 kHz and random weights at 48 kHz:

- the share of codes that differ from those of the CPU, with TF32 off and on and in bfloat16, and the signal-to-noise
  ratio of the audio decoded from the CPU's codes against the CPU's;
- the share of codes in which streaming by 20 ms differs from the whole signal on the same device;
- seconds of audio per second for one signal and for a batch, and the largest memory that tensors took.

It runs on the CPU too, to try the script where there is no GPU.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from earmark.codec.checkpoints.loading import load
from earmark.codec.encodec.config import ENCODEC_48KHZ
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingEncoder

ROUNDS = 5


def models() -> Iterator[EncodecModel]:
    yield load("encodec_24khz")
    torch.manual_seed(0)
    stereo = EncodecModel(ENCODEC_48KHZ).eval().requires_grad_(False)
    torch.nn.init.normal_(stereo.quantizer.codebooks, std=0.05)
    yield stereo


def noise(model: EncodecModel, seconds: float, batch: int) -> Tensor:
    """Noise with the spectrum and level changes of speech, roughly: [batch, channels, time]."""
    generator = torch.Generator().manual_seed(0)
    samples = round(seconds * model.config.sample_rate)
    white = torch.randn(batch, model.config.channels, samples, generator=generator)
    level = torch.randn(batch, 1, int(8 * seconds) + 1, generator=generator).exp()
    smooth = torch.nn.functional.interpolate(level, samples, mode="linear")
    return 0.02 * smooth * white.cumsum(dim=-1).diff(dim=-1, prepend=white[..., :1]).clamp(-3, 3)


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fastest(call: Callable[[], object], device: torch.device) -> float:
    """Shortest of ROUNDS times in seconds, after a call that does not count."""
    took = []
    for _ in range(ROUNDS + 1):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        took.append(time.perf_counter() - start)
    return min(took[1:])


def snr(expected: Tensor, actual: Tensor) -> float:
    error = (expected - actual).double().square().sum()
    return float(10 * torch.log10(expected.double().square().sum() / error)) if error else float("inf")


def accuracy(model: EncodecModel, device: torch.device, seconds: float) -> None:
    audio = noise(model, seconds, 1)
    kbps = model.config.kbps[-1]
    codes = model.encode(audio, kbps)
    expected = model.decode(codes)
    model.to(device)
    for label, allowed, dtype in (
        ("float32", False, torch.float32), ("float32 with TF32", True, torch.float32),
        ("bfloat16", False, torch.bfloat16),
    ):  # fmt: skip
        model.to(dtype)
        with tf32(allowed):
            others = model.encode(audio, kbps).to("cpu").tensor
            decoded = model.decode(codes).cpu().float()
        differ = 100 * float((others != codes.tensor).float().mean())
        first = 100 * float((others[:, 0] != codes.tensor[:, 0]).float().mean())
        print(f"  {label:<18} {differ:7.3f} % of codes differ, {first:7.3f} % of the first codebook's; "
              f"decoded {snr(expected, decoded):6.1f} dB")  # fmt: skip
    model.float()  # bfloat16 has rounded the weights: the caller loads them again


def streaming(model: EncodecModel, device: torch.device, seconds: float) -> None:
    audio = noise(model, seconds, 1).to(device)
    kbps, part = model.config.kbps[-1], model.config.sample_rate // 50
    whole = model.encode(audio, kbps).tensor
    encoder = StreamingEncoder(model, kbps)
    start = time.perf_counter()
    segments = [segment for piece in audio.split(part, dim=-1) for segment in encoder.push(piece)] + encoder.finish()
    synchronize(device)
    took = time.perf_counter() - start
    codes = torch.cat([segment.codes for segment in segments], dim=-1)
    differ = 100 * float((codes != whole).float().mean())
    print(f"  streaming by 20 ms {differ:7.3f} % of codes differ; {seconds / took:.1f} x real time")


def speed(model: EncodecModel, device: torch.device, seconds: float, batch: int) -> None:
    for size in (1, batch):
        audio = noise(model, seconds, size).to(device)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        codes = model.encode(audio, 6)
        encoding = fastest(lambda audio=audio: model.encode(audio, 6), device)
        decoding = fastest(lambda codes=codes: model.decode(codes), device)
        memory = f", {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB" if device.type == "cuda" else ""
        print(f"  batch {size:<4} encode {size * seconds / encoding:9.1f}, decode {size * seconds / decoding:9.1f} "
              f"s of audio per second{memory}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    print(f"{name}, PyTorch {torch.__version__}, {options.seconds:g} s")
    for number, model in enumerate(models()):
        print(f"{model.config.name}")
        accuracy(model, device, options.seconds)
        again = list(models())[number].to(device)
        streaming(again, device, options.seconds)
        speed(again, device, options.seconds, options.batch)


if __name__ == "__main__":
    main()
