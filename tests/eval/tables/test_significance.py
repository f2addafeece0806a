"""A part of the table, and stars at scores that differ significantly from a system's."""

from __future__ import annotations

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.eval.statistics.aggregate import summarise
from earmark.eval.tables.layout import lay_out
from earmark.eval.tables.renderers import RENDERERS
from earmark.eval.tables.significance import part, with_significance

FILES = 8
INFO = {"speech_categories": []}


def table() -> pd.DataFrame:
    """Three systems on eight files: b is 1 dB better than a on each, c better on half and worse on the others."""
    gains = {"a@1": [0.0] * FILES, "b@2": [1.0] * FILES, "c@3": [1.0, -1.0] * (FILES // 2)}
    return pd.DataFrame(
        {
            "file": f"{category}/{number}.wav", "category": category, "system": system, "metric": metric,
            "value": 10.0 + number + gain, "status": "ok", "reason": "", "kbps_nominal": 1.0, "kbps": 1.0,
            "encode_seconds": 1.0, "decode_seconds": 1.0, "duration": 1.0,
        }
        for category in ("speech", "music")
        for metric in ("si_snr", "si_sdr")
        for system, row in gains.items()
        for number, gain in enumerate(row)
    )  # fmt: skip


def test_a_part_has_the_named_systems_metrics_and_categories():
    rows = part(table(), ["A@1", "c@3"], ["si-snr"], ["music"])
    assert (set(rows.system), set(rows.metric), set(rows.category)) == ({"a@1", "c@3"}, {"si_snr"}, {"music"})
    assert part(table()).equals(table())
    for wrong, says in (
        ({"systems": ["b@3"]}, "--systems b@3: not in this run"),
        ({"metrics": ["pesq"]}, "--metrics pesq: not in this run; it has si_snr, si_sdr"),
        ({"categories": ["speach"]}, r"did you mean speech\?"),
    ):
        with pytest.raises(UserError, match=says):
            part(table(), **wrong)


def test_a_star_marks_what_differs_significantly():
    """All eight signs agree: p = 2 / 2^8 = 0.0078, doubled by Holm for two systems; c's mean difference is 0: p = 1."""
    scores = part(table(), categories=["speech"])
    summary = with_significance(summarise(scores), scores, "a@1")
    layout = lay_out(summary)
    marks = {row.system: [cell.mark for cell in row.cells] for row in layout.sections[0].rows}
    assert marks == {"a@1": ["", ""], "b@2": ["*", "*"], "c@3": ["", ""]}
    assert any(note.startswith("* The mean difference from a@1") for note in layout.notes)
    rows = summary[(summary.category == "speech") & (summary.metric == "si_snr")].set_index("system")
    assert rows.p[["b@2", "c@3"]].tolist() == pytest.approx([2 * 2 / 2**FILES, 1.0])
    assert rows.difference[["b@2", "c@3"]].tolist() == [1.0, 0.0]
    assert pd.isna(rows.p["a@1"])
    assert "14.50 ± 2.05 (8)*" in RENDERERS["markdown"](summary, INFO).replace("\\", "")
    assert RENDERERS["csv"](summary, INFO).splitlines()[0].endswith(",against,difference,p,lowest_p")
    with pytest.raises(UserError, match="--against d: not in this table; it has a@1, b@2, c@3"):
        with_significance(summarise(scores), scores, "d")


def test_too_few_files_for_any_star_are_told():
    """Two files have neither an interval nor a test; the other category has enough."""
    every = table()
    few = every[(every.category == "music") | every.file.str.contains("[01].wav")]
    summary = with_significance(summarise(few), few, "a@1")
    note = "speech: too few files for significance, whatever the scores."
    assert note in lay_out(summary).notes
    assert summary[(summary.category == "speech") & (summary.system == "b@2")].lowest_p.tolist() == [1.0, 1.0]
    six = part(every[every.file.str.contains("[0-5].wav")], ["a@1", "b@2"])
    assert not any("too few" in line for line in lay_out(with_significance(summarise(six), six, "a@1")).notes)


def test_without_a_chosen_system_the_table_is_as_before():
    layout = lay_out(summarise(table()))
    assert not any("*" in note for note in layout.notes)
