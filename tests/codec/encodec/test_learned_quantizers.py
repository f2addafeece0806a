"""DiffQ and Gumbel models: the exported model equals the trained one, and its bitstream has the bits of its prior."""

from __future__ import annotations

import math
from io import BytesIO

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from earmark.baselines.systems import family_of, parse
from earmark.cli import cli
from earmark.codec import audio, ecdc
from earmark.codec.checkpoints import exports
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.checkpoints.config_json import config_to_json
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.encodec.learned_quantizers import frequencies_of
from earmark.codec.errors import UserError
from earmark.codec.language_model.files import config_for
from earmark.codec.language_model.prior_coder import PriorCoder, prior_coder
from earmark.codec.training import recipe_files
from earmark.codec.training.generator import Generator

SMALL = ("model.seanet.filters=2", "model.seanet.dimension=6", "model.seanet.lstm=0", "model.entries=16")


@pytest.fixture(scope="module", params=["diffq", "gumbel"])
def generator(request):
    """An untrained generator whose quantiser has statistics other than those it starts with."""
    torch.manual_seed(0)
    recipe = recipe_files.load(f"encodec_24khz_{request.param}", SMALL)
    made = Generator(recipe).eval()
    with torch.no_grad():
        if request.param == "diffq":
            made.quantizer.v.copy_(torch.tensor([-0.6, -0.35, -0.3, -0.2, -0.1, -0.05]))
            made.quantizer.mean.normal_(std=0.05)
            made.quantizer.deviation.uniform_(0.05, 0.2)
        else:
            made.quantizer.codebooks.mul_(10)
            made.quantizer.prior.normal_()
    return made


@pytest.fixture(scope="module")
def model_file(generator, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    checkpoints.save(generator.export(), path)
    return path


@pytest.fixture(scope="module")
def signal():
    rng = np.random.default_rng(0)
    return (0.2 * rng.standard_normal((1, 24000)) * np.hanning(24000)).astype(np.float32)


def test_the_exported_model_equals_the_trained_one(generator, model_file, signal):
    codebooks = generator.config.codebooks()
    with torch.no_grad():
        trained = generator(torch.from_numpy(signal)[None], codebooks)
    model = checkpoints.load(model_file)
    codes = model.encode(signal)
    assert np.array_equal(codes.array, trained.quantized.codes.numpy())
    np.testing.assert_allclose(model.decode(codes), trained.decoded.numpy(), atol=1e-5)


def test_the_bitstream_has_the_bits_of_the_prior(generator, model_file, signal):
    """The sum of -log2 p over all codes, to 0.1 % and the bytes of the last state."""
    system = parse(f"encodec_24khz@6:checkpoint={model_file}")
    codec = family_of(system).open(system, 24000, 1)
    encoded = codec.encode(signal)
    codes = torch.from_numpy(codec.model.encode(signal).array)
    bits = generator.quantizer.bits_per_step(codes) * codes.shape[-1]
    assert bits <= encoded.payload_bits <= 1.001 * bits + 16
    decoded = codec.decode(encoded)
    np.testing.assert_allclose(decoded, codec.model.decode(codec.model.encode(signal))[0], atol=1e-6)


def test_files(model_file, signal, tmp_path):
    """`earmark encode` and `decode` give what the model gives, from the weights alone."""
    audio.write(tmp_path / "a.wav", signal, 24000)
    run = CliRunner().invoke
    files = [str(tmp_path / name) for name in ("a.wav", "a.ecdc", "b.wav")]
    done = run(cli, ["encode", *files[:2], "--checkpoint", str(model_file)])
    assert done.exit_code == 0, done.output
    done = run(cli, ["decode", *files[1:], "--checkpoint", str(model_file)])
    assert done.exit_code == 0, done.output
    decoded = audio.read(tmp_path / "b.wav").samples
    model = checkpoints.load(model_file)
    stored = audio.read(tmp_path / "a.wav").samples
    np.testing.assert_allclose(decoded, model.decode(model.encode(stored))[0].clip(-1, 1), atol=2 / 32768)
    with (tmp_path / "a.ecdc").open("rb") as file:
        contents = ecdc.read(file, model.config, coder=prior_coder(model.quantizer))
    assert np.array_equal(contents.codes.array, model.encode(stored).array)


def test_frequencies_by_hand():
    """Probabilities 1/2, 1/4, 1/4: a signal of those shares takes 1.5 bits per code."""
    table = frequencies_of(torch.tensor([[0.5, 0.25, 0.25]]))[0].cumsum(0).int().tolist()
    codes = np.tile(np.array([0, 1, 0, 2], np.uint16), 200)[None]
    payload = PriorCoder([table]).encode(codes, 2)
    assert len(payload) == pytest.approx(1.5 * 800 / 8, abs=2)
    (decoded,) = PriorCoder([table]).decode(BytesIO(payload), 1, 800, 2)
    assert np.array_equal(decoded, codes)


def test_a_rare_codeword_can_still_be_coded():
    frequencies = frequencies_of(torch.tensor([[1.0, 0.0]]))
    assert frequencies.tolist() == [[2**20, 1]]
    table = [2**20, 2**20 + 1]
    payload = PriorCoder([table]).encode(np.ones((1, 3), np.uint16), 1)
    assert 8 * len(payload) >= 3 * math.log2(2**20 + 1) - 8


def test_what_has_no_place_for_the_quantiser_says_so(generator, tmp_path):
    model = generator.export()
    for write in (exports.to_huggingface, exports.to_encodec, exports.to_onnx):
        with pytest.raises(UserError, match="which Earmark alone has; use --format earmark"):
            write(model, tmp_path / "out")
    with pytest.raises(UserError, match="has a prior of its own; language models are for rvq"):
        config_for(model.config)


def test_a_damaged_quantiser_is_refused(generator, tmp_path):
    model = generator.export()
    name = "levels" if model.config.quantizer == "diffq" else "frequencies"
    getattr(model.quantizer, name).flatten()[0] = 0.5
    checkpoints.save(model, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"{name} of its quantiser must be whole numbers"):
        checkpoints.load(tmp_path / "model.safetensors")


def test_files_of_other_models_stay_as_earlier_versions_read_them():
    assert "quantizer" not in config_to_json(ENCODEC_24KHZ)
