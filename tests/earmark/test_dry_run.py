"""--dry-run says what a command would do and writes nothing; --quiet leaves results, warnings and errors."""

from __future__ import annotations

import json
from pathlib import Path

import click.testing
import numpy as np
import pytest

from earmark.cli import cli
from earmark.codec.audio import write

HERE = Path(__file__).resolve().parents[1] / "data" / "version-0.1"
DATA = ["--data", "clips.jsonl", "--rate", "24k"]
# Command line, in a folder with clips/, clips.jsonl and a.ecdc; lines that it prints.
PREVIEWS = [
    (
        ["compare", "clips", "-s", "opus@6,mp3@64", "-m", "si_snr", "-o", "new"],
        [
            "recordings  1: 1 music",
            "systems     opus@6, mp3@64",
            "2 to compute, 0 to reuse or skip",
            "output      new",
        ],
    ),
    (["bench", "-s", "opus@6", "--seconds", "2", "-o", "new.json"], ["2.00 s at 24000 Hz", "output   new.json"]),
    (["encode", "clips/music/a.wav", "new.ecdc"], ["clips/music/a.wav: 0.10 s", "24000 Hz, 1 channel", "6 kbps"]),
    (["decode", "a.ecdc", "new.wav"], ["of encodec_24khz", "output  new.wav: 24000 Hz, 1 channel, 16 bits"]),
    (
        ["data", "index", "clips", "--layout", "folder", "--category", "music", "-o", "new.jsonl"],
        ["files     1 music", "manifest  new.jsonl"],
    ),
    (
        ["data", "shards", "clips.jsonl", "--rate", "24k", "-o", "new"],
        ["music", "shards      new: 24000 Hz, 1 channel"],
    ),
    (
        ["train", "tiny", "--data", "clips.jsonl", "-o", "new"],
        ["recipe   tiny", "clips.jsonl: 1 recording, 0.00 h, to be decoded to new/shards-0", "output   new"],
    ),
    (
        ["train-lm", "encodec_24khz", "--data", "clips.jsonl", "--updates", "70", "-o", "new"],
        ["codec    encodec_24khz, 24000 Hz, 1 channel", "updates  70, of 16 sequences of 5 s each"],
    ),
    (
        ["reproduce", "tableA4", "--data", "clips.jsonl", "--budget", "5updates", "-o", "new"],
        ["budget  5 updates for each row", "clips.jsonl: 1 recording"],
    ),
    (
        ["sweep", "grid.toml", "--data", "clips.jsonl", "--seeds", "2", "-o", "new"],
        ["recipe     tiny", "1: learning_rate=0.001, seed 1", "output     new"],
    ),
    (
        ["download", "encodec_24khz", "--url", "http://mirror/"],
        ["encodec_24khz  http://mirror/ -> cache/encodec_24khz-d7cc33bc.th"],
    ),
    (["run", "drop", str(HERE / "run"), "-s", "opus@12"], ["to remove", "run     "]),
    (["run", "gc", str(HERE / "run")], ["remains  0 files"]),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    noise = np.random.default_rng(0).normal(0, 0.1, (1, 2400)).astype(np.float32)
    (tmp_path / "clips" / "music").mkdir(parents=True)
    write(tmp_path / "clips" / "music" / "a.wav", noise, 24000)
    (tmp_path / "a.ecdc").write_bytes((HERE / "checked.ecdc").read_bytes())
    entry = {
        "path": "clips/music/a.wav", "dataset": "clips", "kind": "music", "split": "train", "creator": None,
        "licence": "none", "seconds": 0.1, "sample_rate": 24000, "channels": 1, "fingerprint": "0",
    }  # fmt: skip
    (tmp_path / "clips.jsonl").write_text(json.dumps(entry) + "\n")
    (tmp_path / "grid.toml").write_text('recipe = "tiny"\n[grid]\n"optimizer.learning_rate" = [1e-3]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARMARK_CACHE", "cache")
    return tmp_path


def _files(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*")}


@pytest.mark.parametrize(("arguments", "lines"), PREVIEWS, ids=[" ".join(arguments) for arguments, _ in PREVIEWS])
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(folder: Path, arguments: list[str], lines: list[str]):
    before = _files(folder)
    done = click.testing.CliRunner().invoke(cli, [*arguments, "--dry-run"], standalone_mode=False)
    assert done.exception is None
    assert not done.return_value
    assert _files(folder) == before
    for line in lines:
        assert line in done.stdout
    assert done.stderr.endswith("dry run: nothing was written\n")


def test_every_command_that_can_show_its_work_is_tried():
    """So that an option --dry-run of a later command is not left untested."""
    tried = {" ".join(arguments[: 2 if arguments[0] in ("study", "data", "run") else 1]) for arguments, _ in PREVIEWS}
    elsewhere = {"study build", "study import", "data open-corpus"}  # need a run or data sets: in the tests of each

    def have(group: click.Group, path: str) -> set[str]:
        names = set()
        for name in group.list_commands(click.Context(group)):
            inner = group.get_command(click.Context(group), name)
            assert inner is not None
            if isinstance(inner, click.Group):
                names |= have(inner, f"{path}{name} ")
            elif any("--dry-run" in parameter.opts for parameter in inner.params):
                names.add(f"{path}{name}")
        return names

    assert tried | elsewhere >= have(cli, "")


def test_quiet_leaves_results(folder: Path):
    def compare(*options: str) -> click.testing.Result:
        arguments = [
            "compare",
            "clips",
            "-s",
            "anchor@3.5k,anchor@7k",
            "-m",
            "si_snr",
            "-o",
            "new",
            "-j",
            "1",
            *options,
        ]
        return click.testing.CliRunner().invoke(cli, arguments, standalone_mode=False)

    quiet = compare("--quiet")
    assert quiet.exception is None
    assert "2 computed, 0 reused, 0 failed" in quiet.stdout
    assert "Next:" not in quiet.stdout
    assert quiet.stderr == ""
    assert "Next: earmark differences new" in compare().stdout
