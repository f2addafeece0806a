"""Plug-ins: parts from a file of the user are trained, exported, compared and decoded; a model names what it needs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import earmark
from earmark.cli import cli
from earmark.codec import plugins
from earmark.codec.audio import read, write
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.encodec.streaming import StreamingDecoder, StreamingEncoder
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.distributed import ProcessGroup
from earmark.codec.training.trainer import Trainer

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
PLUGIN = Path(__file__).with_name("my_plugin.py")
RECIPE = """
parent = "tiny"
[plugins]
modules = ["my_plugin.py"]
[model]
name = "mine"
kbps = [0.6, 1.2]
entries = 16
[model.seanet]
filters = 2
dimension = 8
activation = "my_snake"
decoder_block = "scaled"
[losses]
energy = 0.5
smooth = 0.25
[discriminators]
kinds = ["waves"]
filters = 2
start = 0
update_probability = 1.0
[data]
batch = 2
seconds = 0.1
[training]
updates = 2
[validation]
every = 2
kbps = [1.2]
seconds = 0.2
recordings = 3
metrics = ["peak_error"]
best = "peak_error@1.2"
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """No plug-in is loaded before a test, nor after it."""
    monkeypatch.setattr(plugins, "_parts", {})
    monkeypatch.delenv(plugins.VARIABLE, raising=False)
    plugins._load.cache_clear()
    yield
    plugins._load.cache_clear()


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """Folder of a training by the command, whose recipe names the plug-in that is beside it."""
    root = tmp_path_factory.mktemp("plugin")
    (root / "my_plugin.py").write_text(PLUGIN.read_text())
    (root / "mine.toml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugins, "_parts", {})
        patch.delenv(plugins.VARIABLE, raising=False)
        plugins._load.cache_clear()
        done = CliRunner().invoke(
            cli, ["train", str(root / "mine.toml"), "--data", str(corpus), "--out", str(root / "run"), "--no-visqol",
                  "--no-tensorboard", "--workers", "0", "--device", "cpu"],
        )  # fmt: skip
    assert done.exit_code == 0, done.output
    return root / "run"


def test_every_part_takes_part(trained):
    entries = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    means = next(entry for entry in entries if "mel" in entry)
    assert {"energy", "smooth", "adversarial", "features", "discriminator"} <= means.keys()
    assert means["fraction_energy"] > 0
    scores = next(entry["validation"] for entry in entries if "validation" in entry)
    assert scores["peak_error@1.2"] > 0
    assert (trained / "best.safetensors").is_file()


def test_the_model_names_its_plugin_and_loads_with_it(trained):
    with pytest.raises(UserError) as caught:
        checkpoints.load(trained / "model.safetensors")
    assert "there is no activation 'my_snake' of the plug-in my_plugin.py " in str(caught.value)
    assert plugins.VARIABLE in str(caught.value)
    assert "\n" not in str(caught.value)
    plugins.load([str(PLUGIN)])
    model = checkpoints.load(trained / "model.safetensors")
    assert "log_alpha" in " ".join(model.state_dict())


def test_a_state_does_not_run_the_plugin_that_it_names(trained, tmp_path):
    command = ["export", str(trained / "state.pt"), "-o", str(tmp_path / "own.safetensors")]
    done = CliRunner().invoke(cli, command)
    assert "a plug-in's file belongs" in str(done.exception)
    plugins.load([str(PLUGIN)])
    assert CliRunner().invoke(cli, command).exit_code == 0


def test_it_is_compared_and_decodes_files(trained, tmp_path, monkeypatch, tones):
    """The environment variable serves every command, and the processes that it starts."""
    monkeypatch.setenv(plugins.VARIABLE, str(PLUGIN))
    weights = trained / "model.safetensors"
    clip = tmp_path / "clips" / "a.wav"
    write(clip, tones(0.5, 0), 24000)
    run = earmark.compare(
        tmp_path / "clips", [f"mine@1.2:checkpoint={weights}"], metrics=["si_snr"], out=tmp_path / "run", jobs=1
    )  # fmt: skip
    assert run.scores.status.tolist() == ["ok"]
    given = ["--checkpoint", str(weights)]
    for command in (
        ["encode", str(clip), str(tmp_path / "a.ecdc"), "--kbps", "1.2", *given],
        ["decode", str(tmp_path / "a.ecdc"), str(tmp_path / "b.wav"), "--float", *given],
    ):
        done = CliRunner().invoke(cli, command)
        assert done.exit_code == 0, done.output
    model = checkpoints.load(weights)
    decoded = model.decode(model.encode(read(clip).samples, 1.2))[0]
    np.testing.assert_allclose(read(tmp_path / "b.wav").samples, decoded, atol=1e-4)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("losses.enrgy=1", "losses.enrgy is unknown; did you mean losses.energy?"),
        ("model.seanet.activation=relu", "model.seanet.activation must be one of elu, snake, my_snake, not 'relu'"),
        ("discriminators.kinds=['wave']", "discriminators.kinds must be one of ms_stft, msd, mpd, mono_stft, waves"),
        ("quantizer.kind=halve", "quantizer.kind must be one of rvq, diffq, gumbel, half"),
        ("plugins.modules=['nowhere.py']", "nowhere.py: no such file"),
        ("plugins.modules=['no_such_module_at_all']", "does not load (ModuleNotFoundError"),
    ],
)
def test_mistakes_are_one_line(setting, said):
    plugins.load([str(PLUGIN)])
    with pytest.raises(UserError) as caught:
        recipe_files.load("tiny", (setting,))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quantizer_with_a_plain_form_is_exported():
    plugins.load([str(PLUGIN)])
    recipe = recipe_files.load("tiny", ("quantizer.kind=half", "discriminators.kinds=[]", "model.seanet.filters=2"))
    trainer = Trainer(recipe, ALONE)
    audio = 0.1 * torch.randn(2, 1, 4800, generator=torch.Generator().manual_seed(0))
    trainer.update(audio)
    assert trainer.generator.export().encode(audio[:1], 6).array.shape == (1, 10, 15)


class TestFactorizedSnake:
    """Snake and normalised codebooks of eight dimensions, as in DAC."""

    @pytest.fixture(scope="class")
    def trainer(self):
        settings = (
            "model.seanet.activation=snake", "model.codebook_dim=8", "model.entries=16", "model.kbps=[0.6, 1.2]",
            "validation.kbps=[1.2]", "model.seanet.filters=2", "discriminators.kinds=[]",
        )  # fmt: skip
        trainer = Trainer(recipe_files.load("tiny", settings), ALONE)
        for number in range(3):
            trainer.update(0.1 * torch.randn(2, 1, 4800, generator=torch.Generator().manual_seed(number)))
        return trainer

    def test_all_its_parameters_learn(self, trainer):
        gradients = {name: parameter.grad for name, parameter in trainer.generator.named_parameters()}
        assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients.values())
        assert len(trainer.usage()["perplexity"]) == 4

    def test_the_exported_model_is_the_generator_and_is_loaded_again(self, trainer, tmp_path):
        checkpoints.save(trainer.generator.export(), tmp_path / "a.safetensors")
        model = checkpoints.load(tmp_path / "a.safetensors")
        assert model.config.codebook_dim == 8
        audio = 0.1 * torch.randn(1, 1, 4800, generator=torch.Generator().manual_seed(0))
        trainer.generator.eval()
        with torch.no_grad():
            expected = trainer.generator(audio, 4)
        trainer.generator.train()
        codes = model.encode(audio, 1.2)
        assert torch.equal(codes.tensor, expected.quantized.codes)
        torch.testing.assert_close(model.decode(codes), expected.decoded, rtol=1e-3, atol=1e-5)

    def test_streaming_equals_the_whole_signal(self, trainer):
        model = trainer.generator.export()
        audio = 0.1 * torch.randn(1, 1, 4800, generator=torch.Generator().manual_seed(0))
        encoder, decoder = StreamingEncoder(model, 1.2), StreamingDecoder(model, samples=4800)
        parts = [encoder.push(part) for part in audio.split(700, dim=-1)] + [encoder.finish()]
        segments = [segment for part in parts for segment in part]
        codes = torch.cat([segment.codes for segment in segments], dim=-1)
        assert torch.equal(codes, model.encode(audio, 1.2).tensor)
        decoded = torch.cat([decoder.push(segment) for segment in segments] + [decoder.finish()], dim=-1)
        torch.testing.assert_close(decoded, model.decode(model.encode(audio, 1.2)))

    def test_codewords_are_chosen_by_their_direction(self, trainer):
        """By hand: the largest cosine of the projected residual, then the residual without the projected codeword."""
        plain = trainer.generator.quantizer.plain()
        latent = torch.randn(1, 32, 1, generator=torch.Generator().manual_seed(0))
        residual, codes = latent[0, :, 0], []
        for book in range(4):
            z = plain.inward[book] @ residual + plain.inward_bias[book]
            codes.append(int(torch.cosine_similarity(z[None], plain.codewords[book]).argmax()))
            residual = residual - (plain.outward[book] @ plain.codewords[book, codes[-1]] + plain.outward_bias[book])
        assert plain.encode(latent)[0, :, 0].tolist() == codes
        torch.testing.assert_close(
            plain.decode(torch.tensor(codes)[None, :, None])[0, :, 0], latent[0, :, 0] - residual
        )
