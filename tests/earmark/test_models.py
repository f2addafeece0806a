"""`earmark.load_model`, `compress` and `decompress`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import earmark
from earmark.codec.encodec.fast.accelerate import FastEncoder
from earmark.codec.encodec.fast.onednn import supports
from earmark.codec.encodec.precision import cpu_has_bfloat16
from earmark.codec.errors import UserError


@pytest.fixture(scope="module")
def model():
    return earmark.load_model()


@pytest.fixture(scope="module")
def audio():
    return (0.2 * np.random.default_rng(0).standard_normal((1, 24000))).astype(np.float32)


@pytest.mark.skipif(not supports(torch.float32), reason="torch has no oneDNN here")
def test_a_loaded_model_has_the_accelerated_layers(model):
    assert isinstance(model.encoder, FastEncoder)


def test_bytes_with_the_language_model_hold_the_same_codes(model, audio):
    plain, short = earmark.compress(model, audio, 3), earmark.compress(model, audio, 3, lm=True)
    assert plain != short
    decoded = model.decode(model.encode(torch.from_numpy(audio), 3))
    for data in (plain, short):
        torch.testing.assert_close(earmark.decompress(model, data), decoded, rtol=0, atol=0)


def test_a_language_model_for_other_weights_is_refused(audio):
    other = earmark.load_model()
    other.quantizer.codebooks[0, 0] += 1
    with pytest.raises(UserError, match=r"trained on codes of the weights .*; this codec has the weights"):
        earmark.compress(other, audio, 3, lm=True)


def test_no_such_precision():
    with pytest.raises(UserError, match="precision='int8': choose float32, bfloat16 or auto"):
        earmark.load_model(precision="int8")


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_is_for_processors_that_have_instructions_for_it(monkeypatch, has):
    """A processor with AVX-512 alone emulates bfloat16 slower than float32: refused by name, and never chosen."""
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: has)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpu_has_bfloat16.cache_clear()
    try:
        chosen = earmark.load_model(precision="auto").encoder._fast._dtype
        assert chosen == (torch.bfloat16 if has else torch.float32)
        if not has:
            with pytest.raises(UserError, match="precision='bfloat16': cpu has no instructions for it; use float32"):
                earmark.load_model(precision="bfloat16")
    finally:
        cpu_has_bfloat16.cache_clear()
