"""A float model restored from an integer one predicts the same."""

from __future__ import annotations

import pytest
import torch

from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig, shifted
from earmark.codec.language_model.portable_quantization import quantized
from earmark.codec.language_model.restored import restored

CONFIG = LanguageModelConfig(3, 20, codebook_size=16, dimension=24, heads=2, layers=2, feed_forward=48)


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(CONFIG).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if "norm" in name:  # makes all channels different
            parameter.add_(0.3 * torch.randn_like(parameter))
        elif parameter.dim() > 1:
            parameter.mul_(2)  # attention and predictions far from uniform
    return model


def logits(model: LanguageModel) -> torch.Tensor:
    """Log probabilities of every codeword, [B, codewords, codebooks, T], for random codes."""
    codes = torch.randint(0, CONFIG.codebook_size, (2, 3, 60), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(shifted(codes))[0].log_softmax(1)


def test_the_predictions_are_those_of_the_model_that_was_quantised(model: LanguageModel):
    """Weights of 8 bits err by up to 1/254 of the largest in a row, a hundredth of the spread of the predictions."""
    expected, actual = logits(model), logits(restored(quantized(model)))
    assert (actual - expected).square().mean().sqrt() < 0.03 * expected.std()


def test_quantising_again_changes_nothing_that_matters(model: LanguageModel):
    """The integers are nearly the same, since their float values lie on the grid."""
    once = quantized(model)
    twice = quantized(restored(once))
    for name, value in once.tensors.items():
        if name.endswith(".weight"):
            difference = abs(twice.tensors[name].astype(int) - value)
            assert (difference > 1).mean() < 0.01, name
