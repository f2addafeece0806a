"""The gate for nightly builds: regressions, margins, what is missing, and how the result is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from earmark.cli import main

GAPS = (-0.1, -0.2, -0.25, -0.3, -0.3, -0.35, -0.4, -0.42)  # mean -0.29, s = 0.1071; s / sqrt(8) = 0.0379
NIGHTLY_BUILDS = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "nightly-builds.md"


def write_run(folder: Path, values: dict[tuple[str, str], list[float | None]], category: str = "speech") -> Path:
    """Write a run by hand.

    Args:
        values: (system, metric) -> a score per recording; None for an undefined one.
    """
    files = [f"{category}/{number}.wav" for number in range(max(map(len, values.values())))]
    rows = [
        {
            "file": file, "category": category, "system": system, "metric": metric, "value": score,
            "status": "undefined" if score is None else "ok", "reason": "silence" if score is None else "",
            "kbps_nominal": 6.0, "kbps": 6.0, "duration": 1.0,
        }
        for (system, metric), scores in values.items()
        for file, score in zip(files, scores, strict=True)
    ]  # fmt: skip
    folder.mkdir()
    pd.DataFrame(rows).astype({"value": float}).to_parquet(folder / "scores.parquet")
    info = {
        "recordings": [{"file": file, "category": category, "sha256": file, "error": None} for file in files],
        "sample_rate": None, "mono": False, "speech_categories": ["speech"], "metric_versions": {},
        "systems": [system for system, _ in values], "metrics": [metric for _, metric in values],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(info))
    return folder


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    status: int
    output: str
    error: str


Gate = Callable[..., Ended]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Gate:
    """Run `earmark differences ARGUMENTS`."""

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr("sys.argv", ["earmark", "differences", *map(str, arguments)])
        monkeypatch.setattr("signal.signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return write_run(tmp_path / "old", {("mine@6", name): [3.0] * 8 for name in ("pesq", "visqol", "mel_distance")})


def changed(tmp_path: Path, metric: str, gaps: tuple[float | None, ...]) -> Path:
    scores = {("mine@6", name): [3.0] * 8 for name in ("pesq", "visqol", "mel_distance")}
    scores["mine@6", metric] = [None if gap is None else 3.0 + gap for gap in gaps]
    return write_run(tmp_path / "new", scores)


def test_a_significant_loss_ends_with_3(gate: Gate, old: Path, tmp_path: Path):
    """The mean loss is 7.7 standard errors: Student's t with 7 degrees of freedom has p = 0.00012; p is no less."""
    result = gate(changed(tmp_path, "pesq", GAPS), "--with", old, "--fail-if-worse", "visqol,pesq", "--margin", "0.05")
    assert result.status == 3
    lines = result.output.splitlines()
    assert lines[0] == "ok visqol +0.00 [+0.00, +0.00], p = 1.000, n = 8: mine@6"
    assert lines[1].startswith("REGRESSION pesq -0.29 [-0.")
    assert re.search(r"\], p (<|=) 0.00\d, n = 8: mine@6$", lines[1]), lines[1]
    assert lines[2] == "2 checks: 1 regression, 1 passed"


def test_the_example_of_the_documentation_is_what_the_gate_prints(gate: Gate, tmp_path: Path):
    """ViSQOL: mean -0.01, s = 0.0312, so t = -0.91 with 7 degrees of freedom and Student's p = 0.39."""
    small = (0.04, -0.05, 0.01, -0.03, 0.02, -0.04, -0.02, -0.01)
    old = write_run(tmp_path / "baseline", {("opus@12", name): [3.0] * 8 for name in ("visqol", "pesq")})
    changes = {"visqol": small, "pesq": GAPS}
    new = write_run(
        tmp_path / "nightly", {("opus@12", name): [3.0 + gap for gap in gaps] for name, gaps in changes.items()}
    )
    result = gate(new, "--with", old, "--fail-if-worse", "visqol,pesq", "--margin", "0.05")
    assert f"```text\n{result.output}```" in NIGHTLY_BUILDS.read_text()


@pytest.mark.parametrize(
    ("metric", "gaps", "margin", "status"),
    [
        ("pesq", GAPS, "0.28", 3),
        ("pesq", GAPS, "0.30", 0),  # the mean loss is 0.29
        ("pesq", GAPS, "visqol=0.1,pesq=0.3", 0),
        ("pesq", GAPS, "0.3,pesq=0.1", 3),
        ("pesq", tuple(-gap for gap in GAPS), "0", 0),  # better
        ("pesq", (-3.0, 0.1, 0.1, -0.1, 0.1, -0.1, 0.1, 0.1), "0", 0),  # a mean loss of 0.34, by chance: p > 0.05
        ("mel_distance", GAPS, "0", 0),  # lower is better
        ("mel_distance", tuple(-gap for gap in GAPS), "0", 3),
    ],
)
def test_direction_margin_and_significance(gate: Gate, old: Path, tmp_path: Path, metric, gaps, margin, status):
    new = changed(tmp_path, metric, gaps)
    result = gate(new, "--with", old, "--fail-if-worse", f"visqol,{metric}", "--margin", margin)
    assert result.status == status, result.output


def test_a_lost_score_ends_with_2_and_names_recording_and_reason(gate: Gate, old: Path, tmp_path: Path):
    """Otherwise a codec that fails on hard recordings would pass."""
    result = gate(changed(tmp_path, "pesq", (None, *GAPS[1:])), "--with", old, "--fail-if-worse", "pesq")
    assert result.status == 2
    assert "MISSING pesq (without a score that the other has: speech/0.wav (silence)): mine@6" in result.output


def test_a_missing_system_or_metric_ends_with_2(gate: Gate, old: Path, tmp_path: Path):
    other = write_run(tmp_path / "other", {("theirs@6", "pesq"): [3.0] * 8})
    result = gate(other, "--with", old, "--fail-if-worse", "pesq")
    assert (result.status, "MISSING pesq (the run has no pesq of mine@6): mine@6" in result.output) == (2, True)
    result = gate(old, "--with", old, "--fail-if-worse", "stoi,pesq")
    assert (result.status, "MISSING stoi (the run has no stoi of mine@6)" in result.output) == (2, True)


def test_a_regression_outweighs_what_is_missing(gate: Gate, old: Path, tmp_path: Path):
    assert gate(changed(tmp_path, "pesq", GAPS), "--with", old, "--fail-if-worse", "stoi,pesq").status == 3


def test_missing_recordings_end_with_2(gate: Gate, old: Path, tmp_path: Path):
    new = write_run(tmp_path / "new", {("mine@6", "pesq"): [3.0] * 7})
    result = gate(new, "--with", old, "--fail-if-worse", "pesq")
    assert "only the second has speech/7.wav" in result.error


def test_too_few_recordings_cannot_fail_and_are_refused(gate: Gate, tmp_path: Path):
    """Five recordings with one and the same loss have p = 2 / 2^5 = 0.0625: such a gate would never close."""
    runs = [write_run(tmp_path / name, {("mine@6", "pesq"): [score] * 5}) for name, score in (("a", 1.0), ("b", 4.0))]
    result = gate(runs[0], "--with", runs[1], "--fail-if-worse", "pesq")
    assert result.status == 2
    assert "no loss can be significant with 5 recordings: p is at least 0.0625" in result.output


def test_groups_of_recordings_are_the_units_of_the_test(gate: Gate, tmp_path: Path):
    """Losses of 0.1 to 0.6 by talker are 4.6 standard errors (p > 0.005); those of three talkers 0.15, 0.35 and 0.55.

    The latter have a mean of 0.35 and a standard error of 0.2 / sqrt(3): t = 3.03 with 2 degrees of freedom, p = 0.094.
    """
    scores = {"old": [3.0] * 12, "new": [3.0 - 0.1 * (1 + number // 2) for number in range(12)]}
    old, new = (write_run(tmp_path / name, {("mine@6", "pesq"): scores[name]}) for name in ("old", "new"))
    table = tmp_path / "talkers.csv"
    for talkers, status, says in (
        (6, 3, "n = 12"),
        (3, 0, "p = 0.094, n = 12"),
        (1, 2, "with 1 group: p is at least 1"),
    ):
        rows = [f"speech/{number}.wav,{number * talkers // 12}" for number in range(12)]
        table.write_text("\n".join(["file,cluster", *rows]) + "\n")
        result = gate(new, "--with", old, "--fail-if-worse", "pesq", "--cluster-by", table)
        assert (result.status, says in result.output) == (status, True), result.output


def test_visqol_is_checked_on_each_of_its_scales(gate: Gate, tmp_path: Path):
    for name, fall in (("old", 0.0), ("new", 0.5)):
        speech = write_run(tmp_path / f"{name}-speech", {("mine@6", "visqol"): [3.0] * 8})
        music = write_run(tmp_path / f"{name}-music", {("mine@6", "visqol"): [4.0 - fall] * 8}, "music")
        info = json.loads((speech / "run.json").read_text())
        info["recordings"] += json.loads((music / "run.json").read_text())["recordings"]
        (speech / "run.json").write_text(json.dumps(info))
        both = pd.concat([pd.read_parquet(folder / "scores.parquet") for folder in (speech, music)])
        both.to_parquet(speech / "scores.parquet")
    result = gate(tmp_path / "new-speech", "--with", tmp_path / "old-speech", "--fail-if-worse", "visqol")
    assert result.status == 3
    assert "ok visqol +0.00 [+0.00, +0.00], p = 1.000, n = 8: mine@6, speech mode" in result.output
    assert "REGRESSION visqol -0.50 [-0.50, -0.50], p = 0.008, n = 8: mine@6, audio mode" in result.output


def test_within_a_run_against_one_system(gate: Gate, tmp_path: Path):
    scores = {("theirs@6", "pesq"): [3.0] * 8, ("mine@6", "pesq"): [3.0 + gap for gap in GAPS]}
    run = write_run(tmp_path / "run", scores)
    assert gate(run, "--against", "theirs@6", "--fail-if-worse", "pesq").status == 3
    assert gate(run, "--against", "mine@6", "--fail-if-worse", "pesq").status == 0
    assert "either --with RUN or --against SYSTEM" in gate(run, "--fail-if-worse", "pesq").error


def test_junit_and_markdown(gate: Gate, old: Path, tmp_path: Path):
    new = changed(tmp_path, "pesq", GAPS)
    arguments = [new, "--with", old, "--fail-if-worse", "pesq,visqol,stoi", "--junit", tmp_path / "gate.xml"]
    result = gate(*arguments, "--format", "markdown")
    assert result.status == 3
    assert result.output.startswith(f"**{new} against {old}: 3 checks: 1 regression, 1 missing, 1 passed**")
    assert "\n| REGRESSION | PESQ wide band ↑ | mine@6 | all | 8 | −0.29 |" in result.output
    assert result.error.startswith("REGRESSION pesq -0.29")
    (suite,) = ElementTree.parse(tmp_path / "gate.xml").getroot()
    assert [suite.get(key) for key in ("tests", "failures", "errors")] == ["3", "1", "1"]
    outcomes = {case.get("classname"): case[0] for case in suite}
    assert {name: element.tag for name, element in outcomes.items()} == {
        "pesq": "failure", "visqol": "system-out", "stoi": "error",
    }  # fmt: skip
    assert (outcomes["pesq"].get("message") or "").startswith("REGRESSION pesq -0.29")
    records = json.loads(gate(*arguments, "--format", "json", "--force").output)
    assert [record["result"] for record in records] == ["regression", "passed", "missing"]


@pytest.mark.parametrize("margin", ["-1", "pesq=x", "nan"])
def test_wrong_margins(gate: Gate, old: Path, margin: str):
    result = gate(old, "--with", old, "--fail-if-worse", "pesq", "--margin", margin)
    assert (result.status, "is not a loss of 0 or more" in result.error) == (2, True)


def test_options_of_the_gate_alone(gate: Gate, old: Path):
    assert "add --fail-if-worse" in gate(old, "--with", old, "--margin", "0.1").error
    result = gate(old, "--with", old, "--fail-if-worse", "pesq", "--margin", "visqol=1")
    assert "visqol is not among the metrics of --fail-if-worse" in result.error
