"""`earmark reproduce`: rows of a table trained at a budget, beside the paper's scores."""

from __future__ import annotations

import json
import math
import re
import shutil
import signal
from itertools import product

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.datasets import manifest
from earmark.codec.errors import UserError
from earmark.codec.training import recipe_files
from earmark.codec.training.examples import shards
from earmark.codec.training.examples.shards import Shards
from earmark.codec.training.validation import si_snr
from earmark.eval.metrics import registry
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.paper.budget import Budget
from earmark.eval.paper.reproduce import held_out, require_distinct, select_rows
from earmark.eval.speed import timing
from earmark.eval.statistics.aggregate import mean_interval

SMALL = (
    "model.seanet.filters=2", "model.seanet.dimension=8", "model.entries=16", "model.kbps=[1.2, 6]", "data.batch=2",
    "data.seconds=0.25", "discriminators.filters=2", "discriminators.per_bandwidth=false", "discriminators.start=99",
    "training.precision=float32",
)  # fmt: skip


@pytest.fixture(autouse=True)
def untimed(monkeypatch):
    """Timing starts a process per codec, which other tests do."""
    monkeypatch.setattr(timing, "measure", lambda *_, **__: ([], {}))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Shards of one recording of each category in each split."""
    root = tmp_path_factory.mktemp("corpus")
    entries = []
    for number, (category, split) in enumerate(product(manifest.CATEGORIES, manifest.SPLITS)):
        path = root / f"{split}-{category}.wav"
        audio.write(path, 0.1 * np.random.default_rng(number).standard_normal((1, 48000), np.float32), 24000)
        entries.append(
            manifest.Entry(
                path=path.name, dataset="noise", category=category, split=split, creator=None, licence="CC0-1.0",
                seconds=2.0, sample_rate=24000, channels=1, fingerprint=manifest.fingerprint(path),
            )
        )  # fmt: skip
    manifest.write(root / "manifest.jsonl", entries)
    shards.write([root / "manifest.jsonl"], root / "shards", sample_rate=24000, channels=1)
    return root / "shards"


def reproduce(data, out, *more, table="tableA3", budget="2updates"):
    settings = [part for setting in SMALL for part in ("--set", setting)]
    arguments = ["reproduce", table, "--data", data, "--out", out, "--budget", budget, "--excerpts", 3, "--seconds", 1]
    return CliRunner().invoke(cli, [*map(str, arguments), "--device", "cpu", "--no-visqol", *settings, *more])


def test_two_rows_beside_those_of_the_paper(data, tmp_path):
    """Table A.3 has 6.67 dB and 4.35 for the base, 6.40 dB and 4.35 without the LSTM."""
    done = reproduce(data, tmp_path, "--rows", "base,no_lstm", table="tableA3")
    assert done.exit_code == 0, done.output
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in (tmp_path / "table.md").read_text().split("\n")
    ]
    rows = {cells[0]: cells[1:] for cells in lines if len(cells) > 1}
    assert rows["Model"][-4:] == ["SI-SNR, paper", "SI-SNR, ours", "ViSQOL, paper", "ViSQOL, ours"]
    ours = rows["LSTM = 0"]
    assert (ours[-4], ours[-2]) == ("6.40", "4.35")
    assert ours[-3].endswith("(3)")
    assert ours[0].startswith("encodec_24khz@6:checkpoint=")
    assert rows["norm = None"][-3] == rows["norm = None"][-1] != ""  # not trained here
    text = (tmp_path / "table.md").read_text()
    assert "each training for 2 updates from scratch on" in text
    assert "a training in a folder no\\_norm" in text or "a training in a folder no_norm" in text
    assert checkpoints.load(tmp_path / "no_lstm" / "model.safetensors").config.seanet.filters == 2
    excerpts = json.loads((tmp_path / "no_lstm" / "scores.json").read_text())["experiment"]["excerpts"]
    assert sorted(name.partition("+")[0] for name in excerpts) == [
        "test-music.wav",
        "test-sound.wav",
        "test-speech.wav",
    ]


def test_finished_rows_are_skipped(data, tmp_path):
    first = reproduce(data, tmp_path, "--rows", "base")
    state = (tmp_path / "base" / "state.pt").stat()
    again = reproduce(data, tmp_path, "--rows", "base")
    assert again.stdout == first.stdout
    assert (tmp_path / "base" / "state.pt").stat() == state


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--set", "losses.time=9.0"), "was begun with another recipe or --set"),
        (("--set", "training.seed=3"), "was begun with another recipe or --set"),
    ],
)
def test_scores_of_another_recipe_are_not_shown(data, tmp_path, more, said):
    assert reproduce(data, tmp_path, "--rows", "base").exit_code == 0
    assert said in str(reproduce(data, tmp_path, "--rows", "base", *more).exception)
    other = reproduce(data, tmp_path, "--rows", "no_norm", *more)
    ours = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table_rows(tmp_path)}
    assert other.exit_code == 0, other.exception
    assert "no_norm/model.safetensors" in ours["norm = None"]
    assert ours["EnCodec base"] == ""


def table_rows(out):
    return [line for line in (out / "table.md").read_text().splitlines() if line.startswith("| ")]


def test_other_excerpts_are_scored_again(data, tmp_path):
    reproduce(data, tmp_path, "--rows", "base")
    first = json.loads((tmp_path / "base" / "scores.json").read_text())
    reproduce(data, tmp_path, "--rows", "base", "--seconds", "0.5")
    second = json.loads((tmp_path / "base" / "scores.json").read_text())
    assert (first["experiment"]["excerpt_seconds"], second["experiment"]["excerpt_seconds"]) == (1, 0.5)
    assert first["scores"] != second["scores"]


def test_scores_of_other_data_are_not_shown(data, tmp_path):
    """The same file names and lengths, other samples."""
    reproduce(data, tmp_path / "out", "--rows", "base")
    other = shutil.copytree(data, tmp_path / "other")
    index = (other / "index.jsonl").read_text()
    (other / "index.jsonl").write_text(re.sub('"fingerprint": "..', '"fingerprint": "xx', index))
    said = str(reproduce(other, tmp_path / "out", "--rows", "base").exception)
    assert "was begun with other data" in said


def test_torchrun_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = str(reproduce(data, tmp_path, "--rows", "base").exception)
    assert said == "reproduce: trains in one process, but torchrun started several; run it without torchrun"


def test_a_killed_row_has_spent_the_saved_time(data, tmp_path, monkeypatch):
    """After SIGKILL, only the state has the 8 of 9 minutes that are spent; one is left."""
    reproduce(data, tmp_path, "--rows", "base", budget="0.001min")
    (tmp_path / "base" / "scores.json").unlink()
    state = torch.load(tmp_path / "base" / "state.pt", weights_only=True)
    torch.save({**state, "seconds": 480.0}, tmp_path / "base" / "state.pt")
    left = []
    monkeypatch.setattr("earmark.eval.paper.reproduce.train", lambda *_, stop_after, **__: left.append(stop_after))
    assert reproduce(data, tmp_path, "--rows", "base", budget="9min").exit_code == 0
    assert left == [60]


def test_a_longer_budget_continues(data, tmp_path):
    """The shortest budget makes one update; a longer one, of which nothing is spent, continues the same training."""
    updates = []
    for budget in ("0.001min", "0.005min"):
        assert reproduce(data, tmp_path, "--rows", "base", budget=budget).exit_code == 0
        updates.append(json.loads((tmp_path / "base" / "scores.json").read_text())["updates"])
        state = torch.load(tmp_path / "base" / "state.pt", weights_only=True)
        torch.save({**state, "seconds": 0.0}, tmp_path / "base" / "state.pt")
    assert updates[0] < updates[1]


def test_an_interrupt_saves_the_spent_time(data, tmp_path, monkeypatch):
    from earmark.codec.training import run

    def interrupting(trainer, batch, update=run.Trainer.update):
        if trainer.updates == 3:
            signal.raise_signal(signal.SIGINT)
        return update(trainer, batch)

    monkeypatch.setattr(run.Trainer, "update", interrupting)
    assert isinstance(
        reproduce(data, tmp_path, "--rows", "base", budget="9min").exception, SystemExit | KeyboardInterrupt
    )
    assert 0 < torch.load(tmp_path / "base" / "state.pt", weights_only=True)["seconds"] < 540
    assert not (tmp_path / "base" / "scores.json").exists()


def test_a_row_with_diffq(data, tmp_path):
    """Table A.4 has DiffQ, trained and scored on music only; its model codes by its own prior."""
    done = reproduce(data, tmp_path, "--rows", "1_1_1_1_off", table="tableA4")
    assert done.exit_code == 0, done.exception
    found = json.loads((tmp_path / "1_1_1_1_off" / "scores.json").read_text())
    assert {name.partition("+")[0] for name in found["experiment"]["excerpts"]} == {"test-music.wav"}
    assert len(found["scores"]["si_snr"]) == 3
    assert checkpoints.load(tmp_path / "1_1_1_1_off" / "model.safetensors").config.quantizer == "diffq"


@pytest.mark.parametrize(("text", "minutes", "updates"), [("30min", 30.0, None), ("2000updates", None, 2000)])
def test_budgets(text, minutes, updates):
    assert Budget.parse(text) == Budget(minutes, updates)


@pytest.mark.parametrize("text", ["30", "0min", "1.5updates", "soon"])
def test_invalid_budgets(text):
    with pytest.raises(UserError, match=r"--budget .*: write minutes or updates of each row"):
        Budget.parse(text)


def test_a_setting_must_not_undo_what_the_rows_differ_in():
    rows = select_rows("tableA3", ("base", "channels_16"))
    with pytest.raises(UserError, match="channels_16 and tableA3:base would be the same training"):
        require_distinct([recipe_files.load(row.recipe, ("model.seanet.filters=8",)) for row in rows])
    recipes = [recipe_files.load(row.recipe) for row in rows]
    require_distinct(recipes)
    assert [recipe.model.seanet.filters for recipe in recipes] == [32, 16]


def test_an_unknown_row():
    with pytest.raises(UserError, match="table2 has no row 'stft'; it has msd_mono_stft, mpd"):
        select_rows("table2", ("stft",))


def test_excerpts_come_from_the_test_split(data):
    found = held_out(recipe_files.load("tiny"), [Shards(data)], 4, 0.5)
    assert [excerpt.name.partition("+")[0] for excerpt in found] == [
        "test-speech.wav", "test-speech.wav", "test-music.wav", "test-sound.wav",
    ]  # fmt: skip


def test_an_interval_by_hand():
    """1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.303, so 4.303 / sqrt 3 = 2.484."""
    mean, half_width, n = mean_interval(np.array([1.0, math.nan, 2.0, 3.0]))
    assert (mean, n) == (2.0, 3)
    assert half_width == pytest.approx(2.484, abs=1e-3)


def test_validation_scores_si_snr_as_the_metric_does():
    """The metric belongs to eval, which codec must not import."""
    rng = np.random.default_rng(0)
    reference = rng.standard_normal((1, 8000)).astype(np.float32)
    decoded = 0.3 * reference + 0.1 * rng.standard_normal((1, 8000)).astype(np.float32) + 0.2
    expected = evaluate(registry.find("si_snr"), reference, decoded, 24000).value
    assert si_snr(torch.from_numpy(reference), torch.from_numpy(decoded)) == pytest.approx(expected, abs=1e-4)
