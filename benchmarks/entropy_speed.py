"""How fast coding with the language model is: against the public reference's compress(use_lm=True), and without it.

Audio to bytes and back at 6 kbps, one thread, the same random weights, one process; reference and ours take turns and
the ratios are those of the medians of processor time, as in encodec_speed.py.

    python benchmarks/entropy_speed.py [ROUNDS [SECONDS]]

needs the reference: pip install --no-deps encodec einops.
"""

from __future__ import annotations

import importlib
import io
import sys
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
from earmark.codec.language_model.portable_quantization import quantized

NAME = "encodec_24khz"


def with_language_model(reference: Any) -> PortableModelCoder:
    """Give the reference a language model with random weights, and make our coder of the same."""
    package = importlib.import_module("encodec.model")
    torch.manual_seed(0)
    theirs = package.LMModel(32, 1024, num_layers=5, dim=200, past_context=262).eval()
    for linear in theirs.linears:  # as confident as a trained model
        linear.weight.data.mul_(6)
    ours = LanguageModel(LanguageModelConfig(32, context=262))
    ours.load_state_dict(theirs.state_dict())
    reference.name = NAME
    reference.get_lm_model = lambda: theirs
    importlib.import_module("encodec.compress").MODELS[NAME] = lambda: reference
    return PortableModelCoder(quantized(ours))


def written(model: EncodecModel, sound: Tensor, coder: PortableModelCoder | None) -> bytes:
    sink = io.BytesIO()
    codes = model.encode(sound, KBPS)
    ecdc.write(sink, codes, model.config, language_model=coder is not None, coder=coder)
    return sink.getvalue()


def decoded(model: EncodecModel, data: bytes, coder: PortableModelCoder | None) -> object:
    return model.decode(ecdc.read(io.BytesIO(data), model.config, coder=coder).codes)


def clip(seconds: int) -> Tensor:
    """[1, 1, T]; the shared clip again and again, noise where it is absent."""
    path = Path(__file__).resolve().parents[2] / "shared" / "audio" / CLIPS[NAME]
    if not path.exists():
        return 0.1 * torch.randn(1, 1, seconds * 24000, generator=torch.Generator().manual_seed(0))
    sound = torch.from_numpy(audio_files.read(path).samples)[None]
    return sound.repeat(1, 1, -(-seconds * 24000 // sound.shape[-1]))[..., : seconds * 24000]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    torch.set_num_threads(1)
    reference = reference_model(NAME)
    compress = importlib.import_module("encodec.compress")
    model = same_model(reference)
    accelerate(model)
    coder = with_language_model(reference)
    sound = clip(seconds)
    with torch.inference_mode():
        data = {name: written(model, sound, chosen) for name, chosen in (("ours", coder), ("without", None))}
        public = compress.compress(reference, sound[0], use_lm=True)
        encoding = medians(
            {
                "reference": lambda: compress.compress(reference, sound[0], use_lm=True),
                "ours": lambda: written(model, sound, coder),
                "without": lambda: written(model, sound, None),
            },
            rounds,
        )
        decoding = medians(
            {
                "reference": lambda: compress.decompress(public),
                "ours": lambda: decoded(model, data["ours"], coder),
                "without": lambda: decoded(model, data["without"], None),
            },
            rounds,
        )
    print(f"{seconds} s of audio at {KBPS:g} kbps, one thread, median of {rounds} rounds")
    for what, took in (("encode", encoding), ("decode", decoding)):
        ratio, share = took["reference"] / took["ours"], took["without"] / took["ours"]
        print(f"{what}: reference {took['reference']:.2f} s, ours {took['ours']:.2f} s: {ratio:.1f} x as fast, and")
        print(f"        {100 * share:.0f} % of our speed without the language model")


if __name__ == "__main__":
    main()
