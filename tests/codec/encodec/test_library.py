"""EnCodec as other programs use it: gradients, arrays of codes, types of the weights, long signals, invalid input."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from earmark.codec.encodec import segments as segments_module
from earmark.codec.encodec.codes import Codes
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingDecoder
from earmark.codec.errors import UserError

from .test_codes import noise, small_model


@pytest.fixture(params=PRESETS)
def model(request) -> EncodecModel:
    return small_model(request.param)


def batch(model: EncodecModel, samples: int = 50000, seeds: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.3 * torch.randn(seeds, model.config.channels, samples, generator=generator)


class TestGradients:
    def test_a_language_model_trains_on_codes_computed_on_the_fly(self, model):
        codes = model.encode(batch(model), 6).tensor
        embedding = nn.Embedding(1024, 4)
        loss = embedding(codes).square().mean()
        loss.backward()
        assert embedding.weight.grad is not None
        decoded = model.decode(model.encode(batch(model), 6))
        decoded += 1  # tensors made in inference mode refuse both
        decoded.requires_grad_().sum().backward()

    def test_forward_gives_the_decoded_audio(self, model):
        audio = batch(model)
        torch.testing.assert_close(model(audio, 6), model.decode(model.encode(audio, 6)), rtol=0, atol=1e-5)

    def test_the_quantiser_passes_gradients_straight_through(self):
        """The gradient of the audio equals the one without the quantiser, from the decoder at the quantised latent."""
        model = small_model("encodec_24khz")
        audio = batch(model, 3200, 1)[:, :, :3200].requires_grad_()
        model(audio, 6).square().sum().backward()

        quantized = model.quantized_latent(model.encode(audio.detach(), 6)).requires_grad_()
        model.decoder(quantized)[..., :3200].square().sum().backward()
        same = audio.detach().clone().requires_grad_()
        model.encoder(same).backward(quantized.grad)
        torch.testing.assert_close(audio.grad, same.grad)

    def test_every_weight_learns_also_in_an_accelerated_model(self, model):
        accelerate(model)
        model.requires_grad_()
        model(batch(model), 6).abs().mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())

    def test_latents_before_and_after_quantisation(self, model):
        """The latent's nearest codewords are the codes, so their residual after 16 codebooks is smaller than before."""
        audio = batch(model)
        codes = model.encode(audio, 24)
        latent, quantized = model.latent(audio), model.quantized_latent(codes)
        assert latent.shape == quantized.shape == (2, 8, sum(codes.steps))
        books = model.quantizer.codebooks
        expected = sum(books[k][codes.tensor[:, k]] for k in range(codes.tensor.shape[1])).transpose(1, 2)
        torch.testing.assert_close(quantized, expected)
        first = books[0][codes.tensor[:, 0]].transpose(1, 2)
        distance = torch.cdist(latent.transpose(1, 2).reshape(-1, 8), books[0]).min(dim=1).values.reshape(2, -1)
        torch.testing.assert_close((latent - first).norm(dim=1), distance, rtol=1e-3, atol=1e-3)


class TestCodes:
    @pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32, np.int64])
    @pytest.mark.parametrize("make", [np.asarray, torch.as_tensor])
    def test_integers_of_any_type(self, dtype, make):
        model = small_model("encodec_24khz")
        codes = model.encode(noise(model), 6)
        array = make(codes.array.astype(dtype))
        decoded = model.decode(Codes.from_array(array, codes.samples))
        assert isinstance(decoded, type(array))
        np.testing.assert_array_equal(np.asarray(decoded), model.decode(codes))
        np.testing.assert_array_equal(Codes.from_array(array).array, codes.array)

    def test_without_a_length_the_last_step_is_whole(self):
        model = small_model("encodec_24khz")
        codes = model.encode(noise(model, 1000), 6)
        decoded = model.decode(codes.array)
        assert decoded.shape == (1, 1, 4 * 320)
        np.testing.assert_array_equal(decoded[..., :1000], model.decode(codes))

    def test_a_tensor_of_codes(self):
        model = small_model("encodec_24khz")
        codes = model.encode(batch(model), 3)
        assert codes.tensor.dtype == torch.int64
        torch.testing.assert_close(model.decode(codes.tensor)[..., :50000], model.decode(codes))

    @pytest.mark.parametrize("value", [-1, 1024])
    def test_a_value_outside_the_codebook_is_named_with_its_position(self, value):
        model = small_model("encodec_24khz")
        array = np.zeros((2, 4, 6), np.int64)
        array[1, 2, 5] = value
        with pytest.raises(UserError, match=rf"code {value} at \[batch, codebook, step\] = \[1, 2, 5\]; "):
            model.decode(array)
        codes = model.encode(batch(model), 3)
        codes.segments[0].codes[0, 1, 7] = value
        with pytest.raises(UserError, match=rf"code {value} at .* = \[0, 1, 7\]; .* have the codewords 0 to 1023"):
            model.decode(codes)

    def test_codes_without_their_scales_are_refused(self):
        model = small_model("encodec_48khz")
        with pytest.raises(UserError, match="codes without scales; encodec_48khz normalises"):
            model.decode(np.zeros((1, 2, 150), int))

    @pytest.mark.parametrize("lengths", [None, [50000, 4000]])
    def test_saved_loaded_and_pickled(self, model, tmp_path, lengths):
        codes = model.encode(batch(model), 6, lengths)
        codes.save(tmp_path / "codes.npz")
        for again in (Codes.load(tmp_path / "codes.npz"), pickle.loads(pickle.dumps(codes))):
            assert again.samples == codes.samples
            assert again.lengths == codes.lengths
            torch.testing.assert_close(model.decode(again), model.decode(codes), rtol=0, atol=0)

    def test_a_file_that_holds_no_codes(self, tmp_path):
        with pytest.raises(UserError, match=r"none\.npz: no such file"):
            Codes.load(tmp_path / "none.npz")
        np.savez(tmp_path / "other.npz", something=np.zeros(3))
        (tmp_path / "text.npz").write_text("no archive")
        for name in ("other.npz", "text.npz"):
            with pytest.raises(UserError, match=f"{name}: holds no codes that `Codes.save` wrote"):
                Codes.load(tmp_path / name)


class TestWeights:
    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    @pytest.mark.parametrize("fast", [False, True])
    def test_half_precision(self, model, dtype, fast):
        """bfloat16 rounds to 2^-9, an SNR of 54 dB per rounding: 30 dB leave room for the roundings of 30 layers."""
        if fast:
            accelerate(model)
        audio = batch(model, 50000)  # two segments at 48 kHz, whose cross-fade has small weights
        codes = model.encode(audio, 6)
        expected = model.decode(codes)
        low = model.to(dtype)
        decoder = StreamingDecoder(low)
        streamed = [decoder.push(segment) for segment in codes.segments] + [decoder.finish()]
        torch.testing.assert_close(
            torch.cat(streamed, dim=-1)[..., :50000].float(), low.decode(codes).float(), rtol=0, atol=0.02
        )
        again = low.encode(audio, 6)
        assert again.tensor.shape == codes.tensor.shape
        decoded = low.decode(codes)
        assert decoded.dtype == dtype
        assert (decoded.float() - expected).square().sum() < 1e-3 * expected.square().sum()
        assert low.decode(replace(codes, from_numpy=True)).dtype == np.float32

    @pytest.mark.parametrize("change", ["load_state_dict", "assign", "in place", "parameter", "codebooks"])
    def test_changed_weights_of_an_accelerated_model(self, model, change):
        other = small_model(model.config.name)
        with torch.no_grad():
            for tensor in other.state_dict().values():
                tensor.mul_(1.1)
        audio = batch(model, 5000)
        accelerate(model)
        model.decode(model.encode(audio, 6))
        if change in ("load_state_dict", "assign"):
            model.load_state_dict(other.state_dict(), assign=change == "assign")
        elif change == "in place":
            with torch.no_grad():
                for ours, theirs in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
                    ours.copy_(theirs)
        elif change == "parameter":
            for module, theirs in zip(model.modules(), other.modules(), strict=False):
                for name, parameter in theirs.named_parameters(recurse=False):
                    setattr(module, name, nn.Parameter(parameter.detach().clone(), requires_grad=False))
            model.quantizer.codebooks = other.quantizer.codebooks
        else:
            other = small_model(model.config.name)
            other.quantizer.codebooks.mul_(1.1)
            model.quantizer.codebooks.mul_(1.1)
        codes = other.encode(audio, 6)
        assert (model.encode(audio, 6).tensor == codes.tensor).float().mean() > 0.99  # but for ties
        torch.testing.assert_close(model.decode(codes), other.decode(codes), rtol=1e-4, atol=1e-4)


class TestInput:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
    def test_audio_that_is_not_finite_is_refused(self, model, bad):
        audio = batch(model, 1000)
        audio[1, 0, 123] = bad
        for call in (model.encode, model, model.latent):
            with pytest.raises(UserError, match="sample 123 of channel 0 of signal 1 is NaN or infinite in float32"):
                call(audio)

    @pytest.mark.parametrize(
        ("audio", "message"),
        [
            ([[0.0] * 10], "audio of type list; it takes a tensor or a numpy array"),
            (torch.zeros(1, 10, dtype=torch.int16), "audio of torch.int16; it takes floating point"),
            (np.zeros((2, 10)), r"audio of shape \(1, 2, 10\); it takes \[1, time\]"),
            (np.zeros(10), r"audio of shape \(10,\); it takes \[1, time\]"),
            (np.zeros((1, 0)), r"audio of shape \(1, 1, 0\)"),
        ],
    )
    def test_audio_of_another_type_or_shape(self, audio, message):
        with pytest.raises(UserError, match=message):
            small_model("encodec_24khz").encode(audio)

    def test_another_sample_rate(self):
        model = small_model("encodec_24khz")
        model.encode(noise(model, 100), 6, sample_rate=24000)
        with pytest.raises(UserError, match="encodec_24khz: audio at 44100 Hz; it takes 24000 Hz: resample it first"):
            model.encode(noise(model, 100), 6, sample_rate=44100)


class TestLongSignals:
    @pytest.mark.parametrize("fast", [False, True])
    def test_a_signal_that_runs_in_parts_equals_the_whole(self, monkeypatch, fast):
        model = small_model("encodec_24khz")
        audio = batch(model)
        codes = model.encode(audio, 6)
        decoded = model.decode(codes)
        if fast:
            accelerate(model)
        monkeypatch.setattr(segments_module, "PART_STEPS", 14)  # 7 steps of each of the two signals
        again = model.encode(audio, 6)
        assert (again.tensor == codes.tensor).float().mean() > 0.999  # but for ties
        torch.testing.assert_close(model.decode(codes), decoded, rtol=0, atol=1e-5)

    def test_memory_of_the_plain_layers_does_not_grow_with_the_signal(self, monkeypatch):
        """The largest tensor between the layers is that of one part."""
        model = small_model("encodec_24khz")
        monkeypatch.setattr(segments_module, "PART_STEPS", 75)
        sizes = []
        for layer in (*model.encoder.layers, *model.decoder.layers):
            layer.step = _recording(layer.step, sizes) if hasattr(layer, "step") else layer.forward
        model.decode(model.encode(noise(model, 10 * 24000), 6))
        assert sizes
        assert max(sizes) <= 76 * 320


def _recording(step, sizes):
    def recorded(x, state, last):
        sizes.append(x.shape[-1])
        return step(x, state, last)

    return recorded
