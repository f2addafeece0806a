"""The worst recordings of a system: ranking, table, page with players; and the scores of each recording."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.eval.comparison.run_folder import audio_path
from earmark.eval.statistics.worst import worst
from earmark.eval.tables.per_file import per_file_grid

RATE = 16_000
PESQ = {"mine@6": (2.0, 1.5, 3.0, 2.5), "theirs@6": (1.0, 3.5, 3.5, 2.4)}  # by recording a, b, c, d
FILES = ("speech/a.wav", "speech/b.wav", "speech/c.wav", "speech/d.wav")


def cell(file: str, system: str, metric: str, value: float | None) -> dict[str, Any]:
    return {
        "file": file, "category": file.split("/")[0], "system": system, "metric": metric,
        "value": math.nan if value is None else value, "status": "undefined" if value is None else "ok",
        "reason": "silence" if value is None else "", "kbps_nominal": 6.0, "kbps": 6.1, "lag": 0, "duration": 1.0,
        "encode_seconds": 0.1, "decode_seconds": 0.1,
    }  # fmt: skip


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for number, file in enumerate(FILES):
        for system, values in PESQ.items():
            rows.append(cell(file, system, "pesq", values[number]))
            rows.append(cell(file, system, "mel_distance", None if file == FILES[3] else 10.0 - values[number]))
    return pd.DataFrame(rows).astype({"lag": "Int64"})


@pytest.fixture
def run(tmp_path: Path, scores: pd.DataFrame) -> Path:
    folder = tmp_path / "run"
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)[np.newaxis].astype(np.float32)
    for file in FILES:
        for system in ("reference", *PESQ):
            audio.write(audio_path(folder, system, file), tone, RATE)
    scores.to_parquet(folder / "scores.parquet")
    info = {"earmark": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "speech_categories": ["speech"]}
    (folder / "run.json").write_text(json.dumps(info))
    return folder


def files(scores: pd.DataFrame, *arguments: Any) -> str:
    """Names of the worst recordings, the worst first: "ba"."""
    return "".join(file[-5] for file in worst(scores, *arguments).rows["file"])


def test_the_lowest_score_is_the_worst_or_the_largest_loss(scores):
    """PESQ of mine@6 is 2.0, 1.5, 3.0, 2.5; minus theirs@6 1.0, -2.0, -0.5, 0.1."""
    assert files(scores, "mine@6", "pesq", 3) == "bad"
    assert files(scores, "mine@6", "mel_distance", 9) == "bac"  # less is better; d is undefined
    assert files(scores, "mine@6", "pesq", 9, "theirs@6") == "bcda"
    row = worst(scores, "mine@6", "pesq", 1, "theirs@6").rows.iloc[0]
    assert (row["value"], row["other"], row["difference"]) == (1.5, 3.5, -2.0)
    assert row["gap"] == 1.5 - 2.25  # the median of 2.0, 1.5, 3.0 and 2.5


def test_scores_on_two_scales_are_ranked_by_the_gap_to_the_median():
    """Speech 2, 3, 4 and music 4, 4.5, 4.8: gaps -1 and -0.5."""
    values = {"speech": (2.0, 3.0, 4.0), "music": (4.0, 4.5, 4.8)}
    rows = pd.DataFrame(
        cell(f"{category}/{number}", "mine@6", "visqol", value)
        for category, each in values.items()
        for number, value in enumerate(each)
    )
    found = worst(rows, "mine@6", "visqol", 2, None, ["speech"])
    assert (found.ranked_by, list(found.rows["file"])) == ("gap", ["speech/0", "music/0"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("none@6", "pesq", 3), "--system none@6: not in this run; it has mine@6, theirs@6"),
        (("mine@6", "stoi", 3), "--metrics stoi: not in this run; it has pesq, mel_distance"),
        (("mine@6", "pesq", 3, "none@6"), "--against none@6: not in this run"),
    ],
)
def test_what_the_run_does_not_have_is_refused(scores, arguments, says):
    with pytest.raises(UserError, match=re.escape(says)):
        worst(scores, *arguments)


def test_the_page_has_scores_players_and_spectrograms(run: Path, tmp_path: Path):
    page = tmp_path / "worst.html"
    call = ["worst", str(run), "--system", "mine@6", "--metric", "pesq", "-n", "2", "--against", "theirs@6"]
    result = CliRunner().invoke(cli, [*call, "-o", str(page)])
    assert result.exit_code == 0, result.output
    assert "mine@6: the 2 worst recordings by PESQ wide band (MOS-LQO) ↑" in result.output
    text = page.read_text(encoding="utf-8")
    cards = re.findall(r'<article id="player-\d" class="player".*?<h3>(.*?)</h3>', text, re.DOTALL)
    assert cards == ["speech/b.wav", "speech/c.wav"]
    assert text.count('class="clip"') == 2 * 3  # source, mine@6, theirs@6
    assert text.count('alt="Difference of mine@6 from the source"') == 2
    table = text[text.index("<tbody>") : text.index("</tbody>")]
    cells = [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", table)]
    assert cells[:8] == ["speech/b.wav", "speech", "1.50", "−0.75", "3.50", "−2.00", "6.10", "8.50"]
    result = CliRunner().invoke(cli, [*call, "-o", str(page)])
    assert "exists; add --force to replace it" in str(result.exception)


def test_a_run_without_its_audio_has_a_page_without_players(run: Path, tmp_path: Path):
    for path in (run / "audio").rglob("*.wav"):
        path.unlink()
    call = ["worst", str(run), "--system", "mine@6", "-o", str(tmp_path / "worst.html")]
    assert CliRunner().invoke(cli, call).exit_code == 0
    text = (tmp_path / "worst.html").read_text(encoding="utf-8")
    assert 'class="player"' not in text
    assert "has no decoded audio of these recordings" in text


def test_scores_of_each_recording_as_csv(run: Path):
    result = CliRunner().invoke(cli, ["tables", str(run), "--per-file", "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(result.output)))
    assert len(rows) == len(FILES) * len(PESQ)
    assert list(rows[0])[:3] == ["file", "category", "system"]
    assert (rows[0]["file"], rows[0]["system"], rows[0]["pesq"], rows[0]["mel_distance"]) == (
        "speech/a.wav", "mine@6", "2.0", "8.0",
    )  # fmt: skip
    assert (rows[-1]["mel_distance"], rows[-1]["missing"]) == ("", "mel_distance undefined: silence")


def test_scores_of_each_recording_as_text(scores):
    grid = per_file_grid(scores)
    assert grid.headings[-2:] == ("PESQ wide band (MOS-LQO) ↑", "Mel distance (dB) ↓")
    assert grid.rows[-1] == ("speech/d.wav", "speech", "theirs@6", "6.10", "2.40", "–")
