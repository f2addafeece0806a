"""Accelerated layers against the plain ones, which test_model.py compares with the public reference."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from earmark.codec.checkpoints.identities import identity
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, EncodecConfig, SEANetConfig
from earmark.codec.encodec.fast.accelerate import FastDecoder, FastEncoder, accelerate
from earmark.codec.encodec.fast.layers import FastConvState
from earmark.codec.encodec.fast.lstm import FastLSTM
from earmark.codec.encodec.fast.onednn import supports
from earmark.codec.encodec.lstm import LSTM
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.seanet import State
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError

pytestmark = pytest.mark.skipif(not supports(torch.float32), reason="torch has no oneDNN here")
bfloat16 = pytest.mark.skipif(not supports(torch.bfloat16), reason="this CPU has no bfloat16")

SMALL = SEANetConfig(filters=8, dimension=12, ratios=(3, 2), lstm=1)
SHAPES = {
    "small": SMALL,
    "three residual units, dilated": replace(SMALL, residual_layers=3),
    "wide dilations": replace(SMALL, residual_layers=2, dilation_base=4),
    "identity as skip": replace(SMALL, true_skip=True),
    "no LSTM": replace(SMALL, lstm=0),
    "two LSTM layers": replace(SMALL, lstm=2),
    "narrow branch": replace(SMALL, compress=4),
    "even kernels": replace(SMALL, kernel_size=4, last_kernel_size=6, residual_kernel_size=2),
    "tanh": replace(SMALL, tanh=True),
    "padding with zeros": replace(SMALL, pad_mode="constant"),
    "a ratio of one": replace(SMALL, ratios=(4, 1, 2)),
    "layer norm": replace(SMALL, norm="layer_norm"),
    "no norm": replace(SMALL, norm="none"),
    "stereo, non-causal": replace(SMALL, channels=2, causal=False, norm="time_group_norm"),
    "non-causal, odd ratios": replace(SMALL, causal=False, norm="time_group_norm", ratios=(5, 3), residual_layers=2),
    "non-causal, weight norm": replace(SMALL, causal=False),
    "non-causal, padding with zeros": replace(SMALL, causal=False, pad_mode="constant"),
    "non-causal, identity as skip": replace(SMALL, causal=False, norm="time_group_norm", true_skip=True),
    "Table A.3, half the channels": SEANetConfig(filters=16, lstm=0),
}


def model_of(shape: SEANetConfig, seed: int = 0) -> EncodecModel:
    """An untrained model whose biases, norms and codebooks are not trivial."""
    torch.manual_seed(seed)
    segment = None if shape.causal else 1.0
    config = EncodecConfig(
        "test", 1000 * shape.hop, (10.0, 20.0), shape, codebook_size=1024, segment=segment, normalize=not shape.causal
    )
    model = EncodecModel(config).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim == 1:
            parameter.add_(0.2 * torch.randn_like(parameter))
    nn.init.normal_(model.quantizer.codebooks, std=0.1)
    return model


def accelerated(model: EncodecModel, dtype: torch.dtype = torch.float32) -> EncodecModel:
    fast = copy.deepcopy(model)
    accelerate(fast, dtype)
    return fast


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def snr(expected: Tensor, actual: Tensor) -> float:
    """Signal-to-noise ratio in dB."""
    return float(10 * torch.log10(expected.square().sum() / (expected - actual).square().sum()))


@pytest.fixture(scope="module", params=["few products by torch", "all by oneDNN"])
def route(request: pytest.FixtureRequest) -> Iterator[None]:
    """Way in which the layers compute; without it, the small shapes here would never use oneDNN."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "all by oneDNN":
            patch.setattr("earmark.codec.encodec.fast.onednn._FEW_PRODUCTS", 0)
            patch.setattr("earmark.codec.encodec.fast.onednn._FEW_VALUES", 0)
        yield


@pytest.fixture(scope="module", params=SHAPES)
def plain_and_fast(request: pytest.FixtureRequest, route: None) -> tuple[EncodecModel, EncodecModel]:
    model = model_of(SHAPES[request.param])
    return model, accelerated(model)


@pytest.mark.parametrize("steps", [1, 7, 150])
@torch.inference_mode()
def test_encoder_of_any_length_equals_the_plain_one(plain_and_fast, steps):
    """Lengths up to a tile, 150 steps, and one sample fewer or more."""
    plain, fast = plain_and_fast
    for samples in {max(1, steps * plain.config.seanet.hop + odd) for odd in (-1, 0, 1)}:
        audio = noise(1, plain.config.channels, samples)
        torch.testing.assert_close(fast.encoder(audio), plain.encoder(audio), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 150, 151])
@torch.inference_mode()
def test_decoder_of_any_length_equals_the_plain_one(plain_and_fast, steps):
    plain, fast = plain_and_fast
    latent = noise(1, plain.config.seanet.dimension, steps)
    torch.testing.assert_close(fast.decoder(latent), plain.decoder(latent), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 6, 7, 8, 13, 23])
@torch.inference_mode()
def test_few_samples(plain_and_fast, samples):
    """Signals shorter than the reflected padding of some layer."""
    plain, fast = plain_and_fast
    audio = noise(1, plain.config.channels, samples)
    torch.testing.assert_close(fast.encoder(audio), plain.encoder(audio), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_batch(plain_and_fast):
    """Each signal of a batch gives the same result as alone and as with the plain layers."""
    plain, fast = plain_and_fast
    audio = noise(3, plain.config.channels, 160 * plain.config.seanet.hop + 1)
    latent = fast.encoder(audio)
    torch.testing.assert_close(latent, plain.encoder(audio), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(latent[1:2], fast.encoder(audio[1:2]), rtol=1e-4, atol=1e-5)
    decoded = fast.decoder(latent)
    torch.testing.assert_close(decoded, plain.decoder(latent), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(decoded[1:2], fast.decoder(latent[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("chunk", [1, 6, 50, 1000])
@pytest.mark.parametrize("shape", [name for name, shape in SHAPES.items() if shape.causal and shape.filters == 8])
@pytest.mark.usefixtures("route")
@torch.inference_mode()
def test_stepping_equals_the_whole_signal_of_the_plain_layers(shape, chunk):
    plain = model_of(SHAPES[shape])
    fast = accelerated(plain)
    assert isinstance(fast.encoder, FastEncoder)
    assert isinstance(fast.decoder, FastDecoder)
    audio = noise(2, 1, 121)
    latent = plain.encoder(audio)
    for network, signal, expected in (
        (fast.encoder, audio, latent),
        (fast.decoder, latent, plain.decoder(latent)),
    ):
        state: State = {}
        nothing = signal[..., :0]
        pieces = list(signal.split(chunk, dim=-1))
        pieces.insert(len(pieces) // 2, nothing)
        parts = [network.step(piece, state, last=False) for piece in [nothing, *pieces]]
        parts.append(network.step(nothing, state, last=True))
        torch.testing.assert_close(torch.cat(parts, dim=-1), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_outputs_come_as_early_as_from_the_plain_layers():
    plain = model_of(SMALL)
    fast = accelerated(plain)
    states: tuple[State, State] = {}, {}
    for part in noise(1, 1, 100).split(7, dim=-1):
        outputs = [m.encoder.step(part, s, last=False) for m, s in zip((plain, fast), states, strict=True)]
        assert outputs[0].shape == outputs[1].shape


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_48khz"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_public_reference_with_random_weights(pair, name, seed):
    """Identical codes, and audio within 1e-4 of the public reference, at 6 and 24 kbps."""
    reference, model = pair(name, seed)
    accelerate(model)
    audio = 0.3 * noise(1, model.config.channels, 5 * model.config.sample_rate // 4 + 77, seed=seed)
    for kbps in (6.0, 24.0):
        reference.set_target_bandwidth(kbps)
        with torch.inference_mode():
            their_segments = reference.encode(audio)
            expected = reference.decode(their_segments)[..., : audio.shape[-1]]
        codes = model.encode(audio, kbps)
        for ours, (theirs, _) in zip(codes.segments, their_segments, strict=True):
            # Rounding may decide a near tie, which also changes the following codebooks of the same step.
            assert (ours.codes != theirs).any(dim=1).sum() <= 1
        theirs = tuple(replace(s, codes=f[0]) for s, f in zip(codes.segments, their_segments, strict=True))
        torch.testing.assert_close(model.decode(replace(codes, segments=theirs)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("steps", [1, 50, 700])
def test_quantizer_finds_the_nearest_codewords(steps):
    """Compares with distances in float64 to all codewords."""
    model = accelerated(model_of(SMALL))
    with torch.inference_mode():
        latent = noise(2, 12, steps)
        codes = model.quantizer.encode(latent, 2)
        residual = latent.transpose(1, 2).double()
        for k in range(2):
            book = model.quantizer.codebooks[k].double()
            distances = torch.cdist(residual, book, compute_mode="donot_use_mm_for_euclid_dist").square()
            chosen = distances.gather(2, codes[:, k, :, None])[..., 0]
            torch.testing.assert_close(chosen, distances.min(dim=2).values, rtol=0, atol=1e-5)
            residual = residual - book[codes[:, k]]


def test_streaming_classes_use_the_fast_layers_and_agree():
    plain = model_of(SMALL)
    fast = accelerated(plain)
    audio = noise(1, 1, 500)
    whole = plain.encode(audio, 10.0)
    encoder = StreamingEncoder(fast, 10.0)
    segments = [segment for part in audio.split(33, dim=-1) for segment in encoder.push(part)] + encoder.finish()
    codes = torch.cat([segment.codes for segment in segments], dim=-1)
    assert torch.equal(codes, whole.segments[0].codes)
    decoder = StreamingDecoder(fast, 500)
    decoded = [decoder.push(segment) for segment in segments] + [decoder.finish()]
    torch.testing.assert_close(torch.cat(decoded, dim=-1), plain.decode(whole), rtol=1e-4, atol=1e-5)


def test_number_of_threads_does_not_change_the_result():
    model = accelerated(model_of(SEANetConfig(filters=16)))
    audio = noise(1, 1, 9000)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            codes = model.encode(audio, 10.0)
            results.append((codes.segments[0].codes, model.decode(codes)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-5)


def test_packed_weights_work_for_any_length_and_batch():
    torch.manual_seed(0)
    plain = LSTM(24, 2).requires_grad_(False)
    fast = FastLSTM(plain, torch.float32)
    for batch, steps in ((1, 1), (5, 3), (1, 3000), (40, 2)):
        x = noise(batch, 24, steps)
        y = fast(x.transpose(1, 2), fast.new_state(), last=True)
        torch.testing.assert_close(y.transpose(1, 2), plain(x), rtol=1e-4, atol=1e-6)


def test_segments_coded_together_are_those_coded_alone():
    """Twelve whole segments, in batches of eight and four, and a shorter last one; for one signal and for two."""
    plain = model_of(SHAPES["stereo, non-causal"])
    fast = accelerated(plain)
    assert fast.segments_at_once > plain.segments_at_once == 1
    stride = plain.config.stride_samples
    for batch in (1, 2):
        audio = noise(batch, 2, 12 * stride + stride // 2)
        alone, together = plain.encode(audio, 20.0), fast.encode(audio, 20.0)
        assert len(alone.segments) == len(together.segments) == 13
        same = [(a.codes == b.codes).float().mean() for a, b in zip(alone.segments, together.segments, strict=True)]
        assert min(same) > 0.999
        torch.testing.assert_close(fast.decode(alone), plain.decode(alone), rtol=1e-4, atol=1e-5)


def test_threads_share_a_model():
    """Four threads, each with its own stream, give the same codes as one."""
    fast = accelerated(model_of(SMALL))
    audio = noise(4, 1, 600)

    def stream(signal: Tensor) -> Tensor:
        encoder = StreamingEncoder(fast, 10.0)
        segments = [s for part in signal.split(30, dim=-1) for s in encoder.push(part)] + encoder.finish()
        return torch.cat([segment.codes for segment in segments], dim=-1)

    with ThreadPoolExecutor(4) as pool:
        together = torch.cat(list(pool.map(stream, audio.split(1))))
    assert torch.equal(together, torch.cat([stream(signal) for signal in audio.split(1)]))


def test_parameters_names_and_identity_do_not_change():
    plain = model_of(SMALL)
    fast = accelerated(plain)
    for (name, tensor), (ours, same) in zip(plain.state_dict().items(), fast.state_dict().items(), strict=True):
        assert name == ours
        assert torch.equal(tensor, same)
    assert identity(fast) == identity(plain)
    assert not any(module.training for module in fast.modules())


def test_gradients_flow_through_the_plain_layers():
    fast = accelerated(model_of(SMALL)).requires_grad_(True)
    fast.decoder(fast.encoder(noise(1, 1, 100))).square().sum().backward()
    assert all(parameter.grad is not None for parameter in fast.parameters())


def test_float64_uses_the_plain_layers():
    model = model_of(SMALL)
    fast, expected = accelerated(model).double(), model.double()
    audio = noise(1, 1, 100).double()
    with torch.inference_mode():
        assert torch.equal(fast.encoder(audio), expected.encoder(audio))


def test_without_onednn_the_model_does_not_change(monkeypatch):
    monkeypatch.setattr("earmark.codec.encodec.fast.accelerate.supports", lambda dtype: False)
    model = model_of(SMALL)
    encoder = model.encoder
    accelerate(model)
    assert model.encoder is encoder
    with pytest.raises(UserError, match=r"bfloat16: .* use float32"):
        accelerate(model, torch.bfloat16)


def test_only_two_precisions():
    with pytest.raises(ValueError, match=r"float16: .* float32 or bfloat16"):
        accelerate(model_of(SMALL), torch.float16)


def test_copies_and_pickles_are_accelerated_too():
    model = accelerated(model_of(replace(SMALL, norm="none")))  # torch refuses to pickle its weight norm
    audio = noise(1, 1, 600)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin.encoder, FastEncoder)
        assert twin.encoder.layers is not model.encoder.layers
        assert torch.equal(twin.encode(audio).segments[0].codes, model.encode(audio).segments[0].codes)


def test_accelerating_again_uses_the_new_weights():
    fast, other = accelerated(model_of(SMALL)), model_of(SMALL, seed=1)
    audio = noise(1, 1, 600)
    fast.load_state_dict(other.state_dict())
    accelerate(fast)
    with torch.inference_mode():
        torch.testing.assert_close(fast.encoder(audio), other.encoder(audio), rtol=1e-4, atol=1e-5)
    assert torch.equal(fast.encode(audio).segments[0].codes, other.encode(audio).segments[0].codes)


@bfloat16
@pytest.mark.parametrize("config", [ENCODEC_24KHZ, ENCODEC_48KHZ], ids=lambda config: config.name)
@torch.inference_mode()
def test_bfloat16_is_close(config):
    """A mantissa of 8 bits causes a relative error of at most 2^-9, or -54 dB, in each rounded layer."""
    torch.manual_seed(0)
    plain = EncodecModel(config).eval().requires_grad_(False)
    fast = accelerated(plain, torch.bfloat16)
    audio = 0.3 * noise(2, config.channels, config.sample_rate)
    latent = plain.encoder(audio)
    assert snr(latent, fast.encoder(audio)) > 30
    assert snr(plain.decoder(latent), fast.decoder(latent)) > 30
    assert fast.encoder(audio).dtype == fast.decoder(latent).dtype == torch.float32


@bfloat16
@torch.inference_mode()
def test_bfloat16_in_parts_equals_the_whole_signal():
    fast = accelerated(model_of(SMALL), torch.bfloat16)
    audio = noise(1, 1, 2000)
    state: State = {}
    parts = [fast.encoder.step(part, state, last=part.shape[-1] < 70) for part in audio.split(70, dim=-1)]
    assert snr(fast.encoder(audio), torch.cat(parts, dim=-1)) > 40


def test_segments_coded_in_a_batch_keep_their_own_scale():
    model = accelerated(model_of(SHAPES["stereo, non-causal"]))
    second = model.config.sample_rate
    loudness = torch.tensor([1.0, 0.01, 0.3, 0.001]).repeat_interleave(second)
    audio = loudness * noise(1, 2, 4 * second)
    together = model.encode(audio, 10.0)
    assert model.segments_at_once > 1
    model.segments_at_once = 1
    alone = model.encode(audio, 10.0)
    scales = [torch.cat([segment.scale for segment in codes.segments]) for codes in (together, alone)]
    torch.testing.assert_close(*scales)
    assert scales[0].max() > 100 * scales[0].min()


def test_the_state_of_a_stream_is_small():
    """After a long part, the state holds a few steps per layer and not the part."""
    model = accelerated(model_of(SMALL))
    encoder = StreamingEncoder(model, 10.0)
    encoder.push(noise(1, 1, 100_000))
    convs = [state for state in encoder._state.values() if isinstance(state, FastConvState)]
    assert convs
    assert sum(state.pending.untyped_storage().nbytes() for state in convs) < 100_000


def test_the_command_asks_torch_for_huge_pages():
    program = (
        "import os, sys, earmark.cli\n"
        "sys.argv = ['earmark', '--version']\n"
        "try: earmark.cli.main()\n"
        "finally: print(os.environ['THP_MEM_ALLOC_ENABLE'])"
    )
    environment = {name: value for name, value in os.environ.items() if name != "THP_MEM_ALLOC_ENABLE"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1"
