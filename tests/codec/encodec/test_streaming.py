"""Streaming gives the results of the whole signal, for single layers and for whole models."""

from __future__ import annotations

import pytest
import torch

from earmark.codec.encodec.codes import Segment
from earmark.codec.encodec.config import PRESETS, SEANetConfig
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.layers import Conv1d, ConvState, ConvTranspose1d, ConvTransposeState
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.seanet import SEANetDecoder, SEANetEncoder
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError

CHUNKS = [[320] * 20, [640, 320, 5440], [6400], [1, 2, 3, 7, 313, 6074], [6399, 1]]


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(7, 1, 1), (3, 1, 1), (3, 1, 4), (4, 2, 1), (16, 8, 1), (1, 1, 1)]
)
def test_convolution(chunks, kernel, stride, dilation):
    conv = Conv1d(2, 3, kernel, stride, dilation, causal=True).eval()
    x = torch.randn(2, 2, sum(chunks) + 3)  # the last window is incomplete
    state, outputs = ConvState(), []
    parts = [*x.split([*chunks, 3], dim=-1)]
    with torch.no_grad():
        for index, part in enumerate(parts):
            outputs.append(conv.step(part, state, last=index == len(parts) - 1))
        torch.testing.assert_close(torch.cat(outputs, -1), conv(x))


@pytest.mark.parametrize("chunks", [[1] * 9, [2, 3, 4], [9]])
def test_transposed_convolution(chunks):
    conv = ConvTranspose1d(2, 3, 10, 5, causal=True).eval()
    x = torch.randn(2, 2, 9)
    state = ConvTransposeState()
    with torch.no_grad():
        outputs = [conv.step(part, state, last=False) for part in x.split(chunks, dim=-1)]
        torch.testing.assert_close(torch.cat(outputs, -1), conv(x))


SMALL = SEANetConfig(filters=4, dimension=8, ratios=(4, 2))
CONFIGS = [SMALL, SEANetConfig(filters=4, dimension=8, ratios=(4, 2), residual_layers=3, true_skip=True, lstm=0),
           SEANetConfig(filters=4, dimension=8, ratios=(5, 3), norm="layer_norm", tanh=True)]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("samples", [1, 5, 8, 9, 64, 1001])
@pytest.mark.parametrize("piece", [1, 8, 50, 1001])
def test_encoder_and_decoder(config, samples, piece):
    torch.manual_seed(0)
    encoder, decoder = SEANetEncoder(config).eval(), SEANetDecoder(config).eval()
    audio = torch.randn(1, 1, samples)
    with torch.no_grad():
        for network, x in ((encoder, audio), (decoder, encoder(audio))):
            parts = x.split(piece, dim=-1)
            state: dict = {}
            outputs = [network.step(part, state, index == len(parts) - 1) for index, part in enumerate(parts)]
            torch.testing.assert_close(torch.cat(outputs, -1), network(x), atol=1e-5, rtol=1e-4)


def random_model(name: str) -> EncodecModel:
    torch.manual_seed(0)
    model = EncodecModel(PRESETS[name]).eval()
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.05)
    return model


def join(segments: list[Segment]) -> torch.Tensor:
    return torch.cat([segment.codes for segment in segments], dim=-1)


@pytest.mark.parametrize("piece", [320, 1000, 24000])
def test_a_stream_without_segments_gives_the_whole_signals_codes_and_samples(piece):
    model = random_model("encodec_24khz")
    audio = 0.1 * torch.randn(1, 1, 15000)
    whole = model.encode(audio, 6.0)
    encoder = StreamingEncoder(model, 6.0)
    segments = [segment for part in audio.split(piece, -1) for segment in encoder.push(part)] + encoder.finish()
    codes = join(segments)
    assert codes.shape == whole.segments[0].codes.shape
    assert (codes == whole.segments[0].codes).float().mean() > 0.999  # apart from ties
    decoder = StreamingDecoder(model, samples=15000)
    streamed = [decoder.push(Segment(step, None)) for step in whole.segments[0].codes.split(3, dim=-1)]
    torch.testing.assert_close(torch.cat([*streamed, decoder.finish()], -1), model.decode(whole), atol=1e-5, rtol=1e-4)


def test_codes_come_without_delay_after_the_start():
    """The convolutions reflect the first samples; from the 7th hop on, each hop gives its codes at once."""
    encoder = StreamingEncoder(random_model("encodec_24khz"), 3.0)
    steps = [join(out).shape[-1] if (out := encoder.push(torch.zeros(1, 1, 320))) else 0 for _ in range(12)]
    assert sum(steps[:6]) == 0
    assert steps[6:] == [7, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("samples", [1, 47000, 48000, 48001, 100000])
@pytest.mark.parametrize("piece", [4800, 70000])
def test_a_stream_of_segments(samples, piece):
    model = random_model("encodec_48khz")
    audio = 0.1 * torch.randn(1, 2, samples)
    whole = model.encode(audio, 3.0)
    encoder = StreamingEncoder(model, 3.0)
    segments = [segment for part in audio.split(piece, -1) for segment in encoder.push(part)] + encoder.finish()
    assert [segment.codes.shape for segment in segments] == [segment.codes.shape for segment in whole.segments]
    for ours, theirs in zip(segments, whole.segments, strict=True):
        assert torch.equal(ours.codes, theirs.codes)
        assert torch.equal(ours.scale, theirs.scale)
    decoder = StreamingDecoder(model, samples)
    streamed = torch.cat([*map(decoder.push, segments), decoder.finish()], dim=-1)
    torch.testing.assert_close(streamed, model.decode(whole))


@pytest.mark.parametrize("name", PRESETS)
def test_an_empty_signal(name):
    model = random_model(name)
    assert StreamingEncoder(model).finish() == []
    assert StreamingDecoder(model, 0).finish().shape[-1] == 0


def test_a_stream_that_ends_early_is_an_error():
    model = random_model("encodec_24khz")
    decoder = StreamingDecoder(model, 1000)
    decoder.push(Segment(torch.zeros(1, 2, 2, dtype=torch.long), None))
    with pytest.raises(UserError, match="360 samples are missing"):
        decoder.finish()


@pytest.mark.parametrize("name", PRESETS)
def test_all_tensors_are_on_the_device_of_the_model(name):
    """On torch's meta device, which like a GPU refuses operations with tensors on the CPU."""
    config = PRESETS[name]
    model = EncodecModel(config).eval().to("meta")
    samples = (config.segment_samples or 15000) + 7  # two segments, if there are any
    audio = torch.zeros(1, config.channels, samples, device="meta")
    assert model.decode(model.encode(audio)).shape == audio.shape
    encoder, decoder = StreamingEncoder(model), StreamingDecoder(model, audio.shape[-1])
    pieces = audio.split(7000, dim=-1)
    segments = [segment for piece in pieces for segment in encoder.push(piece)] + encoder.finish()
    parts = [decoder.push(segment) for segment in segments] + [decoder.finish()]
    assert {part.device.type for part in parts} == {"meta"}
    assert sum(part.shape[-1] for part in parts) == audio.shape[-1]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("fast", [False, True])
def test_the_caller_may_reuse_its_buffer(name, fast):
    model = random_model(name)
    if fast:
        accelerate(model)
    samples = 60000 if model.config.segment_samples else 15000  # two segments, if there are any
    audio = torch.randn(1, model.config.channels, samples, generator=torch.Generator().manual_seed(0))
    own, shared, buffer = StreamingEncoder(model), StreamingEncoder(model), torch.empty_like(audio[..., :500])
    expected, actual = [], []
    for piece in audio.split(500, dim=-1):
        expected += own.push(piece)
        actual += shared.push(buffer.copy_(piece))
        buffer.fill_(9.0)
    assert torch.equal(join(expected + own.finish()), join(actual + shared.finish()))


@pytest.mark.parametrize("name", PRESETS)
def test_a_stream_takes_the_same_inputs_as_the_model(name):
    model = random_model(name)
    channels = model.config.channels
    audio = torch.randn(channels, 50000, generator=torch.Generator().manual_seed(0))
    tensors, arrays = StreamingEncoder(model), StreamingEncoder(model)
    expected = [s for part in audio[None].split(9000, -1) for s in tensors.push(part)] + tensors.finish()
    actual = [s for part in audio.split(9000, -1) for s in arrays.push(part.numpy())] + arrays.finish()
    assert torch.equal(join(expected), join(actual))
    with pytest.raises(UserError, match=f"it takes .{channels}, time."):
        StreamingEncoder(model).push(torch.zeros(1, 3 - channels, 100))
    with pytest.raises(ValueError, match="push after finish"):
        arrays.push(audio)
