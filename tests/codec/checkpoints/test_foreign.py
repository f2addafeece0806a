"""Models of transformers and audiocraft: their shapes, and the same codes as their own programs give."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from earmark.codec.checkpoints import hub
from earmark.codec.checkpoints.foreign_configs import from_audiocraft, from_transformers, to_transformers
from earmark.codec.checkpoints.identities import identity
from earmark.codec.checkpoints.loading import load
from earmark.codec.encodec.config import ENCODEC_24KHZ, ENCODEC_48KHZ, EncodecConfig, SEANetConfig
from earmark.codec.errors import UserError

from .small import hugging_face, written

SMALL = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16}
VARIANTS = {
    # The codec of MusicGen: 32 kHz, four codebooks of 2048 codewords at 50 steps a second, 11 bits each: 2.2 kbps.
    "musicgen": {
        **SMALL, "sampling_rate": 32000, "upsampling_ratios": [8, 5, 4, 4], "target_bandwidths": [2.2],
        "codebook_size": 2048, "use_causal_conv": False, "use_conv_shortcut": False,
    },
    "six codebooks": {**SMALL, "target_bandwidths": [1.5, 4.5]},
    "zeros as padding": {**SMALL, "pad_mode": "constant", "num_residual_layers": 2},
    "stereo in segments": {
        **SMALL, "sampling_rate": 48000, "audio_channels": 2, "normalize": True, "chunk_length_s": 1.0, "overlap": 0.01,
        "use_causal_conv": False, "norm_type": "time_group_norm", "target_bandwidths": [3.0, 6.0],
    },
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("reference_package")


@pytest.fixture
def transformers(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)  # transformers fails on the empty substitute
    return pytest.importorskip("transformers", reason="transformers is not installed")


def folder_of(transformers, settings, path):
    torch.manual_seed(0)
    model = transformers.EncodecModel(transformers.EncodecConfig(**settings)).eval()
    with torch.no_grad():
        for layer in model.quantizer.layers:
            nn.init.normal_(layer.codebook.embed, std=0.3)
    model.save_pretrained(path)
    return model


@pytest.mark.parametrize("name", VARIANTS)
@torch.no_grad()
def test_a_hugging_face_folder_gives_the_codes_of_transformers(transformers, name, tmp_path):
    theirs = folder_of(transformers, VARIANTS[name], tmp_path)
    ours = load(tmp_path)
    kbps = VARIANTS[name]["target_bandwidths"][-1] if "target_bandwidths" in VARIANTS[name] else 24.0
    audio = 0.3 * torch.randn(1, ours.config.channels, 9601, generator=torch.manual_seed(1))
    expected = theirs.encode(audio, bandwidth=kbps)
    codes = ours.encode(audio, kbps)
    assert (codes.tensor == expected.audio_codes[0]).float().mean() > 0.99  # but for near ties
    decoded = theirs.decode(expected.audio_codes, expected.audio_scales).audio_values[..., :9601]
    scales = None if codes.scales is None else codes.scales
    same = type(codes).from_array(expected.audio_codes[0], 9601, scales=scales)
    torch.testing.assert_close(ours.decode(same), decoded, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_folder_for_transformers(transformers, name, tmp_path):
    """The configuration written for a model describes the same model there."""
    folder_of(transformers, VARIANTS[name], tmp_path)
    config = load(tmp_path).config
    again = transformers.EncodecConfig(**json.loads(to_transformers(config)))
    original = transformers.EncodecConfig.from_pretrained(tmp_path)
    for key in ("sampling_rate", "upsampling_ratios", "codebook_size", "num_quantizers", "frame_rate", "pad_mode",
                "use_conv_shortcut", "use_causal_conv", "chunk_length", "normalize", "norm_type"):  # fmt: skip
        assert getattr(again, key) == getattr(original, key)


def test_the_public_models_by_their_configurations():
    """`config.json` of facebook/encodec_24khz and _48khz, by the keys that differ from the defaults of transformers."""
    assert from_transformers('{"model_type": "encodec"}') is ENCODEC_24KHZ
    settings = {
        "model_type": "encodec", "sampling_rate": 48000, "audio_channels": 2, "normalize": True, "chunk_length_s": 1.0,
        "overlap": 0.01, "use_causal_conv": False, "norm_type": "time_group_norm",
        "target_bandwidths": [3.0, 6.0, 12.0, 24.0],
    }  # fmt: skip
    assert from_transformers(json.dumps(settings)) is ENCODEC_48KHZ


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model_type": "dac"}, "describes a model of type 'dac'; Earmark loads the type 'encodec'"),
        ({"trim_right_ratio": 0.5}, r"trim_right_ratio = 0\.5: Earmark computes 1\.0 only"),
        ({"num_filters": "many"}, r"config\.seanet\.filters must be a whole number"),
        ({"upsampling_ratios": 5}, "settings of the wrong type"),
        ({"pad_mode": "replicate"}, r"config\.seanet\.pad_mode must be one of reflect, constant"),
    ],
)
def test_a_folder_that_cannot_be_computed(settings, message, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "encodec", **settings}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(UserError, match=message):
        from_transformers((tmp_path / "config.json").read_text())


def test_a_folder_without_its_files(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json in it; give a checkpoint file or a Hugging Face folder"):
        load(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"neither model\.safetensors nor pytorch_model\.bin in it"):
        load(tmp_path)


# The defaults of audiocraft 1.3, and what its recipe for MusicGen's codec changes; OmegaConf leaves interpolations.
AUDIOCRAFT = {
    "compression_model": "encodec", "sample_rate": 32000, "channels": 1,
    "encodec": {
        "autoencoder": "seanet", "quantizer": "rvq", "sample_rate": "${sample_rate}", "channels": "${channels}",
        "causal": False, "renormalize": False,
    },
    "seanet": {
        "dimension": 16, "channels": "${channels}", "causal": "${encodec.causal}", "n_filters": 4,
        "n_residual_layers": 1, "ratios": [8, 5, 4, 4], "activation": "ELU", "activation_params": {"alpha": 1.0},
        "norm": "weight_norm", "norm_params": {}, "kernel_size": 7, "residual_kernel_size": 3, "last_kernel_size": 7,
        "dilation_base": 2, "pad_mode": "constant", "true_skip": True, "compress": 2, "lstm": 2,
        "disable_norm_outer_blocks": 0, "encoder": {},
        "decoder": {"trim_right_ratio": 1.0, "final_activation": None, "final_activation_params": None},
    },
    "rvq": {"n_q": 4, "q_dropout": False, "bins": 2048, "decay": 0.99},
}  # fmt: skip
MUSICGEN = EncodecConfig(
    "encodec_32khz", 32000, (2.2,),
    SEANetConfig(
        filters=4, dimension=16, ratios=(8, 5, 4, 4), causal=False, true_skip=True, pad_mode="constant",
    ),
    codebook_size=2048,
)  # fmt: skip


def reference_state(config: EncodecConfig, seed: int = 0) -> dict[str, Tensor]:
    """State of the public reference with the shape of a model: audiocraft's keys are those of `encodec`."""
    from encodec.modules import SEANetDecoder, SEANetEncoder
    from encodec.quantization import ResidualVectorQuantizer

    torch.manual_seed(seed)
    shape = config.seanet
    how = {
        "channels": shape.channels, "dimension": shape.dimension, "n_filters": shape.filters, "ratios": shape.ratios,
        "norm": shape.norm, "causal": shape.causal, "pad_mode": shape.pad_mode, "true_skip": shape.true_skip,
    }  # fmt: skip
    quantizer = ResidualVectorQuantizer(shape.dimension, config.codebooks(), config.codebook_size)
    for layer in quantizer.vq.layers:
        nn.init.normal_(layer._codebook.embed, std=0.3)
    parts = {"encoder": SEANetEncoder(**how), "decoder": SEANetDecoder(**how), "quantizer": quantizer}
    return {f"{part}.{key}": value for part, module in parts.items() for key, value in module.state_dict().items()}


def package(path, settings=AUDIOCRAFT, **changes):
    state = reference_state(MUSICGEN)
    torch.save(
        {"best_state": state, "xp.cfg": yaml.safe_dump(settings), "version": "1.3.0", "exported": True, **changes}, path
    )
    return path


@torch.no_grad()
def test_a_compression_checkpoint_of_audiocraft(tmp_path):
    """The public reference's network with the same weights gives the same latent and audio."""
    from encodec.modules import SEANetDecoder, SEANetEncoder

    model = load(package(tmp_path / "compression_state_dict.bin"))
    assert model.config == MUSICGEN
    how = {
        "channels": 1, "dimension": 16, "n_filters": 4, "ratios": [8, 5, 4, 4], "norm": "weight_norm", "causal": False,
        "pad_mode": "constant", "true_skip": True,
    }  # fmt: skip
    state = reference_state(MUSICGEN)
    audio = 0.3 * torch.randn(1, 1, 6401, generator=torch.manual_seed(1))
    for part, network, ours, x in (
        ("encoder", SEANetEncoder(**how), model.encoder, audio),
        ("decoder", SEANetDecoder(**how), model.decoder, torch.randn(1, 16, 11)),
    ):
        network.load_state_dict({k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part)})
        torch.testing.assert_close(ours(x), network.eval()(x), rtol=0, atol=1e-5)
    assert model.encode(audio, 2.2).tensor.shape == (1, 4, 11)


def test_codebooks_that_training_dropped_are_bit_rates():
    """encodec_base_24khz of audiocraft: 32 codebooks, of which each update uses some."""
    settings = {**AUDIOCRAFT, "sample_rate": 24000, "rvq": {"n_q": 32, "q_dropout": True, "bins": 1024}}
    settings["seanet"] = {**AUDIOCRAFT["seanet"], "ratios": [8, 5, 4, 2]}
    config = from_audiocraft(yaml.safe_dump(settings))
    assert config.kbps == tuple(0.75 * n for n in range(1, 33))
    assert [config.codebooks(kbps) for kbps in config.kbps] == list(range(1, 33))


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("seanet", "activation", "Snake", "activation = 'Snake': Earmark computes 'ELU' only"),
        ("seanet", "decoder", {"n_filters": 64}, r"seanet\.decoder\.n_filters: Earmark's decoder has the shape of"),
        ("encodec", "quantizer", "no_quant", "quantizer = 'no_quant': Earmark computes 'rvq' only"),
        ("rvq", "bins", None, "is no number"),
    ],
)
def test_a_package_that_cannot_be_computed(section, key, value, message, tmp_path):
    settings = {**AUDIOCRAFT, section: {**AUDIOCRAFT[section], key: value}}
    with pytest.raises(UserError, match=rf"package\.bin: xp\.cfg: .*{message}"):
        load(package(tmp_path / "package.bin", settings))


def test_a_package_that_only_names_a_model(tmp_path):
    torch.save({"pretrained": "facebook/encodec_32khz", "exported": True, "version": "1"}, tmp_path / "pointer.bin")
    with pytest.raises(UserError, match="only the name 'facebook/encodec_32khz'; give that name instead"):
        load(tmp_path / "pointer.bin")


class Hub(ThreadingHTTPServer):
    """Serves the files of a folder as those of the model owner/small."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), HubAnswer)
        self.folder = folder


class HubAnswer(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:  # the name that http.server expects
        name = self.path.removeprefix("/owner/small/resolve/main/")
        if not (self.server.folder / name).is_file():
            return self.send_error(404)
        body = (self.server.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path, monkeypatch) -> Iterator[Path]:
    """The folder that a hub serves; $HF_ENDPOINT names the hub, and the user's cache is empty."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    with Hub(tmp_path / "served") as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield tmp_path / "served"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_model_of_the_hub_is_downloaded_and_loaded_by_its_name(served, weights):
    state = hugging_face(reference_state(replace(MUSICGEN, seanet=replace(MUSICGEN.seanet, pad_mode="reflect"))))
    written(state, served / weights)
    settings = {**VARIANTS["musicgen"], "model_type": "encodec", "use_conv_shortcut": False}
    (served / "config.json").write_text(json.dumps(settings))
    folder = hub.download("owner/small")
    assert sorted(file.name for file in folder.iterdir()) == sorted(["config.json", weights])
    (served / weights).unlink()
    hub.download("owner/small")  # nothing is fetched twice
    assert identity(load("owner/small")) == identity(load(folder / weights))


def test_models_of_another_type_are_not_kept(served, tmp_path):
    (served / "config.json").write_text('{"model_type": "musicgen"}')
    with pytest.raises(UserError, match="owner/small: a model of type 'musicgen'; Earmark loads models of the type"):
        hub.download("owner/small")
    with pytest.raises(UserError, match="the server answers 404"):
        hub.download("owner/other")
    assert [file for file in (tmp_path / "cache").rglob("*") if file.is_file()] == []


def test_a_name_on_the_hub_that_was_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="fetch it by `earmark download facebook/encodec_32khz`"):
        load("facebook/encodec_32khz")
    assert not hub.is_hub_name("encodec_24khz")
    assert not hub.is_hub_name("a/b/c")
