"""The table of a run in each format."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from earmark.eval.tables import renderers as tables
from earmark.eval.tables.grid import Grid, json_records
from earmark.eval.tables.layout import Cell, lay_out
from earmark.eval.tables.numbers import factor_text

NAN = float("nan")


def mean(
    system: str, category: str, metric: str, value: float = 4.0, half_width: float = 0.5, **other: Any
) -> dict[str, Any]:
    """One row of `earmark.eval.statistics.aggregate.summarise`."""
    rate = float(system.partition("@")[2] or NAN) if not system.startswith(("anchor", "reference")) else NAN
    return {
        "system": system, "category": category, "metric": metric, "n": 3, "undefined": 0, "failed": 0, "mean": value,
        "ci95_low": value - half_width, "ci95_high": value + half_width, "kbps_nominal": rate, "kbps": rate * 0.99,
        "encode_rtf": 100.0, "decode_rtf": 200.0,
    } | other  # fmt: skip


def info(*speech: str) -> dict[str, Any]:
    return {"speech_categories": list(speech)}


@pytest.fixture
def summary() -> pd.DataFrame:
    """Two codecs and the reference, speech and music, ViSQOL and SI-SNR; the reference has no SI-SNR."""
    rows = []
    for system in ("opus@6", "mp3@64", "reference"):
        for category in ("speech", "music", "all"):
            rows.append(mean(system, category, "visqol", 4.12, 0.15))
            lacking = {"n": 0, "undefined": 3} if system == "reference" else {}
            rows.append(mean(system, category, "si_snr", NAN if lacking else -1.5, 0.25, **lacking))
    return pd.DataFrame(rows)


def terminal(summary: pd.DataFrame, width: int, *speech: str) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(tables.terminal_table(summary, info(*speech)))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_a_cell_shows_mean_half_width_and_n():
    assert Cell(4.123, 0.154, 12, 0, 0, 2, "").text == "4.12 ± 0.15 (12)"
    assert Cell(4.123, NAN, 1, 0, 0, 2, "").text == "4.12 ± – (1)"
    assert Cell(4.123, 0.154, 12, 0, 0, 2, "†").text == "4.12 ± 0.15 (12)†"


def test_a_cell_without_a_score_is_a_dash_with_the_counts():
    assert Cell(NAN, NAN, 0, 3, 0, 2, "").text == "– (3 undefined)"
    assert Cell(NAN, NAN, 0, 3, 2, 2, "").text == "– (3 undefined, 2 failed)"
    assert Cell(4.0, 0.5, 9, 1, 0, 2, "").text == "4.00 ± 0.50 (9), 1 undefined"
    assert Cell(NAN, NAN, 0, 0, 0, 2, "").text == "–"


def test_counts_that_a_whole_category_shares_are_noted_once():
    rows = [mean("opus@6", "speech", "visqol", failed=2), mean("mp3@64", "speech", "visqol", failed=3)]
    layout = lay_out(pd.DataFrame(rows))
    assert [row.cells[0].text for row in layout.sections[0].rows] == ["4.00 ± 0.50 (3)", "4.00 ± 0.50 (3), 1 failed"]
    assert "speech: in every cell 2 failed." in layout.notes


def test_scores_within_one_have_three_decimals():
    rows = [mean("opus@6", "speech", "stoi", 0.9, 0.0125), mean("opus@6", "speech", "pesq", 3.1)]
    layout = lay_out(pd.DataFrame(rows))
    stoi, pesq = layout.sections[0].rows[0].cells
    assert stoi.mean_text == "0.900"
    assert pesq.mean_text == "3.10"


def test_one_category_has_no_section_for_all(summary):
    speech_only = summary[summary["category"] != "music"]
    assert [section.category for section in lay_out(summary).sections] == ["speech", "music", "all"]
    assert [section.category for section in lay_out(speech_only).sections] == ["speech"]


def test_a_run_without_any_score_has_an_empty_table(summary):
    layout = lay_out(summary[:0])
    assert (layout.columns, layout.sections) == ((), ())


def test_visqol_over_both_kinds_of_category_has_a_footnote(summary):
    layout = lay_out(summary, ["speech"])
    note = next(note for note in layout.notes if note.startswith("†"))
    assert "speech mode (speech)" in note
    assert "audio mode (music)" in note
    marks = {section.category: [cell.mark for cell in section.rows[0].cells] for section in layout.sections}
    assert marks == {"speech": ["", ""], "music": ["", ""], "all": ["†", ""]}


@pytest.mark.parametrize(("speech", "mode"), [(["speech", "music"], "speech"), ([], "audio")])
def test_visqol_in_one_mode_says_which_and_has_no_mark(summary, speech, mode):
    layout = lay_out(summary, speech)
    option = "`earmark compare --speech` names the categories of speech"
    assert f"ViSQOL: {mode} mode (speech, music); {option}." in layout.notes
    assert layout.columns[0].heading == f"ViSQOL, {mode} mode (MOS-LQO) ↑"
    assert not any("†" in note for note in layout.notes)


def test_metrics_made_for_speech_are_marked_elsewhere():
    rows = [mean("opus@6", name, metric) for name in ("speech", "music", "all") for metric in ("stoi", "mel_distance")]
    summary = pd.DataFrame(rows)
    layout = lay_out(summary, ["speech"])
    marks = {section.category: [cell.mark for cell in section.rows[0].cells] for section in layout.sections}
    assert marks == {"speech": ["", ""], "music": ["‡", ""], "all": ["‡", ""]}
    assert any(note.startswith("‡ STOI: made for speech, so that scores of music say little") for note in layout.notes)
    lines = pd.read_csv(io.StringIO(tables.csv(summary, info("speech"))), keep_default_na=False)
    assert lines["remark"].tolist() == ["", "", "made for speech", "", "made for speech", ""]
    assert "remark" not in tables.csv(summary[summary["category"] == "speech"], info("speech"))


def test_csv_and_json_name_the_mode(summary):
    lines = pd.read_csv(io.StringIO(tables.csv(summary, info("speech"))), keep_default_na=False)
    own = lines[lines["metric"] == "visqol"].drop_duplicates("category")
    assert own["remark"].tolist() == ["speech mode", "audio mode", "mixes two scales"]
    assert [row["remark"] for row in json.loads(tables.json_records(summary, info("speech")))] == lines[
        "remark"
    ].tolist()


def test_pesq_is_labelled_as_before_corrigendum_2():
    layout = lay_out(pd.DataFrame([mean("opus@6", "speech", "pesq")]))
    assert layout.columns[0].heading == "PESQ wide band (MOS-LQO) ↑"
    assert any("before Corrigendum 2" in note for note in layout.notes)


def test_a_metric_that_is_not_installed_here_keeps_its_name():
    assert lay_out(pd.DataFrame([mean("opus@6", "speech", "warp_q")])).columns[0].heading == "warp_q"


def test_only_codecs_have_a_speed(summary):
    assert [speed.system for speed in lay_out(summary).speeds] == ["opus@6", "mp3@64"]


def test_speeds_have_three_digits():
    assert [factor_text(factor) for factor in (1234.5, 123.4, 12.34, 0.5, NAN)] == ["1,234", "123", "12.3", "0.5", "–"]


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_terminal_table_stays_in_its_width_and_cuts_no_number(width):
    rows = [
        mean(system, category, metric, value, half_width, n=100)
        for system in ("encodec_24khz@3", "anchor@3.5k")
        for category in ("speech", "all")
        for metric, value, half_width in (("si_snr", -12.34, 10.5), ("visqol", 4.12, 0.15), ("stoi", 0.912, 0.013))
    ]
    lines = terminal(pd.DataFrame(rows), width, "speech")
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    for text in ("-12.34±10.50 (100)", "4.12±0.15 (100)", "0.912±0.013 (100)"):
        assert sum(line.count(text) for line in lines) == 2


def test_four_metrics_share_a_terminal_of_100_columns():
    rows = [
        mean("anchor@3.5k", category, metric, value, 0.25, n=14)
        for category in ("speech", "all")
        for metric, value in (("si_snr", 12.34), ("visqol", 4.12), ("pesq", 3.33), ("stoi", 0.912))
    ]
    heading = terminal(pd.DataFrame(rows), 100)[0:3]
    for name in ("si_snr", "visqol", "pesq", "stoi"):
        assert name in "".join(heading)


def test_markdown_rows_have_as_many_cells_as_the_heading(summary):
    lines = tables.markdown(summary, info("speech")).splitlines()
    first_table = lines[: lines.index("")]
    assert first_table[0] == (
        "| Category | System | kbps nominal | kbps measured | ViSQOL (MOS-LQO) ↑ | SI-SNR (dB) ↑ |"
    )
    assert {line.count("|") for line in first_table} == {7}
    assert first_table[2] == "| speech (ViSQOL: speech mode) | opus@6 | 6 | 5.94 | 4.12 ± 0.15 (3) | -1.50 ± 0.25 (3) |"
    assert "| music (ViSQOL: audio mode) | reference | – | – | 4.12 ± 0.15 (3) | – (3 undefined) |" in first_table


def test_markdown_and_latex_escape_what_they_would_interpret(summary):
    awkward = summary.replace({"category": {"music": "a|b_*c* 50% & <i>"}})
    assert r"| a\|b\_\*c\* 50% & \<i> |" in tables.markdown(awkward, info())
    assert r"\textit{a\textbar{}b\_*c* 50\% \& \textless{}i\textgreater{}}" in tables.latex(awkward, info())


def test_latex_is_a_booktabs_table_with_a_block_per_category(summary):
    text = tables.latex(summary, info("speech"))
    scores = text.split(r"\end{table}")[0]
    for command in (
        r"\toprule", r"\bottomrule", r"\begin{tabular}{lrrrr}",
        r"\multicolumn{5}{l}{\textit{speech (ViSQOL: speech mode)}}", r"\caption{Scores}", r"\label{tab:scores}",
    ):  # fmt: skip
        assert scores.count(command) == 1
    assert scores.count(r"\midrule") == 3
    assert r"opus@6 & 6 & 5.94 & 4.12 $\pm$ 0.15 (3) & $-$1.50 $\pm$ 0.25 (3) \\" in scores
    assert text.isascii()


def test_csv_has_a_row_per_system_category_and_metric_in_full(summary):
    rows = list(csv.DictReader(io.StringIO(tables.csv(summary, info()))))
    assert len(rows) == 3 * 3 * 2
    first = rows[0]
    assert (first["system"], first["category"], first["metric"], first["n"]) == ("opus@6", "speech", "visqol", "3")
    assert float(first["ci95_low"]) == pytest.approx(3.97)
    reference = next(row for row in rows if row["system"] == "reference" and row["metric"] == "si_snr")
    assert reference["mean"] == reference["kbps"] == ""


def test_all_files_are_written(tmp_path, summary):
    tables.write_all(summary, info("speech"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"table.md", "table.tex", "table.csv"}


def test_json_has_the_numbers_of_csv():
    grid = Grid("A", ("Name", "Mean"), (("x", "1.0"),), data=({"name": "x", "mean": 1.25, "low": float("nan")},))
    assert json.loads(json_records(grid)) == [{"name": "x", "mean": 1.25, "low": None}]
    assert json.loads(json_records(replace(grid, data=()))) == [{"Name": "x", "Mean": "1.0"}]
