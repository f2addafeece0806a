"""Under bfloat16 the last layers compute in float32, and feature matching copies no features."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from earmark.codec.training.losses.terms import feature_matching

from .test_trainer_update import noise, trainer


def is_coarse(values):
    """Whether all values are numbers of bfloat16."""
    return torch.equal(values, values.bfloat16().to(values.dtype))


def test_decoded_audio_and_logits_are_finer_than_bfloat16():
    training = trainer("training.precision=bf16")
    with torch.autocast("cpu", torch.bfloat16):
        output = training.generator(noise(), 2)
        outputs = training.discriminators.of(0.6)(noise())
    assert output.decoded.dtype == torch.float32
    assert not is_coarse(output.decoded)
    assert all(each.logits.dtype == torch.float32 and not is_coarse(each.logits) for each in outputs)
    assert all(feature.dtype == torch.bfloat16 for each in outputs for feature in each.features)


def test_feature_matching_of_bfloat16_is_that_of_float32():
    """The features are the same numbers; only their differences are rounded, to 1 in 256."""
    features = [[[noise(samples=900).bfloat16() * scale for scale in (1, 3)]] for _ in range(2)]
    features[1][0][0] = features[1][0][0].flip(-1)
    wide = [[[feature.float() for feature in network] for network in side] for side in features]
    torch.testing.assert_close(feature_matching(*features), feature_matching(*wide), rtol=4e-3, atol=0)


class Conversions(TorchDispatchMode):
    """Counts the conversions of each of some tensors to another type."""

    def __init__(self, tensors):
        super().__init__()
        self.counts = {tensor.data_ptr(): 0 for tensor in tensors}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func._schema.name == "aten::_to_copy" and args[0].data_ptr() in self.counts:
            self.counts[args[0].data_ptr()] += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("parts", ["['encoder', 'quantizer', 'decoder']", "['quantizer']"])
def test_the_weights_of_an_lstm_are_converted_once_per_update(parts):
    """Two layers of two matrices, in the encoder and in the decoder; frozen or not, and not at each of 19 steps."""
    settings = ("training.precision=bf16", "model.seanet.lstm=2", "discriminators.kinds=[]")
    training = trainer(*settings, f"training.parts={parts}")
    matrices = [value for name, value in training.generator.named_parameters() if "lstm.weight" in name]
    assert len(matrices) == 2 * 2 * 2
    with Conversions(matrices) as conversions:
        training.update(noise())
    assert [*conversions.counts.values()] == [1] * 8
