"""The public reference (encodec 0.1.1) with random weights, and our model with the same weights."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.layers import fold_weight_norm
from earmark.codec.encodec.model import EncodecModel

torch.set_num_threads(1)  # for small networks and parallel test workers, more threads only wait for each other

Pair = Callable[[str, int], tuple[Any, EncodecModel]]


@pytest.fixture(scope="session")
def reference_package() -> Any:
    """The module encodec. It imports torchaudio, but the tests need nothing of it: an empty module replaces it."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    return pytest.importorskip("encodec", reason="the public reference is not installed: pip install --no-deps encodec")


@pytest.fixture(scope="session")
def pair(reference_package: Any) -> Pair:
    """(name, seed) -> the reference with random weights and codebooks, and our model with the same weights."""

    def make(name: str, seed: int) -> tuple[Any, EncodecModel]:
        torch.manual_seed(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about its deprecated weight norm
            preset = {"encodec_24khz": "encodec_model_24khz", "encodec_48khz": "encodec_model_48khz"}[name]
            reference = getattr(reference_package.EncodecModel, preset)(pretrained=False)
        reference.name = name
        for (
            layer
        ) in reference.quantizer.vq.layers:  # the reference initialises with zeros; this is the scale of the latents
            torch.nn.init.normal_(layer._codebook.embed, std=0.05)
        return reference.eval(), ours(reference, name)

    return make


def ours(reference: Any, name: str) -> EncodecModel:
    """Our model with the weights of the reference, copied by name, as the checkpoint loader has its own tests."""
    model = EncodecModel(PRESETS[name]).eval()
    fold_weight_norm(model)
    theirs = reference.state_dict()
    state = {}
    for key in theirs:
        if key.startswith("quantizer") or key.endswith("weight_v"):
            continue
        value = theirs[key]
        if key.endswith("weight_g"):
            value = torch._weight_norm(theirs[key[:-1] + "v"], value, 0)
        target = (
            key.replace(".model.", ".layers.").replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        )
        target = target.replace(".conv.norm.", ".norm.").replace(".convtr.norm.", ".norm.")
        state[target.removesuffix("_g")] = value
    books = [layer._codebook.embed for layer in reference.quantizer.vq.layers]
    state["quantizer.codebooks"] = torch.stack(books)
    model.load_state_dict(state)
    return model
