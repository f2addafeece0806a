"""The switch for denoising: SoundStream (arXiv 2107.03312), section III-F."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from earmark.baselines.systems import family_of, parse
from earmark.cli import cli
from earmark.codec.audio import write
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.checkpoints.config_json import config_from_json, config_to_json
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.encodec.film import FiLM
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.encodec.streaming import StreamingEncoder
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import single_process
from earmark.codec.training.examples.mixing import NOISE, SPEECH, Mixing, with_clean
from earmark.codec.training.trainer import Trainer

SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[3]", "validation.kbps=[3]",
    "discriminators.filters=2", "discriminators.per_bandwidth=false", "discriminators.start=9", "data.batch=2",
    "data.seconds=0.25", "training.precision=float32",
)  # fmt: skip


def recipe():
    return recipe_files.load("soundstream_denoise", SMALL)


@pytest.fixture
def model():
    """An untrained model whose switch reverses the sign of the latent."""
    torch.manual_seed(0)
    made = EncodecModel(recipe().model).eval().requires_grad_(False)
    torch.nn.init.normal_(made.quantizer.codebooks, std=0.05)
    made.encoder.film.condition.weight[:8, 1] = -2.0  # gamma = 1 - 2 when it is on
    return made


@pytest.fixture
def signal():
    return (0.2 * np.random.default_rng(0).standard_normal((1, 6400))).astype(np.float32)


def test_the_formula_by_hand():
    """gamma = 1 + 3, beta = 5 where the switch is on; the identity where it is off."""
    film = FiLM(1)
    x = torch.tensor([[[1.0, 2.0]], [[1.0, 2.0]]])
    assert torch.equal(film(x), x)
    with torch.no_grad():
        film.condition.weight[:, 1] = torch.tensor([3.0, 5.0])
    film.enabled = torch.tensor([False, True])
    assert film(x).tolist() == [[[1.0, 2.0]], [[9.0, 13.0]]]


def test_the_switch_is_at_the_bottleneck_of_the_encoder(model, signal):
    """Off, the codes are those without FiLM; on, those of the modulated latent. The decoder has no switch."""
    latent = model.latent(signal)
    plain = model.encode(signal)
    model.denoise = True
    assert torch.allclose(model.latent(signal), -latent)
    assert torch.equal(model.encode(signal).tensor, model.quantizer.encode(-latent, 10))
    decoded = model.decode(plain)
    model.denoise = False
    assert np.array_equal(model.decode(plain), decoded)


@pytest.mark.parametrize("fast", [False, True])
def test_streams_and_fast_layers_switch_too(model, signal, fast):
    model.denoise = True
    expected = model.encode(signal).array
    if fast:
        accelerate(model)
    encoder = StreamingEncoder(model, 3)
    segments = [*encoder.push(signal[:, :1000]), *encoder.push(signal[:, 1000:]), *encoder.finish()]
    streamed = np.concatenate([segment.codes.numpy() for segment in segments], axis=2)
    assert (streamed == expected).mean() > 0.99  # the fast layers round otherwise


def test_as_a_system(model, signal, tmp_path):
    """Both systems share the loaded model, in any order."""
    checkpoints.save(model, tmp_path / "model.safetensors")
    texts = [f"soundstream@3:checkpoint={tmp_path / 'model.safetensors'}{more}" for more in ("", ":denoise")]
    plain, denoising = (family_of(parse(text)).open(parse(text), 24000, 1) for text in texts)
    packets = [codec.encode(signal).packets for codec in (plain, denoising, plain)]
    assert packets[0] == packets[2] != packets[1]


def test_a_model_without_the_switch_refuses():
    model = EncodecModel(replace(recipe().model, seanet=replace(recipe().model.seanet, film=False)))
    model.denoise = False
    with pytest.raises(
        UserError, match="has no switch for denoising; train one by `earmark train soundstream_denoise`"
    ):
        model.denoise = True
    with pytest.raises(UserError, match=r"data.denoise must be in \[0, 1\], and 0 unless model.seanet.film is true"):
        recipe_files.load("soundstream", ("data.denoise=0.5",))


def test_files_without_the_switch_stay_as_earlier_versions_read_them():
    assert "film" not in config_to_json(recipe_files.load("soundstream").model)
    assert config_from_json(config_to_json(recipe().model)).seanet.film


class Constant:
    """Excerpts: speech is 0.1, noise 0.2."""

    def draw(self, rng, categories, lead=0):
        value = 0.1 if categories == SPEECH else 0.2 if categories == NOISE else 0.05
        return np.full((1, lead + 4), value, np.float32)


def test_examples_have_an_input_and_its_clean_target():
    rng = np.random.default_rng(0)
    noisy = Mixing(denoise=1.0, gain_db=(0.0, 0.0), reverb=0.0)
    assert with_clean(rng, Constant(), None, noisy, 1).tolist() == [pytest.approx([0.3] * 4), pytest.approx([0.1] * 4)]
    clean = Mixing(1.0, 0.0, 0.0, 0.0, denoise=1e-9, gain_db=(0.0, 0.0), reverb=0.0)
    assert with_clean(rng, Constant(), None, clean, 1).tolist() == [pytest.approx([0.05] * 4)] * 2


def test_an_update_trains_the_switch():
    trainer = Trainer(recipe(), single_process("test", "cpu"))
    before = trainer.generator.encoder.film.condition.weight.detach().clone()
    metrics = trainer.update(0.1 * torch.randn(2, 2, 6000, generator=torch.Generator().manual_seed(0)))
    assert metrics
    assert not torch.equal(trainer.generator.encoder.film.condition.weight, before)
    assert trainer.generator.export().denoise is False


def test_a_folder_coded_without_the_switch_is_not_taken_for_a_denoised_one(model, signal, tmp_path):
    weights = tmp_path / "soundstream.safetensors"
    checkpoints.save(model, weights)
    write(tmp_path / "in" / "a.wav", signal, model.config.sample_rate)
    given = [
        "encode",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "--checkpoint",
        str(weights),
        "--kbps",
        "3",
        "-j",
        "1",
    ]
    runs = [CliRunner().invoke(cli, [*given, *more]) for more in ([], [], ["--denoise"], ["--denoise", "--force"])]
    assert [run.output.splitlines()[-1] for run in runs] == [
        "1 done, 0 already there, 0 failed", "0 done, 1 already there, 0 failed",
        "0 done, 0 already there, 1 failed", "1 done, 0 already there, 0 failed",
    ]  # fmt: skip
    assert "with or without --denoise" in runs[2].output
