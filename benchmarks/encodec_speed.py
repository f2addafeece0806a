"""Speed of accelerated EnCodec relative to the public reference: one thread, same process, weights and clip.

    python benchmarks/encodec_speed.py [ROUNDS]

The reference and our models take turns, so that other load on the machine affects all of them. Ratios compare medians
of CPU time, which equals elapsed time on an idle machine, since everything runs in one thread. The first round does
not count, because libraries initialise in it. Streaming is timed call by call. Needs the reference (pip install
--no-deps encodec einops). Uses the clips in ../shared/audio, or noise if they are missing.
"""

from __future__ import annotations

import argparse
import copy
import os
import statistics
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from earmark.codec import audio as audio_files
from earmark.codec.checkpoints.loading import load
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError

SECONDS, KBPS = 10, 6.0
CLIPS = {"encodec_24khz": "mixed_encodec_24k.wav", "encodec_48khz": "music_encodec_48k_stereo.wav"}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def reference_model(name: str, seed: int = 0) -> Any:
    """The public reference with random weights; an empty module replaces torchaudio, which it imports but need not."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    import encodec

    warnings.simplefilter("ignore")  # its weight norm is deprecated
    torch.manual_seed(seed)
    make = {"encodec_24khz": "encodec_model_24khz", "encodec_48khz": "encodec_model_48khz"}[name]
    reference = getattr(encodec.EncodecModel, make)(pretrained=False).eval()
    for layer in reference.quantizer.vq.layers:  # otherwise zeros; this is the magnitude of the latent
        torch.nn.init.normal_(layer._codebook.embed, std=0.05)
    reference.set_target_bandwidth(KBPS)
    return reference


def same_model(reference: Any) -> EncodecModel:
    """Our model with the weights of the reference."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.th"
        torch.save(reference.state_dict(), path)
        return load(path)


def clip(name: str, rate: int, channels: int) -> Tensor:
    """Clip for a model, or noise; [1, channels, SECONDS * rate]."""
    path = Path(__file__).resolve().parents[2] / "shared" / "audio" / CLIPS[name]
    if not path.exists():
        return 0.1 * torch.randn(1, channels, SECONDS * rate, generator=torch.Generator().manual_seed(0))
    return torch.from_numpy(audio_files.read(path).samples)[None, :, : SECONDS * rate]


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median CPU time of each call in seconds, over `rounds` rounds in turns after a first one that does not count."""
    took: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds + 1):
        for name, call in calls.items():
            start = time.process_time()
            call()
            took[name].append(time.process_time() - start)
    return {name: statistics.median(seconds[1:]) for name, seconds in took.items()}


def snr(expected: Tensor, actual: Tensor) -> float:
    """SI-SNR over all channels in dB; the metric in eval/metrics/si_snr.py is for mono."""
    x, y = expected.double().flatten() - expected.mean(), actual.double().flatten() - actual.mean()
    along = (x @ y / (x @ x)) * x
    return float(10 * torch.log10(along.square().sum() / (y - along).square().sum()))


def compare(name: str, rounds: int) -> None:
    """Print the rows of the table for one model."""
    reference = reference_model(name)
    plain = same_model(reference)
    signal = clip(name, plain.config.sample_rate, plain.config.channels)
    models = {"plain float32": plain}
    for precision, dtype in PRECISIONS.items():
        models[precision] = copy.deepcopy(plain)
        try:
            accelerate(models[precision], dtype)
        except UserError as error:
            del models[precision]
            print(f"{name:<15}{error}")
    codes = plain.encode(signal, KBPS)
    their_codes = reference.encode(signal)
    decoded = plain.decode(codes)
    encode: dict[str, Callable[[], object]] = {"reference": lambda: reference.encode(signal)}
    decode: dict[str, Callable[[], object]] = {"reference": lambda: reference.decode(their_codes)}
    for label, model in models.items():
        encode[label] = lambda model=model: model.encode(signal, KBPS)
        decode[label] = lambda model=model: model.decode(codes)
    encoding, decoding = medians(encode, rounds), medians(decode, rounds)
    print(f"{name:<15}{'reference':<15}{encoding['reference']:>8.3f} s{decoding['reference']:>11.3f} s")
    for label, model in models.items():
        others = model.encode(signal, KBPS)
        pairs = zip(codes.segments, others.segments, strict=True)
        same = 100 * statistics.mean(float((a.codes == b.codes).float().mean()) for a, b in pairs)
        cost = "" if model is plain else f"{snr(decoded, model.decode(codes)):>13.1f} dB{same:>9.2f} %"
        ratios = [took["reference"] / took[label] for took in (encoding, decoding)]
        print(f"{name:<15}{label:<15}{ratios[0]:>8.2f} x{ratios[1]:>11.2f} x{cost}")


class Calls:
    """CPU time and elapsed time of each call in seconds."""

    def __init__(self) -> None:
        self.cpu: list[float] = []
        self.elapsed: list[float] = []

    def time(self, call: Callable[..., Any], *arguments: Any) -> Any:
        cpu, clock = time.process_time(), time.perf_counter()
        result = call(*arguments)
        self.cpu.append(time.process_time() - cpu)
        self.elapsed.append(time.perf_counter() - clock)
        return result


def stream() -> None:
    """Print speed and latency of streaming by single steps and by 20 ms.

    The speed is that of a call's median CPU time. The latency is the 99th percentile of elapsed time per call, the
    first call excluded.
    """
    plain = same_model(reference_model("encodec_24khz"))
    hop, rate = plain.config.seanet.hop, plain.config.sample_rate
    signal = clip("encodec_24khz", rate, 1)
    for label, dtype in PRECISIONS.items():
        model = copy.deepcopy(plain)
        try:
            accelerate(model, dtype)
        except UserError:
            continue
        for part in (hop, rate // 50):
            encoder, decoder = StreamingEncoder(model, KBPS), StreamingDecoder(model)
            encoding, decoding = Calls(), Calls()
            for piece in signal.split(part, dim=-1):
                segments = encoding.time(encoder.push, piece)
                decoding.time(list, map(decoder.push, segments))
            row = f"streaming by {part} samples, {label:<9}"
            for what, calls in (("encode", encoding), ("decode", decoding)):
                row += f" {what}{part / rate / statistics.median(calls.cpu):>6.1f} x real time, "
                row += f"p99 {1000 * statistics.quantiles(calls.elapsed[1:], n=100)[-1]:.1f} ms"
            print(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=9, help="default: 9")
    rounds = parser.parse_args().rounds
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # as the command `earmark` does
    torch.set_num_threads(1)
    try:
        reference_model("encodec_24khz")
    except ImportError as error:
        sys.exit(f"{error}: pip install --no-deps encodec einops")
    print(f"median of {rounds} rounds, {SECONDS} s of audio at {KBPS:g} kbps, one thread; x: relative to the reference")
    print(f"{'model':<15}{'':<15}{'encode':>10}{'decode':>13}{'SI-SNR':>16}{'codes':>11}   against plain float32")
    with torch.inference_mode():
        for name in CLIPS:
            compare(name, rounds)
    stream()


if __name__ == "__main__":
    main()
