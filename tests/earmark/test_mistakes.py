"""Forty mistakes that people make at the command line: one line that names the cause and the remedy, and the status."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earmark.codec.audio import write

from .calling import call

HERE = Path(__file__).resolve().parents[1] / "data" / "version-0.1"
# Arguments, in a folder with clips/music/a.wav, run/ (a run), study/ (a study), a.ecdc; what the message says.
MISTAKES = [
    # Commands
    (["comprae", "clips"], "comprae is no command of earmark; did you mean compare?"),
    (["table", "run"], "did you mean tables?"),
    (["encoder", "a.wav"], "did you mean encode or decode?"),
    (["frobnicate"], "frobnicate is no command of earmark"),
    (["study", "biuld", "run"], "biuld is no command of earmark study; did you mean build?"),
    (["help", "compere"], "did you mean compare?"),
    # Options
    (["compare", "clips", "--system-list", "opus@6", "-o", "r"], "--system-list is no option of this command"),
    (["compare", "clips", "-s", "opus@6", "--metrcs", "stoi", "-o", "r"], "did you mean --metrics or --metric?"),
    (
        ["compare", "clips", "-s", "opus", "--kbps", "6", "-o", "r"],
        "the bit rate belongs to the system",
    ),
    (["compare", "clips", "-s", "opus@6"], "Missing option '-o' / '--out'"),
    (["compare", "clips", "--decoded", "clips", "clips", "-o", "r"], "quote what has a *, as in --decoded 'dec/*'"),
    (["compare", "clips", "--decoded", "A=nowhere", "-o", "r"], "--decoded nowhere: nowhere does not exist"),
    (["compare", "clips", "-o", "r"], "--systems: name at least one system, e.g. opus@12,mp3@64"),
    (["compare", "clips", "-s", "opus@6", "-o", "r", "--rate", "fast"], "is not a rate from 8000 to 48000 Hz"),
    (["compare", "clips", "-s", "opus@6", "-o", "r", "--rate", "96k"], "is not a rate from 8000 to 48000 Hz"),
    (["compare", "clips", "-s", "opus@6", "-o", "r", "-j", "0"], "'-j' / '--jobs'"),
    (["tables", "run", "--format", "html"], "'--format'"),
    (["tables", "run", "--against", "opus@21"], "--against opus@21: not in this table; it has opus@12"),
    (["differences", "run", "--against", "opus@12", "--bjontegaard"], "leave out --against or --bjontegaard"),
    (["study", "report", "study", "--screen", "bs1543"], "there is no 'bs1543'; did you mean bs1534"),
    (["encode", "clips/music/a.wav", "b.ecdc", "--container", "mp4"], "choose from earmark, reference"),
    # Systems
    (["compare", "clips", "-s", "opsu@6", "-o", "r"], "opsu@6: there is no codec 'opsu'; did you mean opus?"),
    (["compare", "clips", "-s", "vorbis@64", "-o", "r"], "`earmark systems` lists the codecs"),
    (["compare", "clips", "-s", "encodec@3", "-o", "r"], "there is no codec 'encodec'"),
    (["compare", "clips", "-s", "opus@3", "-o", "r"], "opus@3: Opus starts at 6 kbps; try opus@6"),
    (["compare", "clips", "-s", "opus", "-o", "r"], "opus: Opus needs a bit rate in kbps; try opus@12"),
    (["compare", "clips", "-s", "mp3@33", "-o", "r"], "mp3@33: "),
    (["compare", "clips", "-s", "opus@12:speed=9", "-o", "r"], "opus has no option 'speed'"),
    (["compare", "clips", "-s", "encodec_24khz@4", "-o", "r"], "encodec_24khz@4: "),
    (["compare", "clips", "-s", "12", "-o", "r"], "'12' is not a system; write codec@rate, e.g. opus@12"),
    (["compare", "clips", "--codec", "mine=encode", "-o", "r"], "--codec mine: write NAME=ENCODE"),
    (["compare", "clips", "-s", "opus@6;opus@12", "-o", "r"], "separate systems by commas: opus@6,opus@12"),
    (["differences", "run", "--against", "opsu@12"], "it has opus@12, encodec_24khz@3; did you mean opus@12?"),
    (["train-lm", "encodec_24kz", "--data", "clips", "-o", "t"], "did you mean encodec_24khz or encodec_48khz?"),
    # Metrics
    (["compare", "clips", "-s", "opus@6", "-m", "stoi;pesq", "-o", "r"], "separate metrics by commas: stoi,pesq"),
    (["differences", "run", "-m", "stio"], "--metrics stio: not in this run; it has si_snr, stoi; did you mean stoi?"),
    (["compare", "clips", "-s", "opus@6", "-m", "pesk", "-o", "r"], "did you mean pesq?"),
    (["compare", "clips", "-s", "opus@6", "-m", "mos", "-o", "r"], "`earmark metrics` lists the metrics"),
    (["compare", "clips", "-s", "opus@6", "-m", "stoi pesk", "-o", "r"], "no metric 'pesk'; did you mean pesq?"),
    (["metrics", "pesk"], "earmark: there is no metric 'pesk'; did you mean pesq?"),
    # Paths
    (["compare", "clps", "-s", "opus@6", "-o", "r"], "clps does not exist"),
    (["compare", "clips/music/a.wav", "-s", "opus@6", "-o", "r"], "is one recording; name its folder"),
    (["compare", "run", "-s", "opus@6", "-o", "r"], "run is a run, not recordings; see it by `earmark tables run`"),
    (["compare", "study", "-s", "opus@6", "-o", "r"], "study is a listening test; see its results by"),
    (["compare", "clips", "-s", "opus@6", "-o", "clips"], "--out clips: has the recordings"),
    (["compare", "a.ecdc", "-s", "opus@6", "-o", "r"], "is one coded file; decode it by `earmark decode a.ecdc a.wav`"),
    (["compare", "run/scores.parquet", "-s", "opus@6", "-o", "r"], "see the scores by `earmark tables run`"),
    (["compare", "clips", "-s", "opus@6", "-o", "study"], "study is a listening test; name another folder"),
    (["compare", "clips", "-s", "opus@6", "-o", "clips/music"], "clips/music has recordings; name another folder"),
    (["tables", "clips"], "make a run by `earmark compare clips -s opus@12 -o run/`"),
    (["tables", "study"], "study is a listening test; see its results by `earmark study report study`"),
    (["study", "report", "run"], "run is a run, not a listening test; make one of it by `earmark study build run"),
    (["study", "serve", "clips"], "clips: no study.json in it; make a study by `earmark study build RUN -o STUDY`"),
    (["encode", "clips", "b.ecdc"], "b.ecdc: clips is a folder; give a folder for its coded files"),
    (["encode", "a.ecdc", "b.ecdc"], "a.ecdc is coded already; decode it by `earmark decode a.ecdc a.wav`"),
    (["inspect", "run"], "run is a folder; name an .ecdc file, or add --check"),
    (["decode", "a.ecdc", "b.wav", "--from", "1m"], "1m is not a time, e.g. 90, 1:30 or 1:02:03.5"),
    (["decode", "a.ecdc", "b.wav", "--from", "2:00", "--to", "1:00"], "--to 60 s: lies before --from 120 s"),
    (["decode", "a.ecdc", "b.flac", "--float"], "b.flac: --float writes .wav files"),
    (["encode", "clips/music/a.wav", "b.ecdc", "--tag", "title"], "'title' is no tag; write NAME=TEXT"),
    (["data", "shards", "clips", "--rate", "24k", "-o", "t"], "index it first by `earmark data index clips"),
    (["level", "clips"], "clips is a folder; name recordings, e.g. `earmark level clips/*.wav`"),
    (["download", "encodec_24kz"], "Invalid value for 'NAME': there is no 'encodec_24kz'; did you mean encodec_24khz"),
    (["score", "run", "clips"], "run is a run, not recordings; see it by `earmark tables run`"),
    (["score", "clips", "study"], "study is a listening test; see its results by `earmark study report study`"),
    (["score", "a.ecdc", "clips/music/a.wav"], "decode it by `earmark decode a.ecdc a.wav`"),
    (["run", "show", "clips"], "make a run by `earmark compare clips -s opus@12 -o run/`"),
    (["run", "merge", "run", "clips", "-o", "r"], "Invalid value for 'RUN': clips has recordings but no scores"),
    (["export", "clips", "-o", "m.safetensors"], "clips: no config.json in it"),
    (["train-lm", "run", "--data", "clips", "-o", "t"], "run is a folder; name a checkpoint file, e.g. run/model.saf"),
    (["export", "run", "-o", "m.safetensors"], "run is a run, not a model"),
    (["bench", "-s", "opus@6", "--audio", "clips"], "clips is a folder; name one recording"),
    (["bench", "-s", "opus@6", "-o", "run"], "run is a run, not a JSON file"),
    (["study", "import", "run", "-o", "s"], "give it to `earmark study build run -o study/`"),
    (["study", "import", "clips", "-o", "s"], "clips is a folder; name a webMUSHRA configuration (YAML)"),
    (["run", "merge", "run", "run", "-o", "r"], "name two different runs or more"),
    (["export", "encodec_24kz", "-o", "m.safetensors"], "did you mean encodec_24khz or encodec_48khz?"),
    # Commands of a run, rankings and plans
    (["run", "shwo", "run"], "shwo is no command of earmark run; did you mean show?"),
    (["run", "drop", "run", "-s", "opus@13"], "--systems opus@13: not in this run; it has opus@12"),
    (["worst", "run", "-s", "opsu@12"], "--system opsu@12: not in this run; it has opus@12, encodec_24khz@3; did you"),
    (["worst", "run", "-s", "opus@12", "-m", "stio"], "--metrics stio: not in this run; it has si_snr, stoi; did you"),
    (["compare", "clips", "-s", "opus", "--kpbs", "6", "-o", "r"], "the bit rate belongs to the system"),
    (["study", "approve", "study", "--dry-run"], "--dry-run is no option of this command; nothing is sent without"),
    (["study", "bonus", "study", "--amount", "0.5", "--reason", "x"], "0.5 is not an amount such as 3.20"),
    (["study", "plan", "--difference", "five"], "'--difference': 'five' is not a number."),
    (["study", "plan", "--difference", "5", "--power", "80"], "'--power': 80.0 is not from 0.05 to 0.99."),
    (["worst", "run", "--count", "0"], "'--count': 0 is below 1."),
    # Files and recipes
    (["encode", "clips/music/a.wav", "a.ecdc"], "a.ecdc: exists; add --force to replace it"),
    (["encode", "clips/music/a.wav", "a.mp3"], "codes go to a file that ends in .ecdc"),
    (["decode", "clips/music/a.wav", "b.wav"], "not an .ecdc file; it is audio, which `earmark encode` codes"),
    (
        ["data", "index", "clips", "--layout", "folder", "--category", "music", "-o", "a.ecdc"],
        "a.ecdc: exists; add --force to replace it",
    ),
    (["data", "index", "clips", "--layout", "folder", "-o", "m.jsonl"], "give --category speech, music or sound too"),
    (["tables", "run", "--paper", "tabel1"], "did you mean table1?"),
    (["tables", "run", "--paper", "table_a9"], "not one of table1, table2"),
    (["reproduce", "tableA5", "--data", "clips", "--budget", "1min", "-o", "t"], "did you mean table5 or tableA2"),
    (["reproduce", "table1", "--data", "clips"], "-o DIR: name a folder for table1"),
    (["train", "clips/music/a.wav", "--data", "clips", "-o", "t"], "a recording, not a recipe; give a TOML file or"),
    (["train", "a.ecdc", "--data", "clips", "-o", "t"], "not a recipe (TOML), but a binary file"),
    (["train", "tinny", "--data", "clips", "-o", "t"], "did you mean tiny?"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("folder")
    (root / "clips" / "music").mkdir(parents=True)
    write(root / "clips" / "music" / "a.wav", np.zeros((1, 2400), np.float32), 24000)
    for name in ("run", "study"):
        (root / name).symlink_to(HERE / name)
    (root / "a.ecdc").write_bytes((HERE / "checked.ecdc").read_bytes())
    return root


@pytest.mark.parametrize(("arguments", "says"), MISTAKES, ids=[" ".join(arguments) for arguments, _ in MISTAKES])
def test_a_mistake_is_one_line_with_its_remedy(
    folder: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    status, out, err = call(arguments, capsys)
    assert status == 2
    assert out == ""
    assert err.startswith("earmark: ")
    assert err.count("\n") == 1
    assert says in err
    assert len([*folder.iterdir()]) == 4  # nothing was written


@pytest.mark.parametrize("arguments", [["tables", "run"], ["metrics"], ["differences", "run"], ["--help"]])
def test_a_pipe_that_nobody_reads_ends_a_command_without_a_word(folder: Path, arguments: list[str]):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "earmark", *arguments], cwd=folder, stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_spellings_of_a_system_that_are_understood():
    from earmark.baselines.systems import parse, parse_list

    for text in ("opus@12", "opus:12", "OPUS@12.0", "opus@12kbps", " opus@12 "):
        assert parse(text).text == "opus@12"
    assert parse("EnCodec-24kHz@3").text == "encodec_24khz@3"
    assert [system.text for system in parse_list("opus@6, opus@12,,opus@6")] == ["opus@6", "opus@12"]
