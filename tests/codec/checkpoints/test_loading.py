"""Loading of checkpoints in every layout, with random weights of the public reference, and of files that are none."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import re
import struct
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from earmark.codec.checkpoints import config_json, downloads
from earmark.codec.checkpoints.config_json import config_from_json, config_to_json
from earmark.codec.checkpoints.loading import identity, load, read, save
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, PRESETS, EncodecConfig, SEANetConfig, stored_keys
from earmark.codec.encodec.layers import fold
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError, WriteError

NAMES = list(PRESETS)
TINY = EncodecConfig(
    "tiny", 1600, (8.0, 16.0), SEANetConfig(dimension=8, filters=2, ratios=(4, 2), lstm=1), codebook_size=16
)  # 200 steps a second of 4 bits: 0.8 kbps a codebook


@pytest.fixture(scope="module")
def references(pair):
    """(name, seed) -> the reference, with weight norms and norms changed from their initial values."""

    @functools.lru_cache(maxsize=2)  # about 100 MB each
    def make(name: str, seed: int = 0):
        reference, _ = pair(name, seed)
        with torch.no_grad():
            for key, tensor in reference.named_parameters():
                if key.endswith("weight_g") or ".norm." in key:
                    tensor.mul_(1 + 0.2 * torch.rand_like(tensor)).add_(0.01)
        return reference

    return make


def parametrized(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weight norm with the keys of torch.nn.utils.parametrizations."""
    ends = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {re.sub(r"weight_[gv]$", lambda end: ends[end[0]], key): value for key, value in state.items()}


def hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The keys of transformers' convert_encodec_checkpoint_to_pytorch.py; a test compares them with its model."""
    renamed = {}
    for key, value in state.items():
        key = re.sub(r"^(encoder|decoder)\.model\.", r"\1.layers.", key)
        key = key.replace(".conv.conv.", ".conv.").replace(".convtr.convtr.", ".conv.")
        key = key.replace(".conv.norm.", ".norm.").replace(".convtr.norm.", ".norm.")
        renamed[key.replace("quantizer.vq.", "quantizer.").replace("._codebook.", ".codebook.")] = value
    return renamed


def written(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        state = {key: value.clone() for key, value in state.items()}
        safetensors.torch.save_file(state, path, {"format": "pt"})
    else:
        torch.save(state, path)
    return path


def tiny_model(config: EncodecConfig = TINY, seed: int = 0) -> EncodecModel:
    torch.manual_seed(seed)
    model = EncodecModel(config)
    torch.nn.init.normal_(model.quantizer.codebooks)
    return model


@pytest.fixture
def tiny_file(tmp_path) -> Path:
    save(tiny_model(), tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


# Files of the reference and of transformers


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


# The loaded model


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


# Folding and identity


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


# Our own files


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


def rewritten(path: Path, **metadata: str | None) -> Path:
    """The same tensors with other metadata; None removes a field."""
    with safetensors.safe_open(path, "pt") as file:
        about = {**file.metadata(), **metadata}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    safetensors.torch.save_file(tensors, path, {key: value for key, value in about.items() if value is not None})
    return path


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


def altered(key: str, value: object) -> str:
    data = json.loads(config_to_json(TINY))
    target = data["seanet"] if key.startswith("seanet.") else data
    target[key.removeprefix("seanet.")] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"name": ' + "9" * 10_000 + "}", "not JSON"),
        ("null", "config must be an object"),
        ("{}", r"config\.name is missing"),
        (altered("name", "a\nb"), r"config\.name must be"),
        (altered("name", 3), r"config\.name must be"),
        (altered("sample_rate", 24000.0), r"config\.sample_rate must be a whole number"),
        (altered("sample_rate", True), r"config\.sample_rate must be a whole number"),
        (altered("sample_rate", 0), r"config\.sample_rate must be a whole number"),
        (altered("kbps", []), r"config\.kbps must be"),
        (altered("kbps", [16, 8]), r"config\.kbps must be"),
        (altered("kbps", [8, float("nan")]), r"config\.kbps must be"),
        (altered("kbps", [8, "16"]), r"config\.kbps must be"),
        (altered("kbps", 8), r"config\.kbps must be"),
        (altered("kbps", [0.5]), r"config\.kbps must be worth 1 to 1024 codebooks"),
        (altered("kbps", [8, 10_000]), r"config\.kbps must be worth 1 to 1024 codebooks"),
        (altered("entries", 1000), r"config\.entries must be a power of two"),
        (altered("entries", 2**40), r"config\.entries must be a power of two"),
        (altered("segment", -1), r"config\.segment must be"),
        (altered("segment", float("inf")), r"config\.segment must be"),
        (altered("overlap", 1), r"config\.overlap must be"),
        (altered("normalize", 1), r"config\.normalize must be true or false"),
        (altered("colour", "red"), r"config\.'colour' is unknown"),
        (altered("seanet", []), r"config\.seanet must be an object"),
        (altered("seanet.filters", 10**9), r"config\.seanet\.filters must be a whole number"),
        (altered("seanet.ratios", [2] * 1000), r"config\.seanet\.ratios must be"),
        (altered("seanet.ratios", [64] * 8), r"config\.seanet\.ratios must make at least one latent step per second"),
        (altered("seanet.residual_layers", 10**9), r"config\.seanet\.residual_layers must be"),
        (altered("seanet.norm", "batch_norm"), r"config\.seanet\.norm must be one of"),
        (altered("seanet.norm", []), r"config\.seanet\.norm must be one of"),
        (altered("seanet.norm", "time_group_norm"), r"config\.seanet\.norm must not be time_group_norm in a causal"),
        (altered("seanet.compress", 3), r"config\.seanet\.compress must not exceed"),
        (altered("seanet.__class__", "x"), "is unknown"),
    ],
)
def test_a_hostile_description_is_one_clear_error(tiny_file, text, message):
    with pytest.raises(UserError, match=message) as caught:
        load(rewritten(tiny_file, config=text))
    assert str(caught.value).startswith(str(tiny_file))
    assert len(str(caught.value).removeprefix(str(tiny_file))) < 300


def test_the_description_of_a_huge_model_allocates_no_memory(tiny_file):
    """2 stacks of 16 LSTM layers, each with 2 matrices of 4 n x n weights, n = 1024 * 2^8: 2 * 10^13 weights."""
    data = json.loads(config_to_json(TINY))
    data["seanet"].update(filters=1024, ratios=[64, 5, 1, 1, 1, 1, 1, 1], lstm=16)
    data["kbps"] = [8]
    with pytest.raises(UserError, match=r"has the shape \[2, 1, 7\] instead of \[1024, 1, 7\]"):
        load(rewritten(tiny_file, config=json.dumps(data)))


def test_mutated_descriptions_are_read_or_refused():
    text = config_to_json(TINY)
    generator = random.Random(0)
    for _ in range(2000):
        letters = list(text)
        for _ in range(generator.randint(1, 4)):
            letters[generator.randrange(len(letters))] = generator.choice('0123456789.,:"[]{}-eEtfn ')
        try:
            assert isinstance(config_from_json("".join(letters)), EncodecConfig)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.parametrize("config", [TINY, ENCODEC_24KHZ, ENCODEC_48KHZ], ids=lambda config: config.name)
def test_descriptions_are_complete(config):
    assert config_from_json(config_to_json(config)) == config
    assert set(config_json.MODEL_RULES) == set(stored_keys(EncodecConfig))
    assert set(config_json.SEANET_RULES) == set(stored_keys(SEANetConfig))


# Files that are not a checkpoint

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
    with pytest.raises(UserError, match=r"bomb\.th: holds \w+\.system, which is no tensor and could run code"):
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
    with pytest.raises(UserError, match="not readable"):
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
