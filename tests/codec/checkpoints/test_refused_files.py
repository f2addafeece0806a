"""Files that are not a checkpoint, or not of the expected model."""

from __future__ import annotations

import os
import random
import re
import zipfile
from pathlib import Path

import pytest
import torch

from earmark.codec.checkpoints.identities import identity
from earmark.codec.checkpoints.loading import load, read, save
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.errors import UserError

from .small import TINY, hugging_face, parametrized, tiny_model, written

KEY = "encoder.model.3.conv.conv.weight_v"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop(KEY), f"key '{KEY}' is missing"),
        (lambda state: state.pop("decoder.model.15.conv.conv.bias"), "decoder.model.15.conv.conv.bias' is missing"),
        (lambda state: state.pop("quantizer.vq.layers.31._codebook.embed"), "layers.31._codebook.embed' is missing"),
        (lambda state: state.update({KEY: state[KEY][:3]}), r"has the shape \[3, 32, 4\] instead of \[64, 32, 4\]"),
        (lambda state: state.update({KEY: torch.zeros(1).expand(10**9, 10**9)}), "has the shape"),
        (lambda state: state.update({KEY: state[KEY].int()}), f"key '{KEY}' is not a plain tensor"),
        (lambda state: state.update({KEY: state[KEY].to_sparse()}), f"key '{KEY}' is not a plain tensor"),
        (lambda state: state.update({KEY: "text"}), f"key '{KEY}' is not a plain tensor"),
        (lambda state: state.update({KEY: state[KEY] * torch.nan}), f"key '{KEY}' gives NaN"),
        (lambda state: state.update({KEY: state[KEY] * 0}), "weight_g' gives NaN"),
        (lambda state: state.update(extra=state[KEY]), "key 'extra' does not belong there"),
        (lambda state: state.update(settings={"a": 1}), "key 'settings' does not belong there"),
    ],
    ids=["missing", "last missing", "codebook missing", "shape", "huge", "integers", "sparse", "text", "nan",
         "zero norm", "extra", "extra object"],
)  # fmt: skip
def test_the_first_key_that_does_not_fit_is_named(references, change, message, tmp_path):
    state = dict(references("encodec_24khz").state_dict())
    change(state)
    with pytest.raises(UserError, match=message) as caught:
        load(written(state, tmp_path / "wrong.th"))
    assert str(caught.value).startswith(f"{tmp_path / 'wrong.th'}: key '")
    assert str(caught.value).endswith("not a checkpoint of encodec_24khz; give one of that model")


def test_missing_keys_are_named_in_the_layout_of_the_file(references, tmp_path):
    state = parametrized(hugging_face(references("encodec_24khz").state_dict()))
    del state["decoder.layers.3.conv.parametrizations.weight.original0"]
    with pytest.raises(
        UserError, match=r"key 'decoder\.layers\.3\.conv\.parametrizations\.weight\.original0' is missing"
    ):
        load(written(state, tmp_path / "wrong.safetensors"))


def test_the_other_models_checkpoint(references, tmp_path):
    path = written(references("encodec_48khz").state_dict(), tmp_path / "stereo.th")
    with pytest.raises(UserError, match=r"stereo\.th: key 'encoder\.model\.0\.conv\.conv\.weight' has the shape"):
        load(path, ENCODEC_24KHZ)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"foo": torch.zeros(3), "bar": torch.zeros(3)}, "key 'foo' does not belong to EnCodec"),
        ({"state": {"encoder.model.0.conv.conv.bias": torch.zeros(3)}}, "key 'state' does not belong to EnCodec"),
        ({}, "no tensors in it"),
        ([torch.zeros(3)], "holds no named tensors"),
        (torch.zeros(3), "holds no named tensors"),
        ({1: torch.zeros(3)}, "holds no named tensors"),
    ],
    ids=["another model", "nested", "empty", "list", "tensor", "numbered"],
)
def test_a_foreign_file(content, message, tmp_path):
    torch.save(content, tmp_path / "foreign.pt")
    with pytest.raises(UserError, match=rf"foreign\.pt: {message}"):
        load(tmp_path / "foreign.pt")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "old"])
def test_code_in_a_pickle_is_refused_not_run(new, tmp_path):
    torch.save({"a": Bomb(tmp_path / "ran")}, tmp_path / "bomb.th", _use_new_zipfile_serialization=new)
    with pytest.raises(UserError, match=r"bomb\.th: holds \w+\.system, which is not a tensor and could run code"):
        load(tmp_path / "bomb.th")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"hello, world", bytes(1000), b"PK\x03\x04", b"\x00" * 8 + b"{"])
@pytest.mark.parametrize("suffix", ["th", "safetensors"])
def test_not_a_checkpoint_at_all(content, suffix, tmp_path):
    path = tmp_path / f"file.{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not readable as a checkpoint: truncated, damaged or of another type"):
        load(path)


def test_no_file(tmp_path):
    with pytest.raises(UserError, match=r"no\.th: no such file; give a checkpoint or one of encodec_24khz"):
        load(tmp_path / "no.th")
    with pytest.raises(UserError, match=r"encodec_16khz: no such file"):
        load("encodec_16khz")
    with pytest.raises(UserError, match=r"no config\.json in it; give a checkpoint file or a Hugging Face folder"):
        load(tmp_path)


@pytest.mark.parametrize("format", ["zip", "old", "safetensors"])
def test_truncated_and_damaged_files(format, tmp_path):
    """A truncated file never loads. A damaged file in our format loads only if the weights are intact."""
    path = tmp_path / "tiny"
    if format == "safetensors":
        save(tiny_model(), path)
    else:
        torch.save(tiny_model().state_dict(), path, _use_new_zipfile_serialization=format == "zip")
    content = path.read_bytes()
    intact = identity(load(path, TINY))
    generator = random.Random(0)
    for _ in range(60):
        path.write_bytes(content[: generator.randrange(len(content))])
        with pytest.raises(UserError, match=re.escape(str(path))):
            load(path, TINY)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        try:
            loaded = identity(load(path, TINY))
        except UserError:
            continue
        assert format != "safetensors" or loaded == intact


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    """A few kilobytes could unpack to gigabytes."""
    torch.save({"weight": torch.zeros(100_000)}, tmp_path / "stored.th")
    with (
        zipfile.ZipFile(tmp_path / "stored.th") as stored,
        zipfile.ZipFile(tmp_path / "deflated.th", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for item in stored.infolist():
            deflated.writestr(item.filename, stored.read(item))
    with pytest.raises(UserError, match="not readable as a checkpoint"):
        read(tmp_path / "deflated.th")
