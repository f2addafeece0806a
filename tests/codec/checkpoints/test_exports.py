"""Exported models, loaded and run by the programs that they are for."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from earmark.codec.checkpoints import exports
from earmark.codec.checkpoints.identities import identity
from earmark.codec.checkpoints.loading import load, save
from earmark.codec.encodec.config import PRESETS
from earmark.codec.encodec.fast.accelerate import accelerate
from earmark.codec.errors import UserError

from ..encodec.test_codes import small_model
from .small import tiny_model

pytestmark = pytest.mark.usefixtures("reference_package")


def sound(model, samples: int, batch: int = 1) -> torch.Tensor:
    return 0.3 * torch.randn(batch, model.config.channels, samples, generator=torch.manual_seed(1))


@pytest.mark.parametrize("name", PRESETS)
@torch.no_grad()
def test_transformers_loads_the_folder_and_gives_the_same_codes(name, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)  # transformers fails on the empty substitute
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = small_model(name)
    exports.to_huggingface(model, tmp_path)
    theirs, loading = transformers.EncodecModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not loading["missing_keys"]
    assert not loading["unexpected_keys"]
    audio = sound(model, 9601)
    expected = theirs.eval().encode(audio, bandwidth=6.0)
    codes = model.encode(audio, 6)
    assert (codes.tensor == expected.audio_codes[0]).float().mean() > 0.99  # but for near ties
    assert load(tmp_path).config == model.config


@pytest.mark.parametrize("name", PRESETS)
@torch.no_grad()
def test_the_public_encodec_loads_the_file_and_gives_the_same_codes(pair, name, tmp_path):
    _, model = pair(name, 0)
    exports.to_encodec(model, tmp_path / "model.th")
    reference, other = pair(name, 1)  # with other weights, until it loads the file
    reference.load_state_dict(torch.load(tmp_path / "model.th", weights_only=True))
    audio = sound(model, 9601)
    reference.set_target_bandwidth(6.0)
    codes = model.encode(audio, 6)
    assert (codes.tensor == reference.encode(audio)[0][0]).float().mean() > 0.99
    assert load(tmp_path / "model.th").config == model.config
    assert identity(other) != identity(model)


def test_the_public_encodec_has_two_shapes_only(tmp_path):
    with pytest.raises(UserError, match="tiny: the public EnCodec makes the shapes of encodec_24khz and encodec_48khz"):
        exports.to_encodec(tiny_model(), tmp_path / "model.th")


@pytest.mark.parametrize("name", PRESETS)
def test_onnx_at_three_lengths(name, tmp_path):
    """The graphs are traced at 15 steps; ONNX Runtime computes others, and other batches and numbers of codebooks."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    model = small_model(name)
    accelerate(model)
    exports.to_onnx(model, tmp_path)
    encoder, decoder = (onnxruntime.InferenceSession(tmp_path / file) for file in ("encoder.onnx", "decoder.onnx"))
    for samples, batch in ((4800, 2), (9601, 1), (24000, 3)):
        audio = sound(model, samples, batch)
        expected = model.encode(audio)
        codes, *scale = encoder.run(None, {"audio": audio.numpy()})
        assert (codes == expected.array).mean() > 0.99  # but for near ties
        few = expected.array[:, :4]
        inputs = {"codes": few}
        if scale:
            np.testing.assert_allclose(scale[0], expected.scales[:, 0], rtol=1e-5)
            inputs["scale"] = expected.scales[:, 0]
        (decoded,) = decoder.run(None, inputs)
        ours = model.decode(type(expected).from_array(few, scales=expected.scales))
        np.testing.assert_allclose(decoded, ours, atol=1e-4)


def test_the_command(tmp_path, monkeypatch, capsys):
    from click.testing import CliRunner

    from earmark.codec.export_cli import export

    save(tiny_model(), tmp_path / "training" / "model.safetensors")

    def run(*arguments):
        return CliRunner().invoke(export, [str(argument) for argument in arguments], standalone_mode=False)

    done = run(tmp_path / "training", "-o", tmp_path / "mine.safetensors")
    assert done.exception is None
    assert "tiny, 1600 Hz, 8, 16 kbps" in done.output
    assert identity(load(tmp_path / "mine.safetensors")) == identity(load(tmp_path / "training" / "model.safetensors"))
    for arguments, message in (
        (("-o", tmp_path / "mine.safetensors"), "exists; add --force to replace it"),
        (("-o", tmp_path / "mine.th"), "--format earmark makes a file that ends in .safetensors"),
        (("-o", tmp_path / "mine.safetensors", "--format", "onnx"), "a file; onnx needs a folder"),
        (("-o", tmp_path / "training", "--format", "huggingface"), "exists; add --force to replace its files"),
    ):
        done = run(tmp_path / "training", *arguments)
        assert isinstance(done.exception, UserError)
        assert message in str(done.exception)
