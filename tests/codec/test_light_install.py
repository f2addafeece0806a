"""An installation without the extra `encodec`: what works without PyTorch, and one line for what does not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.codec import audio, ecdc
from earmark.codec.encodec.codes import Codes
from earmark.codec.encodec.config import ENCODEC_24KHZ
from earmark.codec.errors import UserError
from earmark.codec.language_model.network import LanguageModel, LanguageModelConfig
from earmark.codec.language_model.portable_coder import PortableModelCoder
from earmark.codec.language_model.portable_quantization import quantized

CODEC = Path(__file__).parents[2] / "codec"
NO_TORCH = "import sys; sys.modules['torch'] = None\n"  # any import of it fails
INSTALL = "PyTorch is not installed; run `pip install 'earmark[encodec]'`"


def earmark(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `earmark ARGUMENTS` without PyTorch."""
    program = f"{NO_TORCH}sys.argv = {['earmark', *map(str, arguments)]!r}\nfrom earmark.cli import main; main()"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    audio.write(tmp_path / "in.wav", np.zeros((1, 2400), np.float32), 24000)
    return tmp_path / "in.wav"


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of 30 steps, raw and by a language model."""
    folder = tmp_path_factory.mktemp("coded")
    array = np.random.default_rng(0).integers(0, 1024, (1, 2, 30))
    config = LanguageModelConfig(codebooks=2, context=262, dimension=8, heads=2, layers=1)
    coders = {"raw": None, "lm": PortableModelCoder(quantized(LanguageModel(config)))}
    for name, coder in coders.items():
        with (folder / f"{name}.ecdc").open("wb") as file:
            codes = Codes.from_array(array, 30 * 320)
            ecdc.write(file, codes, ENCODEC_24KHZ, language_model=coder is not None, coder=coder)
    return {name: folder / f"{name}.ecdc" for name in coders}


def test_reading_audio_files_and_checkpoint_headers_imports_no_torch():
    paths = [
        *CODEC.glob("audio/*.py"), *CODEC.glob("ecdc/*.py"),
        *(CODEC / "checkpoints" / f"{name}.py" for name in ("header", "downloads", "config_json")),
        *(path for path in CODEC.glob("*.py") if path.stem != "recordings"),
    ]  # fmt: skip
    names = [".".join(path.relative_to(CODEC).with_suffix("").parts).removesuffix("__init__") for path in paths]
    assert len(names) > 25
    imports = "\n".join(f"import earmark.codec.{name}".rstrip(".") for name in names)
    subprocess.run([sys.executable, "-c", NO_TORCH + imports], check=True)


@pytest.mark.parametrize("options", [[], ["--lm"], ["--format", "reference"], ["--checkpoint", "official"]])
def test_encode_names_the_missing_package_and_the_command(recording, options):
    done = earmark("encode", recording, recording.with_suffix(".ecdc"), *options)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"earmark: EnCodec: {INSTALL}\n")
    assert not recording.with_suffix(".ecdc").exists()


@pytest.mark.parametrize(("name", "what"), [("raw", "EnCodec"), ("lm", "EnCodec")])
def test_decode_names_the_missing_package_and_the_command(coded, tmp_path, name, what):
    done = earmark("decode", coded[name], tmp_path / "out.wav")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"earmark: {what}: {INSTALL}\n")
    assert not (tmp_path / "out.wav").exists()


def test_inspect_reads_raw_codes_and_the_header_of_others(coded):
    raw, lm = (earmark("inspect", coded[name]) for name in ("raw", "lm"))
    assert (raw.returncode, raw.stderr) == (0, "")
    assert json.loads(raw.stdout)["codes_sha256"] is not None
    note = f"note: {coded['lm']}: not read beyond its header: coding by a language model: {INSTALL}\n"
    assert (lm.returncode, lm.stderr) == (0, note)
    facts = json.loads(lm.stdout)
    assert (facts["entropy"], facts["codes_sha256"]) == ("portable_model", None)


def test_codes_from_an_array_name_the_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=re.escape(f"Codes.from_array: {INSTALL}")):
        Codes.from_array(np.zeros((2, 4), int), 1280)
