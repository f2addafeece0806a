"""Files of earlier versions still open: runs, studies with their ratings, .ecdc files, checkpoints."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import earmark
from earmark.cli import cli
from earmark.codec import ecdc
from earmark.codec.audio import write
from earmark.codec.checkpoints import identities
from earmark.codec.checkpoints.downloads import language_model_for
from earmark.codec.language_model.files import portable_coder

HERE = Path(__file__).parent / "data" / "version-0.1"
CODES = "6215e811921c66fc41ee8639c51c69cf4b0be68240371bf0d5180209ad0d0c59"  # `earmark inspect` of that version
TINY_IDENTITY = "e247b5757930e34a3725037f5cb40fd73cfef6b07808a8cae84b10558a38dfc6"
TINY_CODES = "e61f41d57db208c5f92a35c4ce7198570924a3fc87eeba83441fceee5d6a2865"


def earmark_command(*arguments: object) -> str:
    done = CliRunner().invoke(cli, [str(argument) for argument in arguments], standalone_mode=False)
    assert done.exception is None, done.output
    return done.output


def test_a_run_gives_the_same_table():
    means = pd.read_csv(io.StringIO(earmark_command("tables", HERE / "run", "--format", "csv")))
    before = pd.read_csv(HERE / "run" / "table.csv")
    few = before["n"] < 3  # had an interval, unless there was one value only
    before.loc[few, ["ci95_low", "ci95_high"]] = float("nan")
    pd.testing.assert_frame_equal(means[list(before)], before)
    assert len(earmark.load_run(HERE / "run").scores) == 12  # three recordings, two codecs, two metrics


def test_the_systems_of_a_run_are_compared():
    table = earmark_command("differences", HERE / "run", "--format", "csv")
    pairs = pd.read_csv(io.StringIO(table))
    (both,) = pairs[(pairs["metric"] == "si_snr") & (pairs["category"] == "all")].itertuples()
    assert (both.a, both.b, both.n) == ("opus@12", "encodec_24khz@3", 3)
    assert both.mean == pytest.approx(15.77085783626208 - 6.46104553735946)  # the means in run/table.csv


def test_the_ratings_of_a_study_are_reported(tmp_path: Path):
    shutil.copytree(HERE / "study", tmp_path / "study")
    earmark.load_ratings(tmp_path / "study").report(tmp_path / "report", screen="none")
    columns = ["condition", "category", "n", "listeners", "mean", "ci95_low", "ci95_high"]
    expected = pd.read_csv(HERE / "study-summary.csv")[columns]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "report" / "summary.csv")[columns], expected)


def test_the_old_name_of_the_command_group_works(tmp_path: Path):
    shutil.copytree(HERE / "study", tmp_path / "study")
    earmark_command("mushra", "report", tmp_path / "study", "--screen", "none", "--out", tmp_path / "report")
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize("name", ["checked", "language-model"])
def test_a_file_decodes_to_the_same_codes(name: str):
    model = earmark.load_model("encodec_24khz")
    coder = None
    if name == "language-model":
        source = language_model_for("encodec_24khz", official=False)
        coder = portable_coder(source, model.config, identities.accepted_identities(model))
    with (HERE / f"{name}.ecdc").open("rb") as file:
        contents = ecdc.read(file, model.config, coder=coder)
    assert contents.damage == ()
    contents.header.require_model(model.config, identities.accepted_identities(model))
    codes = contents.codes.array[0]  # [codebooks, steps]
    assert hashlib.sha256(codes.T.astype("<u2").tobytes()).hexdigest() == CODES
    assert np.asarray(model.decode(contents.codes)).shape == (1, 1, 24000)


def test_a_checkpoint_has_the_same_identity_and_codes():
    model = earmark.load_model(HERE / "tiny.safetensors")
    assert identities.identity(model) == TINY_IDENTITY
    signal = np.sin(np.arange(1600) * 0.05).astype(np.float32)[np.newaxis]
    codes = model.encode(signal, 4).array
    assert hashlib.sha256(codes.astype("<i8").tobytes()).hexdigest() == TINY_CODES


def test_run_metadata_has_the_keys_of_that_version(tmp_path: Path):
    """Other programs read run.json; a new run has every key that it had."""
    folder = tmp_path / "clips"
    folder.mkdir()
    write(folder / "a.wav", np.sin(np.arange(16000) * 0.1).astype(np.float32)[np.newaxis] * 0.3, 16000)
    run = earmark.compare(folder, ["mp3@64"], metrics=["si_snr"], out=tmp_path / "run", jobs=1)
    before = json.loads((HERE / "run" / "run.json").read_text())
    assert before.keys() <= run.metadata.keys()
    assert before["recordings"][0].keys() <= run.metadata["recordings"][0].keys()
    assert set(pd.read_parquet(HERE / "run" / "scores.parquet")) <= set(run.scores)
