"""Integer language model: close to the float model, and the same on every machine."""

from __future__ import annotations

import copy
import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.codec import ecdc
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.errors import UserError
from earmark.codec.language_model import exact_linear
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.exact_linear import ExactLinear
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig, shifted
from earmark.codec.language_model.portable_arithmetic import SHIFT, Norm, Projection, square_root
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_layout import FRACTION, MOST_STEPS
from earmark.codec.language_model.portable_model import Cache
from earmark.codec.language_model.portable_quantization import quantized

ROOT = Path(__file__).resolve().parents[3]
CONFIG = LanguageModelConfig(codebooks=3, context=20)


def random_model(config: LanguageModelConfig = CONFIG) -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(config).eval().requires_grad_(False)
    for linear in model.linears:
        linear.weight.mul_(6)  # about 4 bits per code, as confident as a trained model
    for name, parameter in model.named_parameters():
        if "norm" in name:  # makes all channels different
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def plain():
    return random_model()


@pytest.fixture(scope="module")
def portable(plain):
    return quantized(plain)


def random_codes(steps: int, codebooks: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1024, (codebooks, steps)).astype(np.uint16)


def previous(codes: np.ndarray) -> np.ndarray:
    """Input of the model that predicts `codes`."""
    return shifted(torch.from_numpy(codes.astype(np.int64))[None]).numpy()


# Exact building blocks


def test_a_linear_layer_is_exact_with_and_without_8_bit_instructions(monkeypatch):
    rng = np.random.default_rng(0)
    weight = rng.integers(-20, 21, (50, 800)).astype(np.int8)
    weight[:2] = [[40], [-40]]  # all of one sign, for the largest possible sums
    bias = rng.integers(-1000, 1000, 50).astype(np.int32)
    inputs = rng.integers(-127, 128, (7, 800)).astype(np.int8)
    inputs[:2] = [[127], [-127]]
    expected = inputs.astype(np.int64) @ weight.astype(np.int64).T + bias
    unchanged = np.full(50, 1 << SHIFT)  # the factor 1
    assert np.array_equal(Projection(weight, bias, None, unchanged)(inputs, limits=None), expected)
    monkeypatch.setattr(exact_linear, "has_exact_bytes", lambda rows, columns: False)
    assert np.array_equal(Projection(weight, bias, None, unchanged)(inputs, limits=None), expected)
    assert np.array_equal(Projection(weight, bias, None, None).sums(inputs, 20), expected[:, :20])


def test_8_bit_instructions_are_not_used_for_shapes_where_they_are_wrong(monkeypatch):
    multiply = torch._int_mm

    def wrong(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return multiply(a, b) + (b.shape == (604, 52))

    monkeypatch.setattr(torch, "_int_mm", wrong)
    weight, inputs = np.ones((52, 604), np.int8), np.ones((7, 604), np.int8)
    assert (ExactLinear(weight)(inputs) == 604).all()


def test_weights_that_float32_could_not_sum_are_refused():
    """800 * 127 * 127 is 12.9 million, above 2 ** 22."""
    with pytest.raises(ValueError, match="could not hold"):
        ExactLinear(np.full((1, 800), 127, np.int8))


def test_square_roots_are_exact_next_to_squares():
    roots = np.array([1, 2, 3, 1000, 2**20 + 1, 2**30 - 1, 3037000498], np.int64)
    assert np.array_equal(square_root(roots * roots), roots)
    assert np.array_equal(square_root(roots * roots + 2 * roots), roots)
    assert np.array_equal(square_root(roots[1:] ** 2 - 1), roots[1:] - 1)
    assert square_root(np.array([0])) == 1


def test_the_norm_equals_layer_norm():
    x = np.random.default_rng(0).integers(-(2**19), 2**19, (5, 200))
    expected = torch.nn.functional.layer_norm(torch.from_numpy(x).double(), (200,)).numpy()
    one = 1 << FRACTION
    gain, offset = np.full(200, one), np.full(200, 3 * one)
    np.testing.assert_allclose(Norm(gain, offset)(x) / one, expected + 3, atol=2 / one)


# The model


def test_frequencies_cost_less_than_1_percent_more_than_the_float_model(plain, portable):
    codes = random_codes(60)
    logits, _ = plain(torch.from_numpy(previous(codes)))
    p = torch.softmax(logits.double(), dim=1)[0].permute(2, 1, 0).numpy()
    frequencies = portable.frequencies(previous(codes), Cache(portable, 1, 60))[0]
    q = frequencies / frequencies.sum(axis=-1, keepdims=True)
    entropy, cross = -(p * np.log2(p)).sum(), -(p * np.log2(q)).sum()
    assert 3 < entropy / (60 * 3) < 7
    assert cross < 1.01 * entropy


def test_fewer_codebooks_have_the_frequencies_of_the_float_model_too(plain, portable):
    codes = random_codes(60, codebooks=1)
    logits, _ = plain(torch.from_numpy(previous(codes)))
    p = torch.softmax(logits.double(), dim=1)[0].permute(2, 1, 0).numpy()
    frequencies = portable.frequencies(previous(codes), Cache(portable, 1, 60))[0]
    q = frequencies / frequencies.sum(axis=-1, keepdims=True)
    assert q.shape == p.shape == (60, 1, 1024)
    assert -(p * np.log2(q)).sum() < 1.01 * -(p * np.log2(p)).sum()


def test_batches_and_single_steps_give_the_same_beyond_the_context(portable):
    codes = [random_codes(50, seed=seed) for seed in range(4)]
    inputs = np.concatenate([previous(one) for one in codes])
    together = portable.frequencies(inputs, Cache(portable, 4, 50))
    cache = Cache(portable, 4, 50)
    steps = [portable.frequencies(inputs[..., step : step + 1], cache) for step in range(50)]
    assert np.array_equal(np.concatenate(steps, axis=1), together)
    cache = Cache(portable, 1, 50)
    pieces = [portable.frequencies(inputs[2:3, :, part], cache) for part in (slice(0, 7), slice(7, 50))]
    assert np.array_equal(np.concatenate(pieces, axis=1), together[2:3])


@pytest.mark.parametrize("scale", [0.1, 0.02, 0])
def test_no_step_attends_to_later_ones_however_flat_the_attention(scale):
    model = random_model()
    for layer in model.transformer.layers:
        layer.self_attn.in_proj_weight[:400] *= scale  # queries and keys
        layer.self_attn.in_proj_bias[:400] *= scale
    coder = PortableModelCoder(quantized(model))
    codes = random_codes(40)
    [back] = coder.decode_all([coder.encode(codes, 10)], 3, [40], 10)
    assert np.array_equal(back, codes)


def test_fewer_codebooks_are_coded_by_the_same_model(portable):
    coder = PortableModelCoder(portable)
    codes = random_codes(10, codebooks=1)
    [back] = coder.decode(io.BytesIO(coder.encode(codes, 10)), 1, 10, 10)
    assert np.array_equal(back, codes)


def test_noise_of_one_unit_in_the_last_place_changes_nothing(plain, monkeypatch):
    monkeypatch.setattr(exact_linear, "has_exact_bytes", lambda rows, columns: False)
    codes = random_codes(40)
    model = quantized(plain)
    expected = model.frequencies(previous(codes), Cache(model, 1, 40))
    rng, whole, root = np.random.default_rng(0), exact_linear.integers, np.sqrt

    def noisy(values: np.ndarray) -> np.ndarray:
        return np.nextafter(values, rng.choice([-np.inf, np.inf], values.shape).astype(values.dtype))

    monkeypatch.setattr(exact_linear, "integers", lambda product: whole(noisy(product)))
    monkeypatch.setattr(np, "sqrt", lambda values: noisy(root(values)))
    assert np.array_equal(model.frequencies(previous(codes), Cache(model, 1, 40)), expected)
    cache = Cache(model, 1, 40)
    steps = [model.frequencies(previous(codes)[..., step : step + 1], cache) for step in range(40)]
    assert np.array_equal(np.concatenate(steps, axis=1), expected)


PROGRAM = """
import hashlib, sys, numpy, torch
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.language_model.files import load_portable
from earmark.codec.language_model.portable_coder import PortableModelCoder
torch.set_num_threads(int(sys.argv[2]))
coder = PortableModelCoder(load_portable(sys.argv[1], ENCODEC_24KHZ))
codes = numpy.random.default_rng(0).integers(0, 1024, (3, 30)).astype(numpy.uint16)
data = coder.encode(codes, 10)
[back] = coder.decode_all([data], 3, [30], 10)
assert (back == codes).all()
print(coder.identity, hashlib.sha256(data).hexdigest())
"""


@pytest.mark.parametrize(
    ("threads", "limits"),
    [
        (2, {}),
        (1, {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
             "OPENBLAS_CORETYPE": "Nehalem"}),
        (1, {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
             "OPENBLAS_CORETYPE": "Haswell"}),
    ],
)  # fmt: skip
def test_threads_and_instruction_sets_give_the_same_bytes(tmp_path, plain, portable, threads, limits):
    """The other process gets the float model and quantises it too."""
    language_model_files.save(plain, tmp_path / "float.safetensors")
    coder = PortableModelCoder(portable)
    expected = [portable.identity, hashlib.sha256(coder.encode(random_codes(30), 10)).hexdigest()]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "float.safetensors"), str(threads)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | limits, capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["linears.0.weight", "transformer.layers.0.linear1.bias"])
def test_weights_that_are_not_finite_are_one_line(name, value):
    model = random_model()
    model.state_dict()[name].view(-1)[0] = value
    with pytest.raises(UserError, match=f"{name} contains NaN or infinity"):
        quantized(model)


# The coder


@pytest.mark.parametrize("steps", [0, 1, 2, 127, 129])
def test_segments_of_any_length_come_back(portable, steps):
    coder = PortableModelCoder(portable)
    codes = random_codes(steps)
    data = coder.encode(codes, 10)
    [back] = coder.decode(io.BytesIO(data), 3, steps, 10)
    assert np.array_equal(back, codes)
    assert steps > 0 or data == b""


def test_segments_of_a_batch_may_differ_in_length(portable):
    coder = PortableModelCoder(portable)
    segments = [random_codes(steps, seed=steps) for steps in (5, 30, 1, 17)]
    back = coder.decode_all([coder.encode(codes, 10) for codes in segments], 3, [5, 30, 1, 17], 10)
    assert all(np.array_equal(one, other) for one, other in zip(back, segments, strict=True))


def test_too_many_codebooks_or_steps_are_one_line(portable):
    coder = PortableModelCoder(portable)
    with pytest.raises(UserError, match=f"it codes up to 3 codebooks and {MOST_STEPS} steps"):
        coder.encode(random_codes(4, codebooks=4), 10)
    with pytest.raises(UserError, match="segments of 1024 steps"):
        coder.decode_all([b""], 3, [1024], 10)


# In files


def coded_file(coder, config, codes, scale=None) -> bytes:
    sink = io.BytesIO()
    segments = tuple(Segment(torch.from_numpy(one.astype(np.int64))[None], scale) for one in codes)
    samples = 320 * codes[0].shape[1] if scale is None else 47520 * (len(codes) - 1) + 320 * codes[-1].shape[1]
    ecdc.write(sink, Codes(segments, samples), config, language_model=True, coder=coder)
    return sink.getvalue()


def test_a_damaged_chunk_is_reported_and_the_rest_decodes(portable):
    """Three chunks of 2 s or 150 steps; one byte of the second is inverted."""
    coder = PortableModelCoder(portable)
    codes = random_codes(450)
    data = bytearray(coded_file(coder, ENCODEC_24KHZ, [codes]))
    data[data.index(b"\xec\xdc", data.index(b"\xec\xdc") + 2) + 40] ^= 255
    contents = ecdc.read(io.BytesIO(bytes(data)), ENCODEC_24KHZ, coder=coder)
    assert [damage.chunks for damage in contents.damage if damage.chunks] == [(1, 2)]
    back = contents.codes.segments[0].codes[0].numpy()
    assert np.array_equal(back[:, :150], codes[:, :150])
    assert np.array_equal(back[:, 300:], codes[:, 300:])


def test_a_pipe_is_decoded_chunk_by_chunk_to_the_same_codes(portable):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    coder = PortableModelCoder(portable)
    codes = random_codes(310)
    data = coded_file(coder, ENCODEC_24KHZ, [codes])
    reader = ecdc.open_reader(Pipe(data), ENCODEC_24KHZ, coder=coder)
    assert np.array_equal(np.concatenate([part.codes for part in reader], axis=1), codes)


def test_segments_with_scales(portable):
    coder = PortableModelCoder(portable)
    codes = [random_codes(150, seed=1), random_codes(20, seed=2)]
    data = coded_file(coder, ENCODEC_48KHZ, codes, torch.tensor([0.5]))
    contents = ecdc.read(io.BytesIO(data), ENCODEC_48KHZ, coder=coder)
    assert [float(segment.scale) for segment in contents.codes.segments] == [0.5, 0.5]
    for segment, expected in zip(contents.codes.segments, codes, strict=True):
        assert np.array_equal(segment.codes[0].numpy(), expected)


def test_another_language_model_is_one_line(portable):
    data = coded_file(PortableModelCoder(portable), ENCODEC_24KHZ, [random_codes(10)])
    torch.manual_seed(1)
    other = PortableModelCoder(quantized(LanguageModel(CONFIG)))
    with pytest.raises(UserError, match=f"coded by the language model {portable.identity[:16]}, not"):
        ecdc.read(io.BytesIO(data), ENCODEC_24KHZ, coder=other)


# In model files


def test_integer_and_float_files_give_the_same_coder(tmp_path, plain, portable):
    language_model_files.save(portable, tmp_path / "integer.safetensors", trained="here")
    language_model_files.save(plain, tmp_path / "float.safetensors")
    torch.save(plain.state_dict(), tmp_path / "official.th")
    loaded = {
        name: language_model_files.load_portable(tmp_path / name, ENCODEC_24KHZ)
        for name in ("integer.safetensors", "float.safetensors")
    }
    assert {model.identity for model in loaded.values()} == {portable.identity}
    official = language_model_files.load_float(tmp_path / "official.th", ENCODEC_24KHZ)
    assert official.config == LanguageModelConfig(3, context=262)  # 3.5 s of 75 steps per second; not in the file
    assert language_model_files.load_float(tmp_path / "official.th", ENCODEC_48KHZ).config.context == 525


def test_the_identity_can_be_computed_independently(portable):
    expected = hashlib.sha256(
        b"codebooks=3\ncontext=20\nentries=1024\ndimension=200\nheads=8\nlayers=5\nfeed_forward=800\n"
    )
    for name in sorted(portable.tensors):
        tensor = portable.tensors[name]
        expected.update(f"{name} {tensor.dtype} {'x'.join(str(size) for size in tensor.shape)}\n".encode())
        expected.update(tensor.tobytes())
    assert portable.identity == expected.hexdigest()


@pytest.mark.parametrize("position", [-5, -100_000])
def test_a_damaged_model_file_is_one_line(tmp_path, portable, position):
    path = tmp_path / "integer.safetensors"
    language_model_files.save(portable, path)
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        language_model_files.load_portable(path, ENCODEC_24KHZ)


def test_a_file_of_weights_that_are_not_finite_is_one_line(tmp_path):
    model = random_model()
    model.linears[1].bias[7] = float("nan")
    language_model_files.save(model, tmp_path / "float.safetensors")
    with pytest.raises(UserError, match=r"float\.safetensors: linears\.1\.bias contains NaN or infinity"):
        language_model_files.load_float(tmp_path / "float.safetensors", ENCODEC_24KHZ)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("head.table", lambda table: table * 0, "head.table holds values beyond 1 to 1048576"),
        ("head.weight", None, "no head.weight"),
        ("positions", lambda table: table[:5], "positions is not of the type or shape"),
        ("gelu.table", lambda table: table.astype(np.int64), "gelu.table is not of the type or shape"),
        ("layers.3.softmax.shift", lambda shift: shift + 23, "layers.3.softmax.shift holds values beyond 0 to 22"),
        ("layers.2.softmax.table", lambda table: table * 0, "layers.2.softmax.table begins with 0"),
        ("layers.1.norm2.gain", lambda gain: gain + (1 << 20), "layers.2.norm1 sums squares beyond 64 bits"),
    ],
)
def test_a_model_file_made_by_hand_is_one_line(tmp_path, name, change, says):
    """Its identity matches its tensors, so only the checks of the tensors can refuse it."""
    forged = quantized(random_model())
    value = forged.tensors.pop(name)
    if change is not None:
        forged.tensors[name] = np.ascontiguousarray(change(value))
    language_model_files.save(forged, tmp_path / "forged.safetensors")
    with pytest.raises(UserError, match=f"forged.safetensors: damaged: {says}"):
        language_model_files.load_portable(tmp_path / "forged.safetensors", ENCODEC_24KHZ)


def test_a_shape_that_does_not_match_the_tensors_is_one_line(tmp_path, plain, portable):
    for model, says in ((portable, "damaged: no layers.5.attend.weight"), (plain, "71 tensors instead of 786443")):
        forged = copy.copy(model)
        forged.config = replace(CONFIG, layers=65536)
        language_model_files.save(forged, tmp_path / "forged.safetensors")
        with pytest.raises(UserError, match=says):
            language_model_files.load_portable(tmp_path / "forged.safetensors", ENCODEC_24KHZ)


@pytest.mark.parametrize(
    ("dimension", "heads", "says"), [(264, 1, "heads of 264 channels"), (512, 8, "sums squares beyond 64 bits")]
)
def test_a_model_too_wide_for_exact_sums_is_one_line(dimension, heads, says):
    """264 * 127 ** 2 is above 2 ** 22; 512 ** 3 * (2 ** 19) ** 2 is 2 ** 65."""
    shape = LanguageModelConfig(1, 5, 16, dimension, heads, layers=1, feed_forward=8)
    with pytest.raises(UserError, match=says):
        quantized(LanguageModel(shape))


def test_gains_too_large_for_64_bits_are_one_line():
    model = random_model()
    model.transformer.layers[4].norm1.weight[3] = 1e30
    with pytest.raises(UserError, match=r"layers\.4\.norm2 sums squares beyond 64 bits"):
        quantized(model)


def test_an_integer_file_cannot_make_public_files(tmp_path, portable):
    language_model_files.save(portable, tmp_path / "integer.safetensors")
    with pytest.raises(UserError, match="--container reference"):
        language_model_files.load_float(tmp_path / "integer.safetensors", ENCODEC_24KHZ)


def test_other_files_are_one_line(tmp_path):
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "other.th")
    with pytest.raises(UserError, match="holds no language model"):
        language_model_files.load_portable(tmp_path / "other.th", ENCODEC_24KHZ)
