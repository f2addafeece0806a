"""Loading of checkpoints in every layout, with random weights of the public reference."""

from __future__ import annotations

import hashlib
import sys

import pytest
import torch
from torch.nn.utils import parametrize

from earmark.codec.checkpoints import downloads
from earmark.codec.checkpoints.identities import identity
from earmark.codec.checkpoints.loading import load, save
from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS
from earmark.codec.errors import UserError

from .small import TINY, hugging_face, parametrized, tiny_model, written

NAMES = list(PRESETS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_official_checkpoint_gives_the_reference(references, name, seed, tmp_path):
    reference = references(name, seed)
    model = load(written(reference.state_dict(), tmp_path / "model.th"))
    assert model.config == PRESETS[name]
    config = model.config
    audio = 0.3 * torch.randn(1, config.channels, config.sample_rate // 4)
    with torch.inference_mode():
        torch.testing.assert_close(model.encoder(audio), reference.encoder(audio), atol=1e-5, rtol=0)
        for kbps in (config.kbps[0], config.kbps[-1]):
            reference.set_target_bandwidth(kbps)
            frames = reference.encode(audio)
            coded = model.encode(audio, kbps)
            assert len(frames) == len(coded.segments) == 1
            assert torch.equal(coded.segments[0].codes, frames[0][0])
            torch.testing.assert_close(
                model.decode(coded), reference.decode(frames)[..., : audio.shape[-1]], atol=1e-4, rtol=0
            )


@pytest.mark.parametrize("name", NAMES)
def test_every_layout_and_spelling_is_the_same_model(references, name, tmp_path):
    official = references(name).state_dict()
    files = [
        written(official, tmp_path / "official.th"),
        written(parametrized(official), tmp_path / "official_new.pt"),
        written(official, tmp_path / "official.safetensors"),
        written(hugging_face(official), tmp_path / "hf.safetensors"),
        written(parametrized(hugging_face(official)), tmp_path / "hf_new.safetensors"),
        written(hugging_face(official), tmp_path / "pytorch_model.bin"),
    ]
    torch.save(official, tmp_path / "old.th", _use_new_zipfile_serialization=False)  # as before PyTorch 1.6
    save(load(files[0]), tmp_path / "ours.safetensors")
    files += [tmp_path / "old.th", tmp_path / "ours.safetensors"]
    assert len({identity(load(file)) for file in files}) == 1
    assert {load(file).config for file in files} == {PRESETS[name]}


@pytest.mark.parametrize("name", NAMES)
def test_hugging_face_names_are_those_of_transformers(references, name, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)  # transformers fails on the empty substitute
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.EncodecConfig()
    if name == "encodec_48khz":  # as on its model page
        config = transformers.EncodecConfig(
            target_bandwidths=[3.0, 6.0, 12.0, 24.0], sampling_rate=48000, audio_channels=2, normalize=True,
            chunk_length_s=1.0, overlap=0.01, use_causal_conv=False, norm_type="time_group_norm",
        )  # fmt: skip
    model = transformers.EncodecModel(config).eval()
    model.load_state_dict(parametrized(hugging_face(references(name).state_dict())))
    model.save_pretrained(tmp_path)
    ours = load(tmp_path / "model.safetensors")
    assert identity(ours) == identity(load(written(references(name).state_dict(), tmp_path / "official.th")))
    audio = 0.3 * torch.randn(1, ours.config.channels, 9600)
    with torch.inference_mode():
        torch.testing.assert_close(ours.encoder(audio), model.encoder(audio), atol=1e-5, rtol=0)


def test_names_that_the_public_files_have(references):
    """Some keys of each type, spelt out, so that the renaming above is compared with fixed names."""
    mono, stereo = references("encodec_24khz").state_dict(), references("encodec_48khz").state_dict()
    assert {
        "encoder.layers.0.conv.weight_g", "encoder.layers.1.block.3.conv.weight_v",
        "encoder.layers.1.shortcut.conv.bias", "encoder.layers.13.lstm.weight_ih_l0",
        "decoder.layers.3.conv.weight_v", "quantizer.layers.31.codebook.embed",
    } <= hugging_face(mono).keys()  # fmt: skip
    assert {
        "encoder.layers.0.norm.weight", "decoder.layers.3.norm.bias", "encoder.layers.1.block.1.norm.weight",
        "quantizer.layers.15.codebook.cluster_size",
    } <= hugging_face(stereo).keys()  # fmt: skip


def test_a_known_name_without_weights_in_the_package_is_the_official_file(references, tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path))
    monkeypatch.setattr("earmark.codec.checkpoints.loading.bundled", lambda name: None)
    with pytest.raises(UserError, match="encodec_24khz: its official checkpoint is not on this machine"):
        load("encodec_24khz")
    path = written(references("encodec_24khz").state_dict(), tmp_path / "model.th")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(downloads.OFFICIAL_FILES, "encodec_24khz", f"encodec_24khz-{digest[:8]}.th")
    path.rename(tmp_path / f"encodec_24khz-{digest[:8]}.th")
    assert load("encodec_24khz").config == ENCODEC_24KHZ


@pytest.mark.parametrize("layout", ["official", "ours"])
def test_a_loaded_model_is_ready_for_inference(references, layout, tmp_path):
    path = written(references("encodec_24khz").state_dict(), tmp_path / "model.th")
    if layout == "ours":
        save(load(path), tmp_path / "model.safetensors")
        path = tmp_path / "model.safetensors"
    before = torch.get_rng_state()
    model = load(path)
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(module.training or parametrize.is_parametrized(module) for module in model.modules())
    tensors = [*model.parameters(), *model.buffers()]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
    assert not any(tensor.requires_grad for tensor in tensors)
    assert set(model.state_dict()) >= {"encoder.layers.0.conv.weight", "quantizer.codebooks"}
    before, _ = identity(model), path.write_bytes(bytes(path.stat().st_size))  # the model has memory of its own
    assert identity(model) == before


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_point_types_become_float32(dtype, tmp_path):
    state = {key: value.to(dtype) for key, value in tiny_model().state_dict().items()}
    model = load(written(state, tmp_path / "model.pt"), TINY)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}
    assert torch.equal(model.quantizer.codebooks, state["quantizer.codebooks"].float())
