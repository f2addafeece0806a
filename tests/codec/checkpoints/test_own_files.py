"""Checkpoints in Earmark's layout, folding of weight norm, and the identity of weights."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import pytest
import torch

from earmark.codec.checkpoints.header import identities
from earmark.codec.checkpoints.identities import accepted_identities, codes_identity, identity
from earmark.codec.checkpoints.loading import load, read, save
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.encodec.layers import fold
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError, WriteError

from .small import TINY, rewritten, tiny_model, written


def test_fold_on_a_worked_example():
    """|(3, 4)| = 5, so 10 (3, 4) / 5 = (6, 8); |(2, 3, 6)| = 7."""
    assert fold(torch.tensor([[[10.0]]]), torch.tensor([[[3.0, 4.0]]])).tolist() == [[[6.0, 8.0]]]
    assert fold(torch.tensor([[[7.0]]]), torch.tensor([[[2.0], [3.0], [6.0]]])).tolist() == [[[2.0], [3.0], [6.0]]]


@pytest.mark.parametrize("shape", [(4, 1, 7), (16, 32, 3), (5, 1, 1), (64, 33, 5)])
def test_fold_is_weight_norm(shape):
    g, v = torch.randn(shape[0], 1, 1), torch.randn(shape)
    torch.testing.assert_close(fold(g, v), torch._weight_norm(v, g, 0), atol=1e-6, rtol=1e-6)
    exact = g.double() * v.double() / v.double().flatten(1).norm(dim=1)[:, None, None]
    torch.testing.assert_close(fold(g, v), exact.float(), atol=0, rtol=2**-23)  # at most the last bit


def test_identity_is_the_hash_in_its_docstring():
    model = tiny_model(replace(TINY, seanet=replace(TINY.seanet, norm="none")))
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {'x'.join(str(size) for size in tensor.shape)}\n".encode())
        digest.update(struct.pack(f"<{tensor.numel()}f", *tensor.flatten().tolist()))
    assert identity(model) == digest.hexdigest()


def test_identity_changes_with_one_bit():
    model = tiny_model()
    before = identity(model)
    with torch.no_grad():
        model.quantizer.codebooks[1, 2, 3] = torch.nextafter(model.quantizer.codebooks[1, 2, 3], torch.tensor(9.0))
    assert identity(model) != before
    assert identity(tiny_model()) == before


def test_identity_follows_changes_of_the_weights():
    model = EncodecModel(TINY)
    first = identity(model)
    assert identity(model) == first
    with torch.no_grad():
        model.quantizer.codebooks[0, 0, 0] += 1
    second = identity(model)
    with torch.no_grad():
        next(model.encoder.parameters()).mul_(2)
    third = identity(model)
    model.quantizer.codebooks = torch.ones_like(model.quantizer.codebooks)
    assert len({first, second, third, identity(model)}) == 4


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, seanet=replace(TINY.seanet, norm="time_group_norm", causal=False, channels=2), segment=0.5),
        replace(TINY, seanet=replace(TINY.seanet, norm="layer_norm", lstm=0, tanh=True, residual_layers=3)),
        replace(TINY, seanet=replace(TINY.seanet, true_skip=True), kbps=(0.8,), normalize=True),
    ],
    ids=["weight_norm", "time_group_norm", "layer_norm", "one codebook"],
)
def test_saving_and_loading_gives_the_same_model(config, tmp_path):
    model = tiny_model(config).eval()
    save(model, tmp_path / "sub" / "model.safetensors", trained_on="nothing")
    loaded = load(tmp_path / "sub" / "model.safetensors")
    assert loaded.config == config
    assert identity(loaded) == identity(model)
    audio = torch.randn(1, config.channels, 801)
    torch.testing.assert_close(loaded.decode(loaded.encode(audio)), model.decode(model.encode(audio)))
    assert read(tmp_path / "sub" / "model.safetensors")[1]["trained_on"] == "nothing"
    assert [file.name for file in (tmp_path / "sub").iterdir()] == ["model.safetensors"]


def test_a_model_of_one_codebook_in_the_hugging_face_layout(tmp_path):
    config = replace(TINY, kbps=(0.8,))
    model = tiny_model(config)
    state = model.state_dict()
    state["quantizer.layers.0.codebook.embed"] = state.pop("quantizer.codebooks")[0]
    assert identity(load(written(state, tmp_path / "model.pt"), config)) == identity(model)


def test_metadata_must_not_replace_reserved_keys(tmp_path):
    with pytest.raises(ValueError, match="identity"):
        save(tiny_model(), tmp_path / "model.safetensors", identity="me")


def test_a_path_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"model\.safetensors: cannot be written"):
        save(tiny_model(), tmp_path / "file" / "model.safetensors")


def test_another_shape_than_expected_is_refused(tiny_file):
    assert load(tiny_file, TINY).config == TINY
    with pytest.raises(
        UserError, match=r"tiny\.safetensors: a checkpoint of tiny with another shape than the expected one"
    ):
        load(tiny_file, ENCODEC_24KHZ)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"version": "2"}, "another version of Earmark wrote this checkpoint"),
        ({"version": None}, "another version of Earmark wrote this checkpoint"),
        ({"config": None}, "the model's description is not JSON"),
        ({"identity": None}, "its weights are not those that were saved"),
        ({"identity": "0" * 64}, "its weights are not those that were saved"),
    ],
)
def test_wrong_metadata_is_refused(tiny_file, metadata, message):
    with pytest.raises(UserError, match=rf"tiny\.safetensors: .*{message}"):
        load(rewritten(tiny_file, **metadata))


def test_the_identities_of_a_file_are_those_of_its_model(tmp_path):
    """They are computed without PyTorch, for `earmark inspect`."""
    model = tiny_model()
    save(model, tmp_path / "model.safetensors")
    assert identities(tmp_path / "model.safetensors") == accepted_identities(model)
    assert codes_identity(model) != identity(model)
    with torch.no_grad():
        model.decoder.layers[0].conv.bias += 1
    assert accepted_identities(model)[0] == identities(tmp_path / "model.safetensors")[0]
