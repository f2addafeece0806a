"""`earmark sweep`: rows of a grid trained with several seeds, their table, and the script for Slurm."""

from __future__ import annotations

import json
import re
import shlex
from statistics import mean, stdev

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.datasets import manifest
from earmark.codec.errors import UserError
from earmark.codec.training.examples import shards
from earmark.eval.sweep import running
from earmark.eval.sweep.rows import read

GRID = """
recipe = "tiny"
set = [
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[1.2]", "data.batch=1",
    "data.seconds=0.1", "discriminators.kinds=[]", "training.updates=1", "validation.kbps=[1.2]",
    "validation.seconds=0.1", "validation.recordings=1", "data.single_music=0", "data.single_other=1",
    "data.mix_two=0", "data.mix_three_without_music=0",
]
[grid]
losses.mel = [0.5, 1.0]
[rows]
"no LSTM" = ["model.seanet.lstm=0"]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shards of one recording to train on and one to validate on."""
    root = tmp_path_factory.mktemp("corpus")
    entries = []
    for number, split in enumerate(("train", "valid")):
        path = root / f"{split}.wav"
        audio.write(path, 0.1 * np.random.default_rng(number).standard_normal((1, 24000), np.float32), 24000)
        entries.append(
            manifest.Entry(
                path=path.name, dataset="noise", category="speech", split=split, creator=None, licence="CC0-1.0",
                seconds=1.0, sample_rate=24000, channels=1, fingerprint=manifest.fingerprint(path),
            )
        )  # fmt: skip
    manifest.write(root / "manifest.jsonl", entries)
    shards.write([root / "manifest.jsonl"], root / "shards", sample_rate=24000, channels=1)
    return root / "shards"


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    path = tmp_path_factory.mktemp("grid") / "grid.toml"
    path.write_text(GRID)
    return path


def sweep(grid, data, out, *more):
    return CliRunner().invoke(
        cli, ["sweep", str(grid), "--data", str(data), "-o", str(out), "--device", "cpu", "--no-visqol", *more],
        standalone_mode=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(grid, data, tmp_path_factory):
    """Folder of the sweep with two seeds, and what the command printed."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    result = sweep(grid, data, out, "--seeds", "2", "--format", "csv", "--quiet")
    assert result.return_value == 0, result.output
    return out, result.stdout


def scores(folder):
    lines = (json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines())
    return next(entry["validation"]["si_snr@1.2"] for entry in lines if "validation" in entry)


def test_mean_and_deviation_of_each_row(done, tmp_path):
    out, printed = done
    (tmp_path / "table.csv").write_text(printed)
    table = pd.read_csv(tmp_path / "table.csv").set_index("row")
    assert list(table.index) == ["mel=0.5", "mel=1.0", "no LSTM"]
    for row, folder in (("mel=0.5", "mel=0.5"), ("no LSTM", "no_LSTM")):
        values = [scores(out / folder / f"seed-{seed}") for seed in range(2)]
        assert values[0] != values[1]
        assert table.loc[row, "si_snr@1.2"] == pytest.approx(mean(values))
        assert table.loc[row, "si_snr@1.2 sd"] == pytest.approx(stdev(values))
    assert set(table.seeds) == {2}
    about = json.loads((out / "no_LSTM" / "seed-1" / "run.json").read_text())["tables"]
    assert (about["training"]["seed"], about["model"]["seanet"]["lstm"], about["losses"]["mel"]) == (1, 0, 1.0)


def test_what_is_done_is_not_done_again(done, grid, data):
    out, printed = done
    before = {path: path.stat().st_mtime_ns for path in out.rglob("state.pt")}
    assert len(before) == 6
    again = sweep(grid, data, out, "--seeds", "2", "--format", "csv", "--table")
    assert again.stdout == printed
    text = sweep(grid, data, out, "--seeds", "3", "--table").stdout
    assert "Trainings without a validation yet: mel=0.5: 1, mel=1.0: 1, no LSTM: 1." in text
    assert {path: path.stat().st_mtime_ns for path in out.rglob("state.pt")} == before


def test_the_script_for_slurm_runs_one_training_per_job(done, grid, data, tmp_path):
    out = tmp_path / "array"
    result = sweep(grid, data, out, "--seeds", "2", "--slurm")
    assert "6 jobs; send it by sbatch" in result.stdout
    lines = (out / running.SCRIPT).read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    assert "#SBATCH --array=0-5" in lines
    words = shlex.split(lines[-1].replace("$SLURM_ARRAY_TASK_ID", "5"))
    assert words[0] == "exec"
    job = CliRunner().invoke(cli, words[words.index("sweep") :])
    assert job.exit_code == 0, job.output
    assert [path.parent.name for path in out.rglob("state.pt")] == ["seed-1"]
    assert scores(out / "no_LSTM" / "seed-1") == pytest.approx(scores(done[0] / "no_LSTM" / "seed-1"), abs=1e-3)


def test_a_failure_is_named_and_the_others_go_on(grid, data, tmp_path):
    out = tmp_path / "out"
    (out / "mel=0.5" / "seed-0").mkdir(parents=True)
    (out / "mel=0.5" / "seed-0" / "run.json").write_text("{")
    result = sweep(grid, data, out, "--keep-going")
    assert result.return_value == 1
    assert re.search(r"failed: mel=0\.5, seed 0: .*run\.json: damaged", result.stderr)
    assert len(list(out.rglob("model.safetensors"))) == 2
    stopped = sweep(grid, data, out)
    assert "--keep-going goes on with the others" in str(stopped.exception)


def test_a_training_on_a_worker_is_a_command(grid, data, tmp_path):
    """A worker runs this command line, and reports the last line that it says."""
    item = read(grid, 1)[-1]
    words = running.command_of(item, tmp_path, [data], ["--device", "cpu", "--no-visqol"])
    assert CliRunner().invoke(cli, words).exit_code == 0
    assert (tmp_path / "no_LSTM" / "seed-0" / "model.safetensors").is_file()
    commands = {item: ["sh", "-c", "echo first >&2; echo 'earmark: the reason' >&2; exit 2"]}
    assert running._run(commands, item) == "earmark: the reason"
    assert running._run({item: ["true"]}, item) is None


def test_a_dask_cluster_trains(data, tmp_path):
    """One worker runs the command of each training; a row that it cannot train is named, the other is in the table."""
    distributed = pytest.importorskip("distributed")
    (tmp_path / "grid.toml").write_text(GRID.partition("[grid]")[0] + "[rows]\ngood = []\nbad = []\n")
    (tmp_path / "out" / "bad" / "seed-0").mkdir(parents=True)
    (tmp_path / "out" / "bad" / "seed-0" / "run.json").write_text("{")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, silence_logs=50
    ) as cluster:
        given = ("--cluster", cluster.scheduler_address, "--keep-going", "--format", "csv", "--threads", "1")
        result = sweep(tmp_path / "grid.toml", data, tmp_path / "out", *given)
    assert result.return_value == 1, result.output
    assert re.search(r"failed: bad, seed 0: .*run\.json: damaged", result.stderr)
    (tmp_path / "table.csv").write_text(result.stdout)
    table = pd.read_csv(tmp_path / "table.csv").set_index("row")
    assert table.loc["good", "si_snr@1.2"] == pytest.approx(scores(tmp_path / "out" / "good" / "seed-0"))
    assert table.loc["bad", "seeds"] == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("recipe = ", "not a grid in TOML"),
        ("set = []", "names no recipe"),
        ("recipe = 'tiny'\nrow = 1", "row is unknown; there are recipe, set, grid, rows"),
        ("recipe = 'tiny'\n[grid]\n'losses.mel' = 1.0", "[grid] holds lists of values by setting"),
        ("recipe = 'tiny'\n[rows]\na = 'losses.mel=1'", "rows.a must be a list of settings"),
        ("recipe = 'tiny'\n[rows]\n'a b' = []\n'a/b' = []", "would have one folder; rename one"),
    ],
)
def test_mistakes_are_one_line(tmp_path, content, said):
    (tmp_path / "grid.toml").write_text(content)
    with pytest.raises(UserError) as caught:
        read(tmp_path / "grid.toml", 1)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_last_row_costs_no_training(data, tmp_path):
    (tmp_path / "grid.toml").write_text("recipe = 'tiny'\n[rows]\na = []\nb = ['losses.mell=1']")
    result = sweep(tmp_path / "grid.toml", data, tmp_path / "out")
    assert "losses.mell is unknown" in str(result.exception)
    assert not (tmp_path / "out").exists()
