"""`write_results`: the tables and the report of a run, for the command and for Python callers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from earmark.eval.report.results import write_results

INFO = {
    "command": "earmark compare", "created": "2026-01-02T03:04:05+00:00", "earmark": "0.1.0", "versions": {},
    "systems": ["opus@12"], "audio_dir": "clips", "metrics": ["si_snr"], "speech_categories": [], "notes": [],
    "sample_rate": None, "mono": False, "machine": "Abacus, 2 cores",
    "recordings": [{"file": "music/a.wav", "category": "music", "sha256": "ab" * 32, "error": None,
                    "sample_rate": 48000, "channels": 1, "seconds": 2.0}],
}  # fmt: skip
WRITTEN = ("table.md", "table.tex", "table.csv", "report.html")


@pytest.fixture
def scores() -> pd.DataFrame:
    return pd.DataFrame([{
        "file": "music/a.wav", "category": "music", "system": "opus@12", "metric": "si_snr", "value": 8.25,
        "status": "ok", "reason": "", "kbps_nominal": 12.0, "kbps": 11.9, "lag": 0, "encode_seconds": 0.01,
        "decode_seconds": 0.005, "duration": 2.0,
    }])  # fmt: skip


def test_tables_and_report_are_written_and_the_means_returned(tmp_path: Path, scores: pd.DataFrame):
    summary = write_results(tmp_path, scores, INFO)
    assert summary.loc[summary["category"] == "music", "mean"].tolist() == [8.25]
    for name in WRITTEN:
        assert "8.25" in (tmp_path / name).read_text(encoding="utf-8")


def test_an_existing_report_is_kept_on_request_unless_its_audio_is_elsewhere(tmp_path: Path, scores: pd.DataFrame):
    write_results(tmp_path, scores, INFO)
    report = tmp_path / "report.html"
    report.write_text("kept")
    write_results(tmp_path, scores, INFO, if_missing=True)
    assert report.read_text() == "kept"
    (tmp_path / "excerpts").mkdir()
    write_results(tmp_path, scores, INFO, if_missing=True)
    assert "8.25" in report.read_text(encoding="utf-8")
    assert not (tmp_path / "excerpts").exists()
