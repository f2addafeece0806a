"""No command overwrites a file that it did not write (`decode` replaced the user's own recording, with status 0)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest

from earmark.cli import cli
from earmark.codec.audio import write

from .calling import call

HERE = Path(__file__).resolve().parents[1] / "data" / "version-0.1"
# Command -> its other arguments, and the output that exists. A name with a slash is a file that the command would write
# in its output folder.
FILES = {
    "encode": (["clips/a.wav"], "mine.ecdc"),
    "decode": (["a.ecdc"], "mine.wav"),
    "tables": (["run", "-o"], "mine.csv"),
    "differences": (["run", "-o"], "mine.csv"),
    "worst": (["run", "-o"], "mine.html"),
    "run show": (["run", "-o"], "mine.json"),
    "bench": (["-s", "opus@6", "-o"], "mine.json"),
    "level": (["clips/a.wav", "-o"], "mine.csv"),
    "probe": (["opus@12", "-o"], "mine.txt"),
    "data index": (["clips", "--layout", "folder", "--category", "music", "-o"], "mine.jsonl"),
    "data open-corpus": (["clips", "-o"], "mine.jsonl"),
    "export": (["tiny.safetensors", "-o"], "mine.safetensors"),
    "inspect": (["encodec_24khz", "--diagram", "-o"], "mine.svg"),
    "compare": (["clips", "-s", "opus@12", "-m", "si_snr", "-j", "1", "-o"], "out/table.csv"),
    "score": (["clips", "clips", "-m", "si_snr", "-j", "1", "-o"], "out/table.csv"),
    "run merge": (["run", "other", "-o"], "out/table.csv"),
    "study build": (["run", "-o"], "out/study.json"),
    "study import": (["config.yaml", "-o"], "out/study.json"),
    "study backup": (["study", "-o"], "mine.sqlite"),
    "study submissions": (["study", "-o"], "mine.csv"),
    "study report": (["--ratings", "ratings.csv", "-o"], "out/report.html"),
    "data shards": (["data.jsonl", "--rate", "24k", "-o"], "out/shard-0000.pcm"),
    "train": (["tiny", "--data", "data.jsonl", "-o"], "out/log.jsonl"),
    "train-lm": (["encodec_24khz", "--data", "data.jsonl", "-o"], "out/log.jsonl"),
    "sweep": (["grid.toml", "--data", "data.jsonl", "--slurm", "-o"], "out/sweep.sbatch"),
    "reproduce": (["figure1", "-o"], "out/figure.svg"),
}
MINE = "my own work"


def commands(command: click.Command = cli, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for inner in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), inner)
            assert child is not None
            yield from commands(child, f"{name} {inner}".strip())
    else:
        yield name, command


def test_every_command_with_an_output_is_here():
    outputs = {"--out", "target"}
    writing = {name for name, command in commands() if outputs & {word for one in command.params for word in one.opts}}
    assert writing == set(FILES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "clips" / "a.wav", 0.1 * np.sin(np.arange(24000, dtype=np.float32))[None], 24000)
    for name in ("run", "study", "tiny.safetensors"):
        (tmp_path / name).symlink_to(HERE / name)
    shutil.copytree(HERE / "run", tmp_path / "other")
    (tmp_path / "a.ecdc").write_bytes((HERE / "checked.ecdc").read_bytes())
    marks = (("reference", 95), ("opus", 60))
    rows = [f"{who},{item},{name},{mark}" for who in "ab" for item in "xy" for name, mark in marks]
    (tmp_path / "ratings.csv").write_text("\n".join(["listener,item,condition,score", *rows]))
    (tmp_path / "config.yaml").write_text(
        "testname: t\ntestId: t\npages:\n  - type: mushra\n    id: x\n    reference: clips/a.wav\n    stimuli:\n"
        "      C1: clips/a.wav\n"
    )
    (tmp_path / "grid.toml").write_text('recipe = "tiny"\n[grid]\n"losses.time" = [0.1, 1.0]\n')
    (tmp_path / "data.jsonl").write_text(
        '{"path": "clips/a.wav", "dataset": "d", "kind": "music", "split": "train", "creator": null, "licence": "x", '
        '"seconds": 1.0, "sample_rate": 24000, "channels": 1, "fingerprint": "f"}\n'
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_foreign_file_stays(folder: Path, name: str, capsys: pytest.CaptureFixture[str]):
    arguments, output = FILES[name]
    mine = folder / output
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(MINE)
    status, _, err = call([*name.split(), *arguments, output.partition("/")[0]], capsys)
    assert mine.read_bytes() == MINE.encode()
    assert status == 2, err
    assert output.partition("/")[0] in err
