"""The page for those who come from other programs: old and new calls run side by side, and give the same codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .markdown import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "coming-from.md"
# Before the page's code: random weights stand for the published ones, in the places where each program looks for them.
BEFORE = """
import sys, types, warnings
import torch

warnings.simplefilter("ignore")
import transformers  # before the substitute of torchaudio, on which it fails

transformers.EncodecModel  # loads the module
sys.modules["torchaudio"] = types.ModuleType("torchaudio")  # which encodec imports and does not need here
import encodec

torch.manual_seed(0)
weights = encodec.EncodecModel.encodec_model_24khz(pretrained=False)
for layer in weights.quantizer.vq.layers:
    torch.nn.init.normal_(layer._codebook.embed, std=0.05)
encodec.EncodecModel.encodec_model_24khz = staticmethod(lambda: weights.eval())

import hashlib
from pathlib import Path
from earmark.codec.checkpoints import downloads, exports, hub, loading

cache = downloads.cache_folder()
cache.mkdir(parents=True)
torch.save(weights.state_dict(), cache / "official.th")
name = f"encodec_24khz-{hashlib.sha256((cache / 'official.th').read_bytes()).hexdigest()[:8]}.th"
(cache / "official.th").rename(cache / name)
downloads.OFFICIAL_FILES["encodec_24khz"] = name
folder = hub.folder_of("facebook/encodec_24khz")
exports.to_huggingface(loading.load(cache / name), folder)
load_folder = transformers.EncodecModel.from_pretrained
transformers.EncodecModel.from_pretrained = lambda name: load_folder(hub.folder_of(name)).eval()
"""
AFTER = """
assert (codes_of_earmark == old_codes).float().mean() > 0.999  # but for near ties
assert (codes_of_earmark == hf_codes).float().mean() > 0.999
assert (same.encode(audio, 6).tensor == codes_of_earmark).float().mean() > 0.999
assert (decoded_of_earmark - old_decoded[..., :24000]).abs().max() < 1e-3
assert (decoded_of_earmark - hf_decoded[..., :24000]).abs().max() < 1e-3
assert (decoded_there[..., :24000] - decoded_of_earmark).abs().max() < 1e-3
assert (decoded_here[..., :24000] - decoded_of_earmark).abs().max() < 1e-3
"""
KEEP = "\ncodes_of_earmark, decoded_of_earmark = codes.tensor, decoded\n"


def test_old_and_new_calls_give_the_same(tmp_path: Path):
    for package in ("encodec", "transformers"):
        pytest.importorskip("importlib.metadata").distribution(package)
    code = [block.code for block in blocks(PAGE) if block.language == "python"]
    encoded = next(index for index, block in enumerate(code) if "decoded = model.decode(codes)  # as long" in block)
    code[encoded] += KEEP
    script = tmp_path / "page.py"
    script.write_text(BEFORE + "\n".join(code) + AFTER, encoding="utf-8")
    environment = {
        **os.environ,
        "EARMARK_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
