"""A trained codec under any name: its checkpoint says its shape."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import earmark
from earmark.baselines.identity import version_of
from earmark.baselines.systems import family_of, parse
from earmark.baselines.transcode import transcode
from earmark.codec.audio import write
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.config import EncodecConfig, SEANetConfig
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError

SLOW = EncodecConfig("slow", 24000, (0.125, 1.0), SEANetConfig(filters=2, dimension=8, ratios=(8, 6, 5, 8), lstm=0))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A model of 12.5 steps per second, with random weights."""
    torch.manual_seed(0)
    model = EncodecModel(SLOW).eval()
    torch.nn.init.normal_(model.quantizer.codebooks, std=0.1)
    path = tmp_path_factory.mktemp("weights") / "slow.safetensors"
    checkpoints.save(model, path)
    return path


def noise(seconds):
    return (0.1 * np.random.default_rng(0).standard_normal((1, round(seconds * 24000)))).astype(np.float32)


def test_its_bit_rate_is_that_of_the_file(weights):
    """1 kbps are 8 codebooks of 10 bits, 12.5 times per second: 80 bits per step, 25 steps in 2 s."""
    system = parse(f"mine@1:checkpoint={weights}")
    codec = family_of(system).open(system, 24000, 1)
    encoded = codec.encode(noise(2))
    assert encoded.payload_bits == 25 * 80
    decoded = codec.decode(encoded)
    model = checkpoints.load(weights)
    np.testing.assert_allclose(decoded, model.decode(model.encode(noise(2), 1.0))[0], atol=1e-5)


def test_it_goes_to_workers_and_is_identified_by_its_weights(weights):
    system = pickle.loads(pickle.dumps(parse(f"mine@1:checkpoint={weights}")))
    assert (system.text, family_of(system).kbps(system)) == (f"mine@1:checkpoint={weights}", 1.0)
    assert identities.identity(checkpoints.load(weights))[:16] in version_of(system)


def test_it_is_compared(weights, tmp_path):
    write(tmp_path / "clips" / "a.wav", noise(1), 24000)
    run = earmark.compare(
        tmp_path / "clips", [f"mine@0.125:checkpoint={weights}", f"other@1:checkpoint={weights}"], metrics=["si_snr"],
        out=tmp_path / "run", jobs=1,
    )  # fmt: skip
    # 13 steps of 80 ms: 130 bits in 17 bytes, and 1040 bits in 130 bytes
    assert run.scores.groupby("system").kbps.first().tolist() == pytest.approx([0.136 / 1.04, 1.04 / 1.04])


def test_a_model_of_another_name_than_a_codecs_goes_under_any(weights):
    system = parse(f"encodec_24khz@1:checkpoint={weights}")
    with pytest.raises(UserError, match="its checkpoint is one of slow; write slow@"):
        family_of(system).open(system, 24000, 1)
    system = parse(f"slow@1:checkpoint={weights}")
    assert transcode(family_of(system).open(system, 24000, 1), noise(0.5), 24000).audio.shape == (1, 12000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mine@2:checkpoint={}", "mine has 0.125, 1 kbps; try mine@1"),
        ("mine@1:checkpoint={}:lm", "no language model is known for this checkpoint"),
        ("mine@1:checkpoint=nowhere.safetensors", "nowhere.safetensors: no such file"),
        ("mine@1:checkpoint=", "name the file of its weights"),
        ("mine@1", "there is no codec 'mine'"),
    ],
)
def test_mistakes_are_one_line(weights, text, said):
    with pytest.raises(UserError) as caught:
        parse(text.format(weights))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
