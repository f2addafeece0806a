"""A run in the rows of the paper's tables."""

from __future__ import annotations

import pandas as pd
import pytest

from codec.errors import UserError
from eval.paper_tables import lay_out_like, names, published, read_study


def mean(system, kbps, value=4.0, metric="visqol_audio"):
    return {
        "system": system, "category": "music", "metric": metric, "n": 3, "undefined": 0, "failed": 0, "mean": value,
        "ci95_low": value - 0.5, "ci95_high": value + 0.5, "kbps_nominal": kbps, "kbps": kbps, "encode_rtf": 1.0,
        "decode_rtf": 1.0,
    }  # fmt: skip


INFO = {
    "speech_categories": [],
    "recordings": [
        {"file": "a", "seconds": 2.0, "sample_rate": 24000, "channels": 1, "error": None},
        {"file": "b", "error": "unreadable"},
    ],
}


def rows_of(grid):
    return {row[0]: dict(zip(grid.headings, row, strict=True)) for row in grid.rows}


def test_table_1_with_and_without_entropy_coding():
    """24 kHz x 16 bit = 384 kbps, 64 times 6 kbps."""
    summary = pd.DataFrame([
        mean("opus@6", 5.7, 2.0), mean("encodec_24khz@6", 6.0, 4.1), mean("encodec_24khz@6:lm", 4.3, 4.1)
    ])  # fmt: skip
    rows = rows_of(lay_out_like("table1", summary, INFO))
    encodec = rows["EnCodec, 6 kbps"]
    assert (encodec["kbps"], encodec["kbps, entropy coded"], encodec["compression"]) == ("6.00", "4.30", "64×")
    assert encodec["ViSQOL, audio mode (MOS-LQO) ↑"] == "4.10 ± 0.50 (3)"
    assert rows["Opus, 6 kbps"]["kbps"] == "5.70"
    assert rows["EVS, 9.6 kbps"]["kbps"] == ""  # not run
    assert rows["EnCodec, 3 kbps"]["kbps, entropy coded (paper)"] == "1.9"


def test_columns_of_a_listening_test(tmp_path):
    (tmp_path / "summary.csv").write_text(
        "condition,category,n,mean,ci95_low,ci95_high\nopus@6,music,9,31.5,30.0,33.0\nreference,music,9,97,96,98\n"
    )
    summary = pd.DataFrame([mean("opus@6", 5.7)])
    rows = rows_of(lay_out_like("table1", summary, INFO, read_study(tmp_path)))
    assert rows["Opus, 6 kbps"]["MUSHRA, music"] == "31.5 ± 1.5"
    assert rows["Opus, 12 kbps"]["MUSHRA, music"] == ""
    with pytest.raises(UserError, match=r"no summary.csv in it; make one with `earmark mushra report`"):
        read_study(tmp_path / "nowhere")


def test_trainings_stand_in_the_row_of_their_folder():
    summary = pd.DataFrame([mean("encodec_24khz@6:checkpoint=out/mpd/model.safetensors", 6.0, 3.3)])
    rows = rows_of(lay_out_like("table2", summary, INFO))
    assert rows["MPD"]["SI-SNR (paper)"] == "7.35"
    assert rows["MPD"]["ViSQOL, audio mode (MOS-LQO) ↑"] == "3.30 ± 0.50 (3)"
    assert rows["MS-STFT + MPD"]["kbps"] == ""


@pytest.mark.parametrize("name", names())
def test_every_row_has_every_published_column(name):
    table = published(name)
    assert all(len(row.paper) == len(table.columns) for row in table.rows)


def test_a_table_that_is_not_there_names_those_that_are():
    with pytest.raises(UserError, match=r"--paper table9: not one of table1, table2, tableA2, tableA3, tableA4"):
        published("table9")
