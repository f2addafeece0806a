"""`earmark encode`, `decode` and `inspect` with a language model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch

from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.language_model import files as language_model_files
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig

from .command_line import assert_one_line, noise, wav


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = LanguageModelConfig(codebooks=2, context=262, dimension=40, layers=2, feed_forward=80)
    path = tmp_path_factory.mktemp("language model") / "float.safetensors"
    language_model_files.save(LanguageModel(config), path)
    return path


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_a_language_model_does_not_change_the_audio(earmark, weights, language_model, tmp_path, format):
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    checkpoint = ("--checkpoint", weights["encodec_24khz"])
    for name, options in (("raw", ()), ("lm", ("--lm", "--language-model", language_model))):
        coded, decoded = tmp_path / f"{name}.ecdc", tmp_path / f"{name}.wav"
        assert earmark("encode", source, coded, "--kbps", 1.5, "--format", format, *checkpoint, *options).status == 0
        assert earmark("decode", coded, decoded, *checkpoint, *options[1:]).status == 0
    raw, lm = (soundfile.read(tmp_path / f"{name}.wav", dtype="int16")[0].astype(int) for name in ("raw", "lm"))
    assert abs(raw - lm).max() <= 1  # the same codes, decoded in other pieces, are rounded differently
    without = earmark("decode", tmp_path / "lm.ecdc", tmp_path / "other.wav", *checkpoint)
    if format == "reference":
        assert_one_line(without, "give it by --language-model")
        return
    named = json.loads(earmark("inspect", tmp_path / "lm.ecdc").stdout)["language_model_identity"]
    assert_one_line(without, f"lm.ecdc: coded by the language model {named}; give it by --language-model")
    elsewhere = ("--language-model", tmp_path / "nowhere")
    assert_one_line(
        earmark("decode", tmp_path / "lm.ecdc", tmp_path / "other.wav", *checkpoint, *elsewhere),
        "nowhere: no such file; give the official language model",
    )


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_the_language_model_of_other_weights_is_one_line(earmark, weights, tmp_path, format):
    checkpoint = weights["encodec_24khz"]
    config = LanguageModelConfig(codebooks=2, context=262, dimension=8, heads=2, layers=1)
    model, identity = LanguageModel(config), identities.codes_identity(checkpoints.load(checkpoint))
    language_model_files.save(model, tmp_path / "own.safetensors", codec=identity)
    language_model_files.save(model, tmp_path / "other.safetensors", codec="0123456789abcdef" * 4)
    source = wav(tmp_path / "in.wav", noise(2400), 24000)
    given = ("encode", source, tmp_path / "a.ecdc", "--force", "--kbps", 1.5, "--format", format)
    given = (*given, "--checkpoint", checkpoint)
    assert earmark(*given, "--language-model", tmp_path / "own.safetensors").status == 0
    done = earmark(*given, "--language-model", tmp_path / "other.safetensors")
    assert_one_line(
        done, f"trained on codes of the weights 0123456789abcdef; this codec has the weights {identity[:16]}"
    )


@pytest.mark.parametrize("format", ["earmark", "reference"])
def test_inspect_with_and_without_the_language_model(earmark, weights, language_model, tmp_path, format):
    """With it, the codes are those of the raw file; without it, only the header is read."""
    source = wav(tmp_path / "in.wav", noise(3 * 24000), 24000)
    given = ("--kbps", 1.5, "--format", format, "--checkpoint", weights["encodec_24khz"])
    raw, lm = tmp_path / "raw.ecdc", tmp_path / "lm.ecdc"
    assert earmark("encode", source, raw, *given).status == 0
    assert earmark("encode", source, lm, *given, "--lm", "--language-model", language_model).status == 0
    expected = json.loads(earmark("inspect", raw).stdout)
    facts = json.loads(earmark("inspect", lm, "--language-model", language_model).stdout)
    assert facts["codes_sha256"] == expected["codes_sha256"] is not None
    assert facts["seconds"] == expected["seconds"]

    without = earmark("inspect", lm)
    assert without.status == 0
    assert "not read beyond its header" in without.stderr
    assert json.loads(without.stdout)["codes_sha256"] is None
