"""Speed of coding with the language model, relative to the reference's compress(use_lm=True) and to coding without it.

    python benchmarks/entropy_speed.py [ROUNDS [SECONDS]]

Times audio to bytes and back at 6 kbps on one thread, with the same random weights in one process. The reference and
our coder take turns, and ratios compare medians of CPU time, as in encodec_speed.py. Decoding is timed with and without
the compiled function, which a process loads when it has decoded two minutes. Needs the reference (pip install --no-deps
encodec einops).
"""

from __future__ import annotations

import argparse
import importlib
import io
from pathlib import Path
from typing import Any

import torch
from encodec_speed import CLIPS, KBPS, medians, reference_model, same_model
from torch import Tensor

from earmark.codec import audio as audio_files
from earmark.codec import ecdc
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_model import PortableModel
from earmark.codec.language_model.portable_quantization import quantized

NAME = "encodec_24khz"


def with_language_model(reference: Any) -> PortableModel:
    """Give the reference a language model with random weights, and return ours with the same weights."""
    package = importlib.import_module("encodec.model")
    torch.manual_seed(0)
    theirs = package.LMModel(32, 1024, num_layers=5, dim=200, past_context=262).eval()
    for linear in theirs.linears:  # makes predictions as confident as a trained model's
        linear.weight.data.mul_(6)
    ours = LanguageModel(LanguageModelConfig(32, context=262))
    ours.load_state_dict(theirs.state_dict())
    reference.name = NAME
    reference.get_lm_model = lambda: theirs
    importlib.import_module("encodec.compress").MODELS[NAME] = lambda: reference
    return quantized(ours)


def written(model: EncodecModel, signal: Tensor, coder: PortableModelCoder | None) -> bytes:
    """Contents of an .ecdc file of a signal."""
    sink = io.BytesIO()
    codes = model.encode(signal, KBPS)
    ecdc.write(sink, codes, model.config, language_model=coder is not None, coder=coder)
    return sink.getvalue()


def decoded(model: EncodecModel, data: bytes, coder: PortableModelCoder | None) -> object:
    """Audio from the contents of an .ecdc file."""
    return model.decode(ecdc.read(io.BytesIO(data), model.config, coder=coder).codes)


def clip(seconds: int) -> Tensor:
    """The shared clip, repeated to this length, or noise if it is missing; [1, 1, T]."""
    path = Path(__file__).resolve().parents[2] / "shared" / "audio" / CLIPS[NAME]
    if not path.exists():
        return 0.1 * torch.randn(1, 1, seconds * 24000, generator=torch.Generator().manual_seed(0))
    signal = torch.from_numpy(audio_files.read(path).samples)[None]
    return signal.repeat(1, 1, -(-seconds * 24000 // signal.shape[-1]))[..., : seconds * 24000]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=5, help="default: 5")
    parser.add_argument("seconds", type=int, nargs="?", default=10, help="length of the clip; default: 10")
    arguments = parser.parse_args()
    rounds, seconds = arguments.rounds, arguments.seconds
    torch.set_num_threads(1)
    reference = reference_model(NAME)
    compress = importlib.import_module("encodec.compress")
    model = same_model(reference)
    accelerate(model)
    portable = with_language_model(reference)
    coder, compiled = (PortableModelCoder(portable, compiled=one) for one in (False, True))
    signal = clip(seconds)
    with torch.inference_mode():
        data = {name: written(model, signal, chosen) for name, chosen in (("ours", coder), ("without", None))}
        public = compress.compress(reference, signal[0], use_lm=True)
        encoding = medians(
            {
                "reference": lambda: compress.compress(reference, signal[0], use_lm=True),
                "ours": lambda: written(model, signal, coder),
                "without": lambda: written(model, signal, None),
            },
            rounds,
        )
        decoding = medians(
            {
                "reference": lambda: compress.decompress(public),
                "ours": lambda: decoded(model, data["ours"], coder),
                "ours, compiled": lambda: decoded(model, data["ours"], compiled),
                "without": lambda: decoded(model, data["without"], None),
            },
            rounds,
        )
    print(f"{seconds} s of audio at {KBPS:g} kbps, one thread, median of {rounds} rounds")
    for what, took in (("encode", encoding), ("decode", decoding)):
        for name in (name for name in took if name.startswith("ours")):
            ratio, share = took["reference"] / took[name], took["without"] / took[name]
            print(f"{what}: reference {took['reference']:.2f} s, {name} {took[name]:.2f} s: {ratio:.1f} x as fast")
            print(f"        {100 * share:.0f} % of our speed without the language model")


if __name__ == "__main__":
    main()
