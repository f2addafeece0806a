"""Language model and public coder against the reference, with random weights."""

from __future__ import annotations

import importlib
import io

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, PRESETS
from earmark.codec.errors import UserError
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig, shifted
from earmark.codec.language_model.public_coder import PublicModelCoder

CONTEXT = 12  # steps; short, so that small test signals exceed it


@pytest.fixture(scope="module")
def models(reference_package):
    """The reference's language model for 4 codebooks, and ours with the same weights."""
    torch.manual_seed(0)
    theirs = reference_package.model.LMModel(4, 1024, dim=200, num_layers=5, past_context=CONTEXT).eval()
    for layer in theirs.linears:  # makes it confident, so that some codes are likely and others unlikely
        layer.weight.data.mul_(8)
    ours = LanguageModel(LanguageModelConfig(4, CONTEXT)).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours.requires_grad_(False)


def random_codes(codebooks: int, steps: int) -> torch.Tensor:
    return torch.randint(0, 1024, (1, codebooks, steps), generator=torch.Generator().manual_seed(steps))


@pytest.mark.parametrize("codebooks", [1, 4])
@torch.no_grad()
def test_probabilities_equal_those_of_the_reference(models, codebooks):
    theirs, ours = models
    previous = shifted(random_codes(codebooks, 30))
    expected, _, _ = theirs(previous)
    logits, _ = ours(previous)
    assert torch.equal(torch.softmax(logits, dim=1), expected)


@torch.no_grad()
def test_parts_equal_the_whole_segment_beyond_the_context(models):
    _, ours = models
    previous = shifted(random_codes(4, 3 * CONTEXT))
    whole, _ = ours(previous)
    past, steps = None, []
    for part in previous.split([1, 5, 20, 10], dim=-1):
        logits, past = ours(part, past)
        steps.append(logits)
    torch.testing.assert_close(torch.cat(steps, dim=-1), whole, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_only_the_context_matters(models):
    """One layer looks back 12 steps and five layers 60; earlier steps have no influence."""
    _, ours = models
    near = random_codes(4, 90)
    far = near.clone()
    far[..., :20] = 0
    outputs = [ours(shifted(codes))[0][..., -1] for codes in (near, far)]
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-5)


def compressed_by_reference(theirs, codes, model_name, samples) -> bytes:
    """Output of the reference's compress() for given codes instead of audio."""

    class Fixed(torch.nn.Module):
        name = model_name

        def get_lm_model(self):
            return theirs

        def encode(self, wav):
            return codes

    fo = io.BytesIO()
    compress = importlib.import_module("encodec.compress")
    compress.compress_to_file(Fixed(), torch.zeros(PRESETS[model_name].channels, samples), fo)
    return fo.getvalue()


@pytest.mark.parametrize(("codebooks", "steps"), [(2, 1), (2, 40), (4, 40)])
def test_files_equal_those_of_the_reference(models, codebooks, steps):
    theirs, ours = models
    codes = random_codes(codebooks, steps)
    coder = PublicModelCoder(ours)
    expected = compressed_by_reference(theirs, [(codes, None)], "encodec_24khz", 320 * steps)
    sink = io.BytesIO()
    writer = ecdc.open_writer(
        sink, ENCODEC_24KHZ, codebooks, 320 * steps, format="reference", language_model=True, coder=coder
    )
    writer.write(codes[0].numpy())
    writer.close()
    assert sink.getvalue() == expected
    contents = ecdc.read(io.BytesIO(expected), coder=coder)
    assert torch.equal(contents.codes.segments[0].codes, codes)


def test_coder_and_model_start_again_in_every_segment(models):
    theirs, ours = models
    samples = 100_000  # three segments, of which the last is shorter
    their_segments = [
        (random_codes(2, -(-(end - start) // 320)), torch.tensor([[0.5]]))
        for start, end in ENCODEC_48KHZ.segments(samples)
    ]
    expected = compressed_by_reference(theirs, their_segments, "encodec_48khz", samples)
    contents = ecdc.read(io.BytesIO(expected), coder=PublicModelCoder(ours))
    assert all(
        torch.equal(segment.codes, codes)
        for segment, (codes, _) in zip(contents.codes.segments, their_segments, strict=True)
    )  # fmt: skip


def test_no_byte_after_a_segment_is_read(models):
    coder = PublicModelCoder(models[1])
    codes = random_codes(2, 7)[0].numpy().astype(np.uint16)
    source = io.BytesIO(coder.encode(codes, 10) + b"next")
    assert np.array_equal(np.concatenate(list(coder.decode(source, 2, 7, 10)), axis=1), codes)
    assert source.read() == b"next"


def test_a_truncated_segment_raises_eof_error(models):
    coder = PublicModelCoder(models[1])
    data = coder.encode(random_codes(2, 7)[0].numpy().astype(np.uint16), 10)
    with pytest.raises(EOFError):
        list(coder.decode(io.BytesIO(data[:-3]), 2, 7, 10))


def test_numbers_that_no_encoder_writes_are_reported(models):
    """A number of ones lies above the share of the last codeword, since the frequencies sum to less than 2 ** 24."""
    coder = PublicModelCoder(models[1])
    with pytest.raises(UserError, match="floating point rounds otherwise"):
        list(coder.decode(io.BytesIO(bytes([255]) * 100), 2, 7, 10))


def test_more_codebooks_than_the_model_has_are_one_line():
    coder = PublicModelCoder(LanguageModel(LanguageModelConfig(2, CONTEXT, dimension=8, heads=2, layers=1)).eval())
    with pytest.raises(UserError, match="3 codebooks requested; it codes up to 2"):
        coder.encode(np.zeros((3, 4), np.uint16), 10)
    with pytest.raises(UserError, match="3 codebooks requested; it codes up to 2"):
        list(coder.decode(io.BytesIO(bytes(20)), 3, 4, 10))
