"""A run in the rows of the paper's tables."""

from __future__ import annotations

import csv
import io
import json
import math
import re

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.eval.paper.figures import FIGURES
from earmark.eval.paper.published_tables import names, published
from earmark.eval.paper.sources import read_bench, read_study
from earmark.eval.paper.tables import lay_out_like
from earmark.eval.tables.grid import RENDERERS


def mean(system, kbps, value=4.0, metric="visqol_audio", category="music"):
    return {
        "system": system, "category": category, "metric": metric, "n": 3, "undefined": 0, "failed": 0, "mean": value,
        "ci95_low": value - 0.5, "ci95_high": value + 0.5, "kbps_nominal": kbps, "kbps": kbps, "encode_rtf": 8.0,
        "decode_rtf": 16.0,
    }  # fmt: skip


INFO = {
    "speech_categories": [],
    "recordings": [
        {"file": "a", "seconds": 2.0, "sample_rate": 24000, "channels": 1, "error": None},
        {"file": "b", "error": "unreadable"},
    ],
}
STEREO = {
    "speech_categories": [],
    "recordings": [{"file": "a", "seconds": 2.0, "sample_rate": 48000, "channels": 2, "error": None}],
}


def summary(*rows):
    return pd.DataFrame([*rows, *({**row, "category": "all"} for row in rows)])


def rows_of(grid):
    return {row[0]: dict(zip(grid.flat, row, strict=True)) for row in grid.rows}


def test_table_1_with_and_without_entropy_coding():
    means = summary(
        mean("opus@6", 5.7, 2.0), mean("encodec_24khz@6", 6.0, 4.1), mean("encodec_24khz@6:lm=a.safetensors", 4.3, 4.1)
    )
    rows = rows_of(lay_out_like("table1", means, INFO, metrics=["visqol_audio"]))
    encodec = rows["EnCodec, 6 kbps"]
    assert (encodec["kbps, ours"], encodec["entropy coded, kbps, ours"]) == ("6.00", "4.30")
    assert encodec["entropy coded, kbps, paper"] == "4.1"
    assert encodec["ViSQOL, audio mode (MOS-LQO) ↑"] == "4.10 ± 0.50 (3)"
    assert rows["Opus, 6 kbps"]["kbps, ours"] == "5.70"
    assert (rows["EVS, 9.6 kbps"]["System"], rows["EVS, 9.6 kbps"]["kbps, ours"]) == ("", "(a)")  # not run
    assert rows["Opus, 6 kbps"]["entropy coded, kbps, ours"] == "–"  # as in the paper: Opus has no language model
    assert rows["EnCodec, 3 kbps"]["MUSHRA, music set 2, paper"] == "87.8 ± 2.9"


def test_table_4_compares_with_pcm():
    """48 kHz x 2 x 16 bit = 1536 kbps: 256 times 6 kbps and 24 times 64 kbps, as the paper prints."""
    means = summary(mean("encodec_48khz@6:checkpoint=official", 6.0), mean("mp3@64", 64.0), mean("opus@24", 24.0))
    rows = rows_of(lay_out_like("table4", means, STEREO))
    for row in rows.values():
        assert row["compression, ours"] == row["compression, paper"] or row["compression, ours"].startswith("(")
    assert rows["EnCodec, 6 kbps"]["compression, ours"] == "256×"
    assert rows["Reference"]["compression, ours"] == "(a)"


def test_systems_that_share_a_row_have_a_line_each():
    means = summary(mean("encodec_24khz@6", 6.0, 3.0), mean("encodec_24khz@6:checkpoint=official", 6.0, 4.0))
    grid = lay_out_like("table1", means, INFO)
    first = next(index for index, row in enumerate(grid.rows) if row[0] == "EnCodec, 6 kbps")
    assert [row[1] for row in grid.rows[first : first + 2]] == [
        "encodec_24khz@6 ‡", "encodec_24khz@6:checkpoint=official",
    ]  # fmt: skip
    second = dict(zip(grid.flat, grid.rows[first + 1], strict=True))
    assert (second["Model"], second["kbps, paper"], second["kbps, ours"]) == ("", "", "6.00")


def test_columns_of_a_listening_test(tmp_path):
    """The run's category "music" is the paper's first set; a category that the paper lacks gets its own column."""
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "summary.csv").write_text(
        "condition,category,n,mean,ci95_low,ci95_high\nopus@6,music,9,31.5,30.0,33.0\nreference,music,9,97,96,98\n"
        "opus@6,birds,9,20.0,19.0,21.0\nopus@6,all,18,25.75,25,26.5\n"
    )
    study = read_study(tmp_path)
    assert read_study(tmp_path / "report" / "summary.csv").equals(study)
    rows = rows_of(lay_out_like("table1", summary(mean("opus@6", 5.7)), INFO, study))
    assert rows["Opus, 6 kbps"]["MUSHRA, music set 1, ours"] == "31.5 ± 1.5"
    assert rows["Opus, 6 kbps"]["MUSHRA, birds"] == "20.0 ± 1.0"
    assert re.fullmatch(r"\([a-z]\)", rows["Opus, 12 kbps"]["MUSHRA, music set 1, ours"])
    assert rows["Reference"]["MUSHRA, music set 1, ours"] == "97.0 ± 1.0"  # heard, though not a system of the run
    assert rows_of(lay_out_like("table4", summary(mean("opus@6", 5.7)), INFO, study))["Opus, 6 kbps"][
        "MUSHRA, ours"
    ] == "25.8 ± 0.8"  # fmt: skip


def test_ratings_are_not_scores(tmp_path):
    with pytest.raises(UserError, match=r"no summary.csv in it; make one with `earmark study report`"):
        read_study(tmp_path)
    (tmp_path / "ratings.csv").write_text("listener,item,condition,score\na,1,opus@6,30\n")
    with pytest.raises(UserError, match=r"ratings have to be screened first: `earmark study report --ratings"):
        read_study(tmp_path / "ratings.csv")


def test_trainings_stand_in_the_row_of_their_folder_at_the_tables_rate():
    means = summary(
        mean("encodec_24khz@6:checkpoint=out/mpd/model.safetensors", 6.0, 3.3, "visqol"),
        mean("encodec_24khz@3:checkpoint=out/mpd/model.safetensors", 3.0, 2.2, "visqol"),
        mean("encodec_24khz@6", 6.0, 3.1, "visqol"),
    )
    grid = lay_out_like("table2", means, INFO)
    rows = rows_of(grid)
    assert (rows["MPD"]["SI-SNR, paper"], rows["MPD"]["MUSHRA, paper"]) == ("7.35", "60.7 ± 2.8")
    assert rows["MPD"]["ViSQOL, ours"] == "3.30 ± 0.50 (3)"
    assert rows["MS-STFT"]["ViSQOL, ours"] == "3.10 ± 0.50 (3)"  # what comes with the package was trained by it
    assert rows["MS-STFT + MPD"]["ViSQOL, ours"] == "(a)"
    assert len(grid.rows) == 4
    assert "In no row of this table: encodec_24khz@3:checkpoint=out/mpd/model.safetensors." in grid.notes


@pytest.mark.parametrize(
    ("table", "system", "label"),
    [
        ("table2", "encodec_24khz@6:checkpoint=mpd/model.safetensors", "MPD"),
        ("tableA3", "encodec_24khz@6:checkpoint=out/no_lstm/model.safetensors", "LSTM = 0"),
        ("table3", "encodec_24khz@6:checkpoint=non_streamable/model.safetensors", "EnCodec"),
        ("table3", "encodec_24khz@6:checkpoint=o/encodec_24khz_non_streamable/model.safetensors", "EnCodec"),
    ],
)
def test_the_folder_of_a_training_may_stand_anywhere(table, system, label):
    grid = lay_out_like(table, summary(mean(system, 6.0)), INFO)
    assert [row[0] for row in grid.rows if row[1].startswith(system)] == [label]


def test_other_weights_than_the_papers_are_marked_and_named():
    """The bundled model is half as wide as the paper's, a file is another training, official weights are its own."""
    means = summary(
        mean("encodec_24khz@6", 6.0), mean("encodec_24khz@6:checkpoint=mine.safetensors", 6.0),
        mean("encodec_24khz@6:checkpoint=official", 6.0), mean("opus@6", 6.0),
    )  # fmt: skip
    grid = lay_out_like("table1", means, INFO)
    assert [row[1] for row in grid.rows if row[1]] == [
        "opus@6", "encodec_24khz@6 ‡", "encodec_24khz@6:checkpoint=mine.safetensors ‡",
        "encodec_24khz@6:checkpoint=official",
    ]  # fmt: skip
    (note,) = (note for note in grid.notes if note.startswith("‡"))
    assert "encodec_24khz@6: those that come with Earmark, 16 channels wide where the paper's are 32" in note
    assert "those of mine.safetensors" in note
    assert r"encodec\_24khz@6 \ddag{}" in RENDERERS["latex"](grid)
    official = lay_out_like("table1", summary(mean("encodec_24khz@6:checkpoint=official", 6.0)), INFO)
    assert "‡" not in RENDERERS["text"](official)


def test_another_sample_rate_or_channels_than_the_tables_are_noted():
    means = summary(mean("opus@6", 5.7))
    assert not any("condition" in note for note in lay_out_like("table1", means, INFO).notes)
    (note,) = (note for note in lay_out_like("table1", means, STEREO).notes if "condition" in note)
    assert note == (
        "Not the paper's condition, which is 24 kHz mono: scored at 48 kHz, stereo; run `earmark compare` with "
        "--rate 24000 --mono."
    )
    assert not any("condition" in note for note in lay_out_like("table4", means, STEREO).notes)
    (note,) = (note for note in lay_out_like("table4", means, INFO).notes if "condition" in note)
    assert note.endswith("scored at 24 kHz, mono; run `earmark compare` with --rate 48000, and stereo recordings.")


def test_as_csv_a_table_is_data():
    """One line per figure: the paper's as printed, ours as a number with its interval and n."""
    means = summary(
        mean("encodec_24khz@6", 6.0, 3.1, "visqol"), mean("opus@6", 5.7, -1.5, "si_snr") | {"ci95_low": -2.0},
        mean("opus@6", 5.7, metric="visqol") | {"n": 1, "ci95_low": math.nan, "ci95_high": math.nan},
    )  # fmt: skip
    lines = list(csv.DictReader(io.StringIO(RENDERERS["csv"](lay_out_like("table3", means, INFO)))))
    rows = {(line["model"], line["system"], line["figure"]): line for line in lines}
    ours = rows["EnCodec", "encodec_24khz@6", "ViSQOL"]
    assert (ours["paper"], ours["value"], ours["low"], ours["high"], ours["n"]) == ("4.35", "3.1", "2.6", "3.6", "3")
    assert ours["weights"].startswith("those that come with Earmark")
    single = rows["Opus", "opus@6", "ViSQOL"]
    assert (single["value"], single["low"], single["n"], single["weights"]) == ("4.0", "", "1", "")
    assert (rows["EVS", "", "SI-SNR"]["paper"], rows["EVS", "", "SI-SNR"]["value"]) == ("1.89", "")


def test_other_metrics_of_the_run_stand_beside_the_papers_where_they_are_asked_for():
    means = summary(
        mean("opus@6", 5.7, metric="visqol"), mean("opus@6", 5.7, 0.9, "stoi"), mean("opus@6", 5.7, 2.0, "pesq")
    )
    plain = lay_out_like("table3", means, INFO)
    assert plain.flat[-1] == "ViSQOL, ours"
    assert not any("Corrigendum" in note for note in plain.notes)  # which is of PESQ
    more = lay_out_like("table3", means, INFO, metrics=["pesq"])
    assert more.flat[-1] == "PESQ wide band (MOS-LQO) ↑"
    assert any("Corrigendum" in note for note in more.notes)
    with pytest.raises(UserError, match="--metrics estoi: not in this run; it has visqol, stoi, pesq"):
        lay_out_like("table3", means, INFO, metrics=["estoi"])


def test_as_latex_pairs_of_columns_stand_below_one_heading_and_fit_the_page():
    """Model and system, then "streamable", which only the paper has, then pairs of paper and ours from column 4 on."""
    text = RENDERERS["latex"](lay_out_like("table3", summary(mean("opus@6", 5.7, metric="visqol")), INFO))
    lines = text.splitlines()
    head = lines.index(r"\toprule")
    assert lines[head + 1] == (
        r" &  & \multicolumn{1}{c}{streamable} & \multicolumn{2}{c}{SI-SNR} & \multicolumn{2}{c}{ViSQOL} \\"
    )
    assert lines[head + 2] == r"\cmidrule(lr){3-3} \cmidrule(lr){4-5} \cmidrule(lr){6-7}"
    assert lines[head + 3] == r"Model & System & paper & paper & ours & paper & ours \\"
    assert r"\begin{tabular}{llrrrrr}" in text
    assert r"\label{tab:table-3-streamable-and-not-6-kbps-speech-and-music-alike}" in text
    assert r"\begin{table*}" in text
    assert r"\texttt{earmark compare} with --rate 24000" in RENDERERS["latex"](
        lay_out_like("table3", summary(mean("opus@6", 5.7)), STEREO)
    )
    caption = next(line for line in lines if line.startswith(r"\caption"))
    assert caption == r"\caption{Table 3: streamable and not, 6 kbps, speech and music alike}"
    assert text.index("EVS at 5.9 kbps stands for") > text.index(r"\end{tabular}")
    assert text.count("{") == text.count("}")
    assert text.isascii()


def test_table_5_from_the_run_and_from_a_bench(tmp_path):
    spread = {"low": 1, "high": 20}
    bench = [
        {"system": "encodec_24khz@6", "latency": 0.0133, "encode": {"median": 9.9, **spread},
         "decode": {"median": 11, **spread}},
        {"system": "encodec_24khz@6:lm", "latency": 0.0267, "encode": {"median": 2.5, **spread},
         "decode": {"median": 2.25, **spread}},
    ]  # fmt: skip
    (tmp_path / "bench.json").write_text(json.dumps({"threads": 1, "systems": bench}))
    means = summary(mean("encodec_24khz@6", 6.0))
    own = rows_of(lay_out_like("table5", means, INFO))["EnCodec, 24 kHz"]
    assert (own["encoding, × real time, ours"], own["decoding, × real time, ours"]) == ("8", "16")
    assert own["latency, ours"].startswith("(")
    timed = rows_of(lay_out_like("table5", means, INFO, bench=read_bench(tmp_path / "bench.json")))["EnCodec, 24 kHz"]
    assert (timed["latency, ours"], timed["latency, paper"]) == ("13 ms", "13 ms")
    assert timed["latency with entropy coding, ours"] == "27 ms"  # not that of the codes alone
    assert timed["encoding, × real time, ours"] == "9.9 (1 to 20)"  # median and quartiles
    assert timed["encoding with entropy coding, ours"] == "2.5 (1 to 20)"
    assert timed["decoding with entropy coding, ours"] == "2.25 (1 to 20)"
    assert timed["decoding with entropy coding, paper"] == "1.6"
    (tmp_path / "bench.json").write_text("[]")
    with pytest.raises(UserError, match=r"--bench .*; make it with `earmark bench --out"):
        read_bench(tmp_path / "bench.json")


def test_a_system_that_failed_stands_in_its_row_with_the_reason():
    means = summary(mean("opus@6", 5.7), mean("evs@9.6", math.nan, math.nan) | {"n": 0, "failed": 3})
    scores = pd.DataFrame({
        "file": ["a", "a"], "system": ["opus@6", "evs@9.6"], "status": ["ok", "error"], "duration": [2.0, math.nan],
        "reason": ["", "evs@9.6: EVS_cod is missing"],
    })  # fmt: skip
    grid = lay_out_like("table1", means, INFO, scores=scores)
    failed = rows_of(grid)["EVS, 9.6 kbps"]
    assert failed["System"] == "evs@9.6 (failed)"
    assert f"{failed['kbps, ours']} evs@9.6 failed: EVS_cod is missing." in grid.notes


def test_each_missing_figure_has_its_reason():
    """A letter in the table, its reason and remedy below; in CSV the reason itself."""
    grid = lay_out_like("table1", summary(mean("encodec_24khz@6", 6.0)), INFO)
    cells = rows_of(grid)["EnCodec, 6 kbps"]
    assert f"{cells['entropy coded, kbps, ours']} not run with a language model: add encodec_24khz@6:lm." in grid.notes
    mushra = cells["MUSHRA, clean speech, ours"]
    assert f"{mushra} no listening test was given: add --mushra STUDY." in grid.notes
    (row,) = (note for note in grid.notes if note.startswith("(a)"))
    assert row.startswith(
        "(a) no system of the run belongs in this row; the rows take reference, opus@6, opus@12, evs@9.6"
    )
    reasons = [line["reason"] for line in grid.data if line["system"] == "encodec_24khz@6"]
    assert "no listening test was given: add --mushra STUDY" in reasons
    for row in grid.rows:
        assert all(cell != "" for cell in row[2:]) or row[0] == ""


def test_no_system_of_the_run_vanishes():
    means = summary(mean("opus@6", 5.7), mean("mine@6", 6.0))
    assert "In no row of this table: mine@6." in lay_out_like("table3", means, INFO).notes
    assert not any(
        note.startswith("In no row") for note in lay_out_like("table3", summary(mean("opus@6", 5.7)), INFO).notes
    )


@pytest.mark.parametrize("name", ["tableA4", "table_a4", "tablea4", "Table A.4", "table-A4"])
def test_a_table_has_many_spellings(name):
    assert published(name).title.startswith("Table A.4")
    with pytest.raises(UserError, match="--paper figure_3: a figure; draw it by `earmark reproduce figure3`"):
        published("figure_3")


def test_table_5_from_a_bench_alone():
    """No run is needed for latencies and speeds."""
    spread = {"median": 9.9, "low": 1, "high": 20}
    bench = {"encodec_24khz@6": {"latency": 0.0133, "encode": spread, "decode": spread}}
    nothing = summary(mean("opus@6", 5.7)).iloc[:0]
    info = {"recordings": [], "speech_categories": []}
    row = rows_of(lay_out_like("table5", nothing, info, bench=bench))["EnCodec, 24 kHz"]
    assert (row["latency, ours"], row["encoding, × real time, ours"]) == ("13 ms", "9.9 (1 to 20)")


@pytest.mark.parametrize("name", names())
def test_every_table_is_whole_and_is_rendered_in_every_form(name):
    table = published(name)
    assert all(len(row.paper) == len(table.columns) for row in table.rows)
    assert {column.figure for column in table.columns} <= {*FIGURES, "none"}
    means = summary(mean("opus@6", 5.7), mean("opus@6", 5.7, metric="pesq"), mean("encodec_24khz@6", 6.0))
    grid = lay_out_like(name, means, INFO)
    assert len(set(grid.flat)) == len(grid.flat)
    assert len(set(grid.notes)) == len(grid.notes)
    for form in ("markdown", "latex", "csv"):
        text = RENDERERS[form](grid)
        assert all(text.count(note) <= 1 for note in grid.notes)
    assert r"\toprule" in RENDERERS["latex"](grid)


@pytest.mark.parametrize(
    ("name", "rows"), [("table1", 10), ("table2", 4), ("table3", 4), ("table4", 7), ("table5", 3), ("tableA2", 6),
                       ("tableA3", 6), ("tableA4", 28)]
)  # fmt: skip
def test_as_many_rows_as_the_paper_prints(name, rows):
    assert len(published(name).rows) == rows


def test_a_table_that_is_not_there_names_those_that_are():
    with pytest.raises(UserError, match=r"--paper table9: not one of table1, table2, table3, table4, table5, tableA2"):
        published("table9")


def test_a_mean_over_both_modes_of_visqol_is_marked():
    """Speech mode and audio mode are two scales; the paper's figure stands beside a mean over both."""
    means = summary(mean("opus@6", 5.7, 2.0, "visqol", "speech"), mean("opus@6", 5.7, 3.0, "visqol", "music"))
    notes = " ".join(lay_out_like("table3", means, INFO | {"speech_categories": ["speech"]}).notes)
    assert "ViSQOL over all files mixes two scales: speech mode (speech) and audio mode (music)" in notes
