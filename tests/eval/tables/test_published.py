"""Published figures beside those of a run: read, marked in every form, drawn hollow, in no test."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.eval.report import plots
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.columns import describe
from earmark.eval.tables.published import MARK, read_published, with_published

PAPER = """\
system,kbps,metric,mean,interval,n,source
EnCodec@6,6,PESQ,2.80,0.05,100,"Table 1, paper A"
EnCodec@12,12,pesq,3.30,[3.2; 3.5],,"Table 1, paper A"
opus@6,6,pesq,2.10,,,paper B
EnCodec@6,6,mushra,83.1,±1.5,1000,"Table 1, paper A"
"""


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "paper.csv"
    path.write_text(PAPER, encoding="utf-8")
    return path


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "file": f"speech/{number}.wav", "category": "speech", "system": f"opus@{rate:g}", "metric": "pesq",
            "value": 2.0 + rate / 12 + number / 10, "status": "ok", "reason": "", "kbps_nominal": rate, "kbps": rate,
            "lag": 0, "encode_seconds": 0.1, "decode_seconds": 0.1, "duration": 1.0,
        }
        for rate in (6.0, 12.0)
        for number in range(4)
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path, scores: pd.DataFrame) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    scores.to_parquet(folder / "scores.parquet")
    info = {
        "earmark": "0.1.0", "created": "2026-01-02T03:04:05+00:00", "command": "earmark compare", "metrics": ["pesq"],
        "speech_categories": ["speech"], "systems": ["opus@6", "opus@12"], "sample_rate": None, "mono": False,
        "versions": {}, "notes": [],
        "recordings": [
            {"file": f"speech/{number}.wav", "category": "speech", "sha256": "ab" * 32, "error": None, "seconds": 1.0,
             "sample_rate": 16000, "channels": 1}
            for number in range(4)
        ],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))
    return folder


def tables(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["tables", *map(str, arguments)])


def test_intervals_are_half_widths_or_bounds(paper: Path):
    rows = read_published(paper).set_index(["system", "metric"])
    low_high = rows[["ci95_low", "ci95_high"]].to_numpy()
    np.testing.assert_allclose(low_high, [(2.75, 2.85), (3.2, 3.5), (np.nan, np.nan), (81.6, 84.6)])
    assert list(rows["n"].fillna(0)) == [100, 0, 0, 1000]


@pytest.mark.parametrize("interval", ["3.9 to 4.2", "3.9-4.2", "(3.9, 4.2)", "3.9 – 4.2", "3.9..4.2", "[3.9;4.2]"])
def test_forms_of_bounds(tmp_path: Path, interval: str):
    path = tmp_path / "paper.csv"
    path.write_text(f'system,metric,mean,interval\nx,pesq,4.0,"{interval}"\n', encoding="utf-8")
    (row,) = read_published(path).to_dict("records")
    assert (row["ci95_low"], row["ci95_high"]) == (3.9, 4.2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("system,metric\nx,pesq\n", "has no column mean; write the columns system, metric and mean"),
        ("system,metric,mean,intervall\nx,pesq,1,2\n", "has an unknown column 'intervall'"),
        ("system,metric,mean\nx,pesq,high\n", "line 2: mean 'high' is not a number"),
        ("system,metric,mean\nx,pesq,1\n,pesq,1\n", "line 3: system is empty"),
        ("system,metric,mean,interval\nx,pesq,1,about 2\n", "interval 'about 2' is neither a half width"),
        ("system,metric,mean,interval\nx,pesq,1,2 to 3\n", "the interval '2 to 3' does not hold the mean 1"),
        ("system,metric,mean,source\nx,pesq,1,paper, Table 1\n", "line 2: has more cells than the heading"),
        ("system,metric,mean\n", "has no line below the heading"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_remedy(tmp_path: Path, text: str, says: str):
    path = tmp_path / "paper.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(says)):
        read_published(path)


def test_rows_are_added_and_marked_in_every_form(run: Path, paper: Path):
    """The mean of opus@6 is 2.0 + 0.5 + 0.15 = 2.65."""
    printed = tables(run, "--add", paper).output
    assert re.search(r"^ opus@6 +6 +6\.00 +2\.65±", printed, re.MULTILINE)
    assert re.search(rf"^ EnCodec@6 {MARK} +6 +– +2\.80±0\.05 \(100\) +83\.10±1\.50 \(1000\)", printed, re.MULTILINE)
    assert re.search(rf"^ EnCodec@12 {MARK} +12 +– +3\.30±0\.15 +–", printed, re.MULTILINE)
    assert re.search(rf"^ opus@6 {MARK} +6 +– +2\.10 +–", printed, re.MULTILINE)
    assert f"{MARK} §" not in printed  # nobody knows how they were aligned
    note = " ".join(printed.split())
    assert f"{MARK} Published figures, measured on other recordings" in note
    assert "EnCodec@6, EnCodec@12: Table 1, paper A; opus@6: paper B." in note
    assert (
        r"EnCodec@6 \ddag{} & 6 & -- & 2.80 $\pm$ 0.05 (100)" in tables(run, "--add", paper, "--format", "latex").output
    )
    assert f"| speech | EnCodec@6 {MARK} | 6 |" in tables(run, "--add", paper, "--format", "markdown").output
    rows = list(csv.DictReader(io.StringIO(tables(run, "--add", paper, "--format", "csv").output)))
    found = {(row["system"], row["source"]): row["mean"] for row in rows if row["metric"] == "pesq"}
    assert found["opus@6", "paper B"] == "2.1"
    assert float(found["opus@6", ""]) == pytest.approx(2.65)


def test_several_files_and_two_figures_for_one_cell(run: Path, paper: Path):
    assert "opus@6 has two figures" not in str(tables(run, "--add", paper).exception)
    result = tables(run, "--add", paper, "--add", paper)
    assert "--add: EnCodec@6 has two figures for pesq" in str(result.exception)


def test_figures_stand_below_all_recordings_or_in_their_category(run: Path, scores: pd.DataFrame, tmp_path: Path):
    music = scores.assign(category="music", file="music/" + scores["file"])
    summary = summarise(pd.concat([scores, music]))
    path = tmp_path / "paper.csv"
    path.write_text("system,metric,mean,category\nx,pesq,1,\ny,pesq,2,music\n", encoding="utf-8")
    shown = with_published(summary, [read_published(path)])
    placed = shown.loc[shown["source"] != "", ["system", "category"]].to_numpy().tolist()
    assert placed == [[f"x {MARK}", "all"], [f"y {MARK}", "music"]]


def test_markers_of_published_figures_are_hollow(scores: pd.DataFrame, paper: Path):
    """Opus has one colour and marker, filled for the run and hollow for the paper."""
    shown = with_published(summarise(scores), [read_published(paper)])
    looks = plots.styles(["opus", "EnCodec"])
    shared = plots.limits(shown, "pesq")
    assert shared is not None
    assert shared.score[0] < 2.1
    svg = plots.rate_plot(shown, describe("pesq"), "speech", looks, shared)
    labels = re.findall(r">([^<>]+)</text>", svg)
    assert [name for name in ("opus", f"opus {MARK}", f"EnCodec {MARK}") if name in labels] == [
        "opus", f"opus {MARK}", f"EnCodec {MARK}",
    ]  # fmt: skip

    def markers(fill: str, series: int) -> int:
        style = rf'style="fill: {fill}; stroke: var\(--series-{series}, #\w+\)"'
        return sum(path.count("M") for path in re.findall(rf'<path d="([^"]+)" class="marker" {style}', svg))

    assert (markers("none", 0), markers("none", 1)) == (1 + 1, 2 + 1)  # each series is once in the legend too


def test_the_report_shows_them_and_tests_without_them(run: Path, paper: Path):
    result = tables(run, "--add", paper, "--report")
    assert result.exit_code == 0, result.output
    text = (run / "report.html").read_text(encoding="utf-8")
    assert f"EnCodec@6 {MARK}" in text[text.index('id="scores"') : text.index('id="curves"')]
    assert f">EnCodec {MARK}</text>" in text
    for part in (text[: text.index("<nav")], text[text.index('id="differences"') :]):
        assert "EnCodec" not in part


def test_options_that_exclude_each_other(run: Path, paper: Path):
    for options in (["--per-file"], ["--paper", "table1"]):
        assert "use one of them" in str(tables(run, "--add", paper, *options).exception)
    assert "add them by --add FILE" in str(tables(run, "--report").exception)
