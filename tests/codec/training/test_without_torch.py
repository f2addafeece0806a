"""Commands of training without PyTorch: --help and `earmark data` work, the others say how to install it."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

RUN = """
import json, sys
if BLOCKED:
    sys.modules["torch"] = None  # as if it were not installed
from click.testing import CliRunner
from earmark.cli import cli
results = []
for arguments in json.loads(sys.argv[1]):
    result = CliRunner().invoke(cli, arguments)
    results.append([result.exit_code, str(result.exception or ""), result.output])
print(json.dumps({"results": results, "torch": sys.modules.get("torch") is not None}))
"""


def run(*commands, blocked):
    """Run commands in a new process: (exit code, exception, output) of each, and whether torch was imported."""
    code = RUN.replace("BLOCKED", str(blocked))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    return outcome["results"], outcome["torch"]


def test_helps_import_no_torch():
    commands = [["train"], ["train-lm"], ["reproduce"], ["data", "index"], ["data", "shards"]]
    results, torch_imported = run(*([*command, "--help"] for command in commands), blocked=False)
    assert [code for code, _, _ in results] == [0] * len(commands)
    assert not torch_imported


def test_recipes_and_data_sets_import_no_torch():
    modules = [
        "codec.training.recipe_files", "codec.training.examples.shards", "codec.training.schedule",
        "codec.datasets.layouts", "codec.datasets.open_corpus", "codec.audio.mel", "eval.paper.budget",
    ]  # fmt: skip
    imports = "".join(f"import earmark.{module}\n" for module in modules)
    code = f"import sys\n{imports}assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["train", "tiny", "--data", ".", "--out", "out"],
        ["train-lm", "encodec_24khz", "--data", ".", "--out", "out"],
        ["reproduce", "table2", "--data", ".", "--out", "out", "--budget", "2updates"],
    ],
)
def test_the_message_has_the_pip_command(command):
    [(_, message, _)], _ = run(command, blocked=True)
    assert message == f"{command[0]}: PyTorch is not installed; run `pip install 'earmark[encodec]'`"


def test_a_corpus_is_indexed_and_decoded_without_torch(tmp_path):
    (tmp_path / "voices").mkdir()
    soundfile.write(tmp_path / "voices" / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    manifest, shards = str(tmp_path / "m.jsonl"), str(tmp_path / "shards")
    results, _ = run(
        ["data", "index", str(tmp_path / "voices"), "--layout", "folder", "--kind", "speech", "--out", manifest],
        ["data", "shards", manifest, "--sample-rate", "8000", "--out", shards],
        blocked=True,
    )
    assert [code for code, _, _ in results] == [0, 0], results
    assert (tmp_path / "shards" / "shard-0000.pcm").stat().st_size == 2 * 8000
