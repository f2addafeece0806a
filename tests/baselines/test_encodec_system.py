"""EnCodec as a system, with random weights: it codes as the model does, and every mistake is one line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from earmark.baselines.encodec import EncodecCodec
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.cli import cli
from earmark.codec.audio import read, resample, write
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.training import recipe_files

from ..codec.other_device import OtherDevice, moved

NARROW = 4  # filters


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random checkpoints of both models, with few filters but all codebooks."""
    paths = {}
    for config in (ENCODEC_24KHZ, ENCODEC_48KHZ):
        torch.manual_seed(1)
        model = EncodecModel(replace(config, seanet=replace(config.seanet, filters=NARROW))).eval()
        torch.nn.init.normal_(model.quantizer.codebooks, std=0.1)
        paths[config.name] = tmp_path_factory.mktemp("weights") / f"{config.name}.safetensors"
        checkpoints.save(model, paths[config.name])
    return paths


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))


def open_system(text, rate=24000, channels=1):
    system = parse(text)
    return family_of(system).open(system, rate, channels)


def noise(seconds, rate, channels=1):
    return (0.1 * np.random.default_rng(0).standard_normal((channels, round(seconds * rate)))).astype(np.float32)


def test_each_of_several_models_is_loaded_once_when_they_alternate(weights, tmp_path, monkeypatch):
    """A run codes a recording by all systems before the next recording."""
    loaded = []
    load = checkpoints.load
    monkeypatch.setattr(checkpoints, "load", lambda path: loaded.append(path) or load(path))
    paths = [shutil.copy(weights["encodec_24khz"], tmp_path / f"{number}.safetensors") for number in range(6)]
    for path in [*paths, *paths]:
        open_system(f"encodec_24khz@3:checkpoint={path}")
    assert loaded == paths


@pytest.mark.parametrize("kbps", [1.5, 3, 6, 12, 24])
def test_24khz_decodes_to_what_the_model_gives_at_the_nominal_rate(weights, kbps):
    codec = open_system(f"encodec_24khz@{kbps}:checkpoint={weights['encodec_24khz']}")
    audio = noise(2, 24000)
    encoded = codec.encode(audio)
    model = checkpoints.load(weights["encodec_24khz"])
    np.testing.assert_allclose(codec.decode(encoded), model.decode(model.encode(audio, kbps))[0], atol=1e-5)
    assert encoded.payload_bits / 2 == kbps * 1000  # 2 s are 150 steps of 2 to 32 codes of 10 bits: whole bytes
    odd = codec.encode(audio[:, :24001])  # 76 steps of 320 samples
    assert (odd.payload_bits, odd.seconds) == (76 * kbps * 1000 / 75, 76 / 75)


@pytest.mark.parametrize("kbps", [3, 6, 12, 24])
def test_48khz_counts_overlap_and_scales(weights, kbps):
    codec = open_system(f"encodec_48khz@{kbps}:checkpoint={weights['encodec_48khz']}", 48000, 2)
    audio = noise(2, 48000, 2)
    encoded = codec.encode(audio)
    model = checkpoints.load(weights["encodec_48khz"])
    np.testing.assert_allclose(codec.decode(encoded), model.decode(model.encode(audio, kbps))[0], atol=1e-5)
    # Segments start every 0.99 s: two of 1 s, 150 steps each, and one of 0.02 s, 3 steps; 4 bytes of scale each.
    codebooks = round(kbps / 1.5)
    sizes = [4 + -(-steps * codebooks * 10 // 8) for steps in (150, 150, 3)]
    assert [len(packet) for packet in encoded.packets] == sizes
    assert encoded.seconds == 2
    assert codec.encode(audio[:, :95280]).seconds == 1.99  # second segment: 47760 samples from 0.99 s on, 150 steps


@pytest.mark.parametrize("samples", [1, 319, 320, 321, 24001, 47520, 47999])
def test_every_length_comes_back(weights, samples):
    for name, channels in (("encodec_24khz", 1), ("encodec_48khz", 2)):
        codec = open_system(f"{name}@6:checkpoint={weights[name]}", 48000, channels)
        audio = noise(2, 24000, channels)[:, :samples]
        decoded = codec.decode(codec.encode(audio))
        assert decoded.shape == audio.shape
        assert decoded.dtype == np.float32


def test_any_source_goes_through_either_model(weights):
    for name, payload in (("encodec_24khz", 2 * 6000), ("encodec_48khz", None)):
        codec = open_system(f"{name}@6:checkpoint={weights[name]}", 44100, 2)
        audio = noise(1, 44100, 2)
        result = transcode(codec, audio, 44100)
        assert result.audio.shape == audio.shape
        if payload:  # a mono codec at 6 kbps, once per channel
            assert result.payload_bits == payload


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("encodec_24khz", "EnCodec 24 kHz needs a bit rate in kbps; try encodec_24khz@3"),
        ("encodec_24khz@4:checkpoint=official", "has 1.5, 3, 6, 12, 24 kbps; try encodec_24khz@3"),
        ("encodec_24khz@24", "has 1.5, 3, 6, 12 kbps; try encodec_24khz@12, or other weights with :checkpoint="),
        ("encodec_48khz@1.5", "has 3, 6, 12, 24 kbps; try encodec_48khz@3"),
        ("encodec_24khz@3:fast", "no option 'fast'; it has checkpoint"),
    ],
)
def test_rates_and_options_it_does_not_have(text, says):
    with pytest.raises(UserError) as caught:
        parse(text)
    assert says in str(caught.value)


def test_without_a_checkpoint_it_says_how_to_get_one(tmp_path):
    for text in ("encodec_24khz@3:checkpoint=official", "encodec_48khz@3"):
        system = parse(text)
        reason = family_of(system).unavailable(system)
        assert f"earmark download {system.family}" in reason
        assert str(tmp_path / "cache") in reason
    system = parse(f"encodec_24khz@3:checkpoint={tmp_path}/absent.safetensors")
    assert "absent.safetensors: no such file" in family_of(system).unavailable(system)


def test_a_checkpoint_of_the_other_model_is_refused(weights):
    with pytest.raises(UserError, match=r"one of encodec_48khz; write encodec_48khz@"):
        open_system(f"encodec_24khz@3:checkpoint={weights['encodec_48khz']}")


def test_soundstream_runs_with_weights_of_its_recipe(tmp_path):
    recipe = recipe_files.load("soundstream", ("model.seanet.filters=4",))
    torch.manual_seed(1)
    model = EncodecModel(recipe.model).eval()
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.1)
    checkpoints.save(model, tmp_path / "weights.safetensors")
    codec = open_system(f"soundstream@3:checkpoint={tmp_path / 'weights.safetensors'}")
    audio = noise(2, 24000)
    encoded = codec.encode(audio)
    np.testing.assert_allclose(codec.decode(encoded), model.decode(model.encode(audio, 3))[0], atol=1e-5)
    assert encoded.payload_bits == 2 * 3000


def test_soundstream_says_where_weights_come_from(weights):
    system = parse("soundstream@3")
    assert "earmark train soundstream" in family_of(system).unavailable(system)
    with pytest.raises(UserError, match="no official weights"):
        parse("soundstream@3:checkpoint=official")
    with pytest.raises(UserError, match=r"one of encodec_24khz; write encodec_24khz@"):
        open_system(f"soundstream@3:checkpoint={weights['encodec_24khz']}")


def test_other_weights_are_another_version(weights, tmp_path):
    """Results of other weights must not be reused."""
    other = checkpoints.load(weights["encodec_24khz"])
    other.quantizer.codebooks[0, 0, 0] += 1
    checkpoints.save(other, tmp_path / "other.safetensors")
    systems = [
        parse(f"encodec_24khz@3:checkpoint={p}") for p in (weights["encodec_24khz"], tmp_path / "other.safetensors")
    ]
    first, second = (family_of(system).version(system) for system in systems)
    assert first != second


def test_joins_a_comparison(weights, tmp_path):
    write(tmp_path / "audio" / "speech" / "a.wav", noise(1, 16000), 16000)
    system = f"encodec_24khz@3:checkpoint={weights['encodec_24khz']}"
    command = ["compare", tmp_path / "audio", "--systems", f"{system},mp3@64", "--metrics", "si_snr"]
    done = CliRunner().invoke(cli, [*map(str, command), "--out", str(tmp_path / "run"), "--jobs", "1"])
    assert done.exit_code == 0, done.output
    scores = pd.read_parquet(tmp_path / "run" / "scores.parquet").set_index("system")
    assert scores.loc[system, "kbps"] == pytest.approx(3, abs=0.01)
    assert scores.loc[system, "status"] == "ok"


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    torch.manual_seed(0)
    config = LanguageModelConfig(codebooks=4, context=262, dimension=40, layers=2, feed_forward=80)
    path = tmp_path_factory.mktemp("language model") / "float.safetensors"
    language_model_files.save(LanguageModel(config), path)
    return path


@pytest.mark.parametrize(("name", "rate", "channels"), [("encodec_24khz", 24000, 1), ("encodec_48khz", 48000, 2)])
def test_with_a_language_model_only_the_payload_changes(weights, language_model, name, rate, channels):
    plain = open_system(f"{name}@3:checkpoint={weights[name]}", rate, channels)
    codec = open_system(f"{name}@3:lm={language_model}:checkpoint={weights[name]}", rate, channels)
    audio = noise(4.5, rate, channels)
    encoded = codec.encode(audio)
    np.testing.assert_array_equal(codec.decode(encoded), plain.decode(plain.encode(audio)))
    assert encoded.payload_bits != plain.encode(audio).payload_bits


def test_the_language_model_of_a_checkpoint_has_to_be_named(weights):
    with pytest.raises(UserError, match="write lm=FILE"):
        parse(f"encodec_24khz@3:lm:checkpoint={weights['encodec_24khz']}")


def test_the_language_model_of_other_weights_is_one_line(weights, tmp_path):
    config = LanguageModelConfig(codebooks=2, context=5, dimension=8, heads=2, layers=1)
    language_model_files.save(LanguageModel(config), tmp_path / "lm.safetensors", codec="0123456789abcdef" * 4)
    checkpoint = weights["encodec_24khz"]
    identity = identities.codes_identity(checkpoints.load(checkpoint))
    with pytest.raises(UserError, match=f"the weights 0123456789abcdef; this codec has the weights {identity[:16]}"):
        open_system(f"encodec_24khz@1.5:lm={tmp_path / 'lm.safetensors'}:checkpoint={checkpoint}", 24000, 1)


def test_the_language_model_in_the_box_shortens_real_speech(shared):
    """The codes stay the same."""
    recording = read(shared / "audio" / "speech_lyra_1_48k.wav")
    audio = resample(recording.samples[:, : 4 * recording.sample_rate], recording.sample_rate, 24000)
    plain, coded = open_system("encodec_24khz@3"), open_system("encodec_24khz@3:lm")
    fewer = coded.encode(audio)
    assert fewer.payload_bits < 0.9 * plain.encode(audio).payload_bits
    np.testing.assert_array_equal(coded.decode(fewer), plain.decode(plain.encode(audio)))


def test_a_language_model_that_is_not_there_is_one_line():
    for text, says in (
        ("encodec_24khz@3:lm=nowhere.safetensors", "nowhere.safetensors: no such file; give a language model"),
        ("encodec_24khz@3:lm:checkpoint=official", "earmark download encodec_24khz"),
        ("encodec_48khz@3:lm", "earmark download encodec_48khz"),
    ):
        system = parse(text)
        assert says in family_of(system).unavailable(system)


def test_a_version_is_the_identity_of_all_weights(weights, language_model, tmp_path):
    """A float language model has the identity of the integer model that it is converted to."""
    model = checkpoints.load(weights["encodec_24khz"])
    integers = language_model_files.load_portable(language_model, model.config)
    language_model_files.save(integers, tmp_path / "integers.safetensors")
    for lm in (language_model, tmp_path / "integers.safetensors"):
        system = parse(f"encodec_24khz@3:lm={lm}:checkpoint={weights['encodec_24khz']}")
        assert family_of(system).version(system) == (
            f"weights {identities.identity(model)[:16]}, language model {integers.identity[:16]}"
        )


def test_the_version_of_our_own_files_is_known_without_torch(weights):
    """A finished run is checked in a second, without the seconds that importing torch takes."""
    program = (
        "import sys; from earmark.baselines.systems import parse, family_of\n"
        f"system = parse('encodec_24khz@3:checkpoint={weights['encodec_24khz']}')\n"
        "assert family_of(system).version(system).startswith('weights ')\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])


def test_a_file_with_a_false_identity_is_refused(weights, tmp_path):
    """Loading checks the identity in the header."""
    tensors, metadata = checkpoints.read(weights["encodec_24khz"])
    safetensors.torch.save_file(tensors, tmp_path / "false.safetensors", {**metadata, "identity": "0" * 64})
    with pytest.raises(UserError, match=r"false\.safetensors: damaged: its weights are not those that were saved"):
        open_system(f"encodec_24khz@3:checkpoint={tmp_path / 'false.safetensors'}")


@pytest.mark.parametrize("name", ["encodec_24khz", "encodec_48khz"])
def test_a_model_on_another_device_gives_the_same_packets_and_audio(weights, name):
    model = checkpoints.load(weights[name])
    config = model.config
    codec = EncodecCodec(config.name, config.sample_rate, config.channels, 6, model)
    audio = noise(1.1, config.sample_rate, config.channels)
    encoded = codec.encode(audio)
    decoded = codec.decode(encoded)
    moved(model)
    with OtherDevice():
        assert codec.encode(audio) == encoded
        np.testing.assert_array_equal(codec.decode(encoded), decoded)
