"""Steps of the integer language model by a compiled function: the frequencies of PortableModel, without exception."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from earmark.codec.language_model import fast_steps
from earmark.codec.language_model.fast_steps import PlainSteps, Stepper
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_quantization import quantized

pytest.importorskip("numba")
packed_products = pytest.importorskip("earmark.codec.language_model.packed_products")
if not packed_products.is_supported():
    pytest.skip("the processor lacks the instructions", allow_module_level=True)

# Rows, columns and codewords that fill no block, and a context that ends within the segment.
CONFIG = LanguageModelConfig(3, context=5, codebook_size=50, dimension=24, heads=3, layers=2, feed_forward=42)
STEPS = 9


@pytest.fixture(scope="module")
def portable():
    torch.manual_seed(0)
    model = LanguageModel(CONFIG).eval().requires_grad_(False)
    for linear in model.linears:
        linear.weight.mul_(6)
    for name, parameter in model.named_parameters():
        if "norm" in name:  # makes all channels different
            parameter.add_(0.3 * torch.randn_like(parameter))
    return quantized(model)


@pytest.fixture(scope="module")
def stepper(portable):
    """One that uses the compiled function."""
    stepper = Stepper(portable, compiled=True)
    assert not isinstance(stepper.steps(1, 1, 1), PlainSteps)
    return stepper


def test_packed_products_are_exact_at_the_largest_values():
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (50, 203)).astype(np.int8)  # blocks of 16 rows, the last one with two
    weight[:2] = [[127], [-127]]
    for batch in (1, 3, 4, 13):
        inputs = np.zeros((batch, 204), np.uint8)
        inputs[:, :203] = rng.integers(0, 256, (batch, 203))
        inputs[0, :203] = 255
        sums = np.empty((batch, 64), np.int32)
        packed_products.multiply(packed_products.packed(weight), inputs, sums)
        expected = inputs[:, :203].astype(np.int64) @ weight.astype(np.int64).T
        assert np.array_equal(sums[:, :50], expected)


@pytest.mark.parametrize("batch", [1, 2, 13])
@pytest.mark.parametrize("codebooks", [1, 3])
def test_all_frequencies_equal_those_of_the_model(portable, stepper, batch, codebooks):
    steps = stepper.steps(batch, codebooks, STEPS), PlainSteps(portable, batch, STEPS)
    previous = np.zeros((batch, codebooks), np.int64)
    for step in range(STEPS):
        ours, expected = (one.cumulative(previous) for one in steps)
        assert ours.dtype == expected.dtype == np.int32
        assert np.array_equal(ours, expected)
        previous = np.random.default_rng(step).integers(0, CONFIG.codebook_size + 1, (batch, codebooks))


def test_segments_of_different_lengths_are_decoded_alike(portable):
    coder, rng = PortableModelCoder(portable, compiled=False), np.random.default_rng(0)
    codes = [rng.integers(0, CONFIG.codebook_size, (3, count)).astype(np.uint16) for count in (9, 1, 4)]
    payloads = [coder.encode(one, 10) for one in codes]
    for decoding in (coder, PortableModelCoder(portable, compiled=True)):
        assert all(map(np.array_equal, decoding.decode_all(payloads, 3, [9, 1, 4], 10), codes))


def test_a_compiled_function_that_gives_other_frequencies_is_not_used(portable, monkeypatch):
    from earmark.codec.language_model.compiled_step import CompiledSteps

    right = CompiledSteps.cumulative
    monkeypatch.setattr(CompiledSteps, "cumulative", lambda self, previous: right(self, previous) + 1)
    assert isinstance(Stepper(portable, compiled=True).steps(1, 3, 9), PlainSteps)


def test_numba_is_loaded_only_for_long_work(portable, monkeypatch):
    monkeypatch.setattr(fast_steps, "sys", type("sys", (), {"modules": {}}))
    stepper = Stepper(portable)
    assert isinstance(stepper.steps(32, 3, 150), PlainSteps)
    assert isinstance(stepper.steps(32, 3, 150), PlainSteps)
    assert not isinstance(stepper.steps(1, 3, 150), PlainSteps)


def test_without_numba_or_the_instructions_the_model_itself_steps(portable, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(packed_products, "is_supported", lambda: False)
        assert isinstance(Stepper(portable, compiled=True).steps(1, 3, 9), PlainSteps)
    monkeypatch.setattr(fast_steps.importlib.util, "find_spec", lambda name: None)
    assert isinstance(Stepper(portable, compiled=True).steps(1, 3, 9), PlainSteps)
