"""DAC, SNAC, Mimi and EnCodec through the real classes of their packages, narrow and with random weights.

Frame rates and code books are those of the published models, so that bit counts are the published ones too.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from earmark.baselines.networks import _length_after
from earmark.baselines.registry import families
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.errors import UserError

snac = pytest.importorskip("snac")
transformers = pytest.importorskip("transformers")

SYSTEMS = ["dac_16khz@2", "dac_24khz@6", "dac_44khz@7.75", "snac_24khz@0.984", "mimi@1.1", "encodec_24khz_hf@3"]


def _dac(rate: int, strides: list[int], codebooks: int):
    return transformers.DacModel(
        transformers.DacConfig(
            encoder_hidden_size=4, downsampling_ratios=strides, decoder_hidden_size=32, n_codebooks=codebooks,
            codebook_size=1024, codebook_dim=4, sampling_rate=rate,
        )
    )  # fmt: skip


def _mimi():
    return transformers.MimiModel(
        transformers.MimiConfig(
            hidden_size=32, num_filters=4, num_attention_heads=2, num_key_value_heads=2, head_dim=16,
            num_hidden_layers=1, intermediate_size=32, codebook_size=2048, codebook_dim=16,
            vector_quantization_hidden_dimension=16, num_quantizers=32, upsample_groups=32,
        )
    )  # fmt: skip


def _encodec():
    return transformers.EncodecModel(
        transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, codebook_size=1024)
    )


SNAC = {
    "sampling_rate": 24000, "encoder_dim": 4, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 32,
    "decoder_rates": [8, 8, 4, 2], "attn_window_size": None, "codebook_size": 4096, "vq_strides": [4, 2, 1],
}  # fmt: skip
MODELS = {
    "dac_16khz": lambda: _dac(16000, [2, 4, 5, 8], 12),
    "dac_24khz": lambda: _dac(24000, [2, 4, 5, 8], 32),
    "dac_44khz": lambda: _dac(44100, [2, 4, 8, 8], 9),
    "mimi": _mimi,
    "encodec_24khz_hf": _encodec,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Name of the codec -> folder with random weights, as in a repository of the hub."""
    found = {}
    for name, build in MODELS.items():
        torch.manual_seed(1)
        found[name] = tmp_path_factory.mktemp(name)
        build().save_pretrained(found[name])
    torch.manual_seed(1)
    found["snac_24khz"] = tmp_path_factory.mktemp("snac")
    (found["snac_24khz"] / "config.json").write_text(json.dumps(SNAC))
    torch.save(snac.SNAC(**SNAC).state_dict(), found["snac_24khz"] / "pytorch_model.bin")
    return found


@pytest.fixture
def codec(folders):
    def opened(text: str):
        system = parse(f"{text}:checkpoint={folders[text.partition('@')[0]]}")
        return family_of(system).open(system, 24000, 1)

    return opened


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((channels, samples))).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "rate", "samples", "bits"),
    [
        # steps x codebooks x bits per code
        ("dac_16khz@0.5", 16000, 15992, 50 * 1 * 10),
        ("dac_16khz@6", 16000, 15992, 50 * 12 * 10),
        ("dac_24khz@6", 24000, 23992, 75 * 8 * 10),
        ("dac_24khz@24", 24000, 23992, 75 * 32 * 10),
        ("dac_44khz@7.75", 44100, 44032, 86 * 9 * 10),
        ("mimi@1.1", 24000, 1920 * 25, 25 * 8 * 11),
        ("mimi@4.4", 24000, 1920 * 25, 25 * 32 * 11),
        ("encodec_24khz_hf@1.5", 24000, 24000, 75 * 2 * 10),
        ("encodec_24khz_hf@24", 24000, 24000, 75 * 32 * 10),
        ("snac_24khz@0.984", 24000, 2048 * 12, (12 + 24 + 48) * 12),
    ],
)
def test_bits_are_counted_exactly(codec, text, rate, samples, bits):
    one = codec(text)
    assert one.sample_rate == rate
    encoded = one.encode(noise(samples))
    assert encoded.payload_bits == bits
    kbps = family_of(parse(text)).kbps(parse(text))  # over the coded time, whatever the padding
    assert encoded.payload_bits / encoded.seconds == pytest.approx(1000 * kbps, rel=1e-9)
    odd = one.encode(noise(samples + 1))
    assert odd.payload_bits > bits
    assert odd.payload_bits / odd.seconds == pytest.approx(1000 * kbps, rel=1e-9)
    assert 0 <= 8 * sum(map(len, encoded.packets)) - bits < 8 * len(encoded.packets)


@pytest.mark.parametrize("text", SYSTEMS)
@pytest.mark.parametrize("samples", [1, 319, 320, 321, 2049, 12345])
def test_every_length_comes_back(codec, text, samples):
    one = codec(text)
    decoded = one.decode(one.encode(noise(samples)))
    assert decoded.shape == (1, samples)
    assert decoded.dtype == np.float32
    assert np.isfinite(decoded).all()


@pytest.mark.parametrize("text", SYSTEMS)
def test_the_network_returns_at_least_as_many_samples_as_it_was_given(codec, text):
    """Otherwise zeros would replace the end of the source."""
    network = codec(text).network
    for samples in (5000, 5112, 5119, 5120, 5121):
        with torch.inference_mode():
            levels = network.encode(torch.from_numpy(noise(samples)[0]), codec(text).codebooks)
            assert network.decode(levels).numel() >= samples


def test_odd_strides_of_dac_shorten_the_output():
    """One step through strides 8, 5, 4, 2: 8, 40 - 1, 156, 312 of 320 samples."""
    assert _length_after(1, [8, 5, 4, 2]) == 312
    assert _length_after(1, [8, 8, 4, 2]) == 512


@pytest.mark.parametrize("text", SYSTEMS)
def test_the_codes_are_those_of_the_model(codec, text):
    """Decoding packets gives what the network makes of its own codes."""
    one, audio = codec(text), noise(9600)
    with torch.inference_mode():
        levels = one.network.encode(torch.from_numpy(audio[0]), one.codebooks)
        expected = one.network.decode(levels)[:9600].numpy()
    np.testing.assert_array_equal(one.decode(one.encode(audio))[0], expected)


@pytest.mark.parametrize("text", SYSTEMS)
def test_two_runs_are_identical(codec, text):
    """SNAC's decoder adds noise, which is always the same."""
    one, audio = codec(text), noise(9600)
    encoded = one.encode(audio)
    assert one.encode(audio) == encoded
    np.testing.assert_array_equal(one.decode(encoded), one.decode(encoded))


def test_stereo_goes_through_channel_by_channel(codec):
    stereo = noise(24000, 2)
    result = transcode(codec("encodec_24khz_hf@3"), stereo, 24000)
    assert result.audio.shape == stereo.shape
    assert result.payload_bits == 2 * 3000


def test_another_rate_is_resampled(codec):
    result = transcode(codec("dac_16khz@2"), noise(48000), 48000)
    assert result.audio.shape == (1, 48000)
    assert result.payload_bits == 51 * 4 * 10  # a second, and the 8 samples that the decoder's output is shorter


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dac_24khz@25", "DAC 24 kHz has 0.75 to 24 kbps; try dac_24khz@24"),
        ("mimi@1.2", "Mimi has 0.138 to 4.4 kbps; try mimi@1.24"),
        ("snac_24khz@3", "SNAC 24 kHz has 0.984 kbps; try snac_24khz@0.984"),
        ("encodec_24khz_hf@4", "has 1.5, 3, 6, 12, 24 kbps; try encodec_24khz_hf@3"),
        ("mimi", "needs a bit rate in kbps; try mimi@1.1"),
    ],
)
def test_unavailable_rates_are_refused(text, says):
    with pytest.raises(UserError) as caught:
        parse(text)
    assert says in str(caught.value)


def test_nominal_rates_are_the_published_ones():
    """0.98, 1.9 and 2.6 kbps of SNAC, 7.75 of DAC at 44.1 kHz, 1.1 of Mimi with 8 codebooks (their papers)."""
    published = {"snac_24khz@0.98": 0.98, "snac_32khz@1.41": 1.41, "dac_44khz@7.75": 7.75, "mimi@1.1": 1.1}
    for text, kbps in published.items():
        system = parse(text)
        assert family_of(system).kbps(system) == pytest.approx(kbps, rel=0.01)


def test_without_weights_it_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr("earmark.baselines.pretrained._cached", lambda repository: None)
    assert "hf download kyutai/mimi" in families()["mimi"].unavailable()
    system = parse(f"mimi@1.1:checkpoint={tmp_path}")
    assert "no folder with config.json" in family_of(system).unavailable(system)


def test_without_the_package_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr("earmark.codec.extras.find_spec", lambda name: None)
    assert "pip install 'earmark[snac]'" in families()["snac_24khz"].unavailable()


def test_other_weights_are_another_version(folders):
    systems = [parse(f"mimi@1.1:checkpoint={folders[name]}") for name in ("mimi", "dac_16khz")]
    first, second = (family_of(system).version(system) for system in systems)
    assert first.startswith("transformers ")
    assert first != second
