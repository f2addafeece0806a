"""`earmark score` of many pairs: folders, CSV and scp files, without reference; the same numbers by every way in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

import earmark
from earmark.cli import cli
from earmark.codec.audio import read, resample, write
from earmark.codec.errors import UserError
from earmark.eval.scores import many
from earmark.eval.scores.pairs import as_systems, read_pairs, read_scp_pairs, require_files

from .conftest import coloured_noise


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """clips/speech/a.wav and clips/music/b.wav; dec/A has both, 7 samples late, one at 48 kHz; dec/B has one."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("speech/a", "music/b")):
        clean = coloured_noise(1.0, 16000, seed=number)
        late = np.roll(clean, 7, axis=-1) + 0.1 * coloured_noise(1.0, 16000, seed=9)
        write(Path(f"clips/{name}.wav"), clean, 16000)
        fine = number == 0
        write(Path(f"dec/A/{name}.wav"), resample(late, 16000, 48000) if fine else late, 48000 if fine else 16000)
    write(Path("dec/B/b.wav"), read(Path("dec/A/music/b.wav")).samples, 16000)
    return tmp_path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *map(str, arguments)], standalone_mode=False)


def per_file(*arguments: object) -> dict[tuple[str, str], float]:
    """(recording, system) -> SI-SNR."""
    done = run(*arguments, "-m", "si_snr", "--per-file", "--format", "csv")
    assert done.return_value == 0, (done.exception, done.stderr)
    return {(row["file"], row["system"]): float(row["si_snr"]) for row in csv.DictReader(io.StringIO(done.stdout))}


def test_a_pair_has_the_same_numbers_by_every_way_in(folder):
    """Two files, a list of pairs, a decoded folder in a comparison and two arrays."""
    Path("pairs.csv").write_text("reference,decoded\nclips/speech/a.wav,dec/A/speech/a.wav\n")
    metrics = ["si_snr", "stoi", "mel_distance"]
    reference, decoded = read(Path("clips/speech/a.wav")), read(Path("dec/A/speech/a.wav"))
    arrays = earmark.score(reference.samples, decoded.samples, 16000, metrics, decoded_rate=48000)
    expected = [arrays[name].value for name in metrics]
    assert arrays.pair.lag == 7
    files = run("clips/speech/a.wav", "dec/A/speech/a.wav", "-m", ",".join(metrics), "--format", "csv")
    assert [float(row["value"]) for row in csv.DictReader(io.StringIO(files.stdout))] == pytest.approx(expected)
    listed = many.of_pairs(read_pairs("pairs.csv"), Path("pairs.csv"))
    scores = many.score_many(listed, metrics, "auto", 0, None, "", keep_going=False).scores
    assert scores["value"].tolist() == pytest.approx(expected)
    compared = earmark.compare("clips", [], decoded={"A": "dec/A"}, metrics=metrics, out="run", jobs=0).scores
    assert compared[compared["file"] == "speech/a.wav"]["value"].tolist() == pytest.approx(expected)


def test_folders_give_the_table_of_a_comparison_and_keep_a_run_if_asked_to(folder):
    done = run("clips", "dec/A", "B@6=dec/B", "-m", "si_snr", "--format", "csv", "-j", 1, "-o", "run")
    assert done.return_value == 0, done.exception
    rows = {(row["system"], row["category"]): row for row in csv.DictReader(io.StringIO(done.stdout))}
    assert rows["A", "all"]["n"] == "2"
    assert rows["B@6", "all"]["n"] == "1"
    assert rows["B@6", "all"]["kbps_nominal"] == "6.0"
    assert "B@6: 1 of 2 recordings matched in dec/B" in done.stderr
    kept = earmark.load_run("run").scores
    assert sorted(kept["system"].unique()) == ["A", "B@6"]


def test_lists_of_pairs_name_systems_and_categories(folder):
    Path("lists").mkdir()
    Path("lists/pairs.csv").write_text(
        f"Reference;Decoded;System;Category\n{folder}/clips/speech/a.wav;dec/A/speech/a.wav;A@6;x\n"
        f"{folder}/clips/music/b.wav;{folder}/dec/B/b.wav;B;\n"
    )
    sources, systems = as_systems(read_pairs("lists/pairs.csv"), Path("lists/pairs.csv"))
    assert [(source.file, source.category) for source in sources] == [("speech/a.wav", "x"), ("music/b.wav", "music")]
    assert [(one.system.text, one.system.rate) for one in systems] == [("A@6", "6"), ("B", None)]
    listed = per_file("--pairs", "lists/pairs.csv")
    for (name, _), value in listed.items():
        arrays = [read(Path(path)) for path in (f"clips/{name}", f"dec/A/{name}")]
        scores = earmark.score(*(one.samples for one in arrays), 16000, "si_snr", decoded_rate=arrays[1].sample_rate)
        assert value == pytest.approx(scores["si_snr"].value)


def test_scp_files_are_joined_by_utterance(folder):
    Path("ref.scp").write_text("utt1 clips/speech/a.wav\nutt2\tclips/music/b.wav\n")
    Path("mine.scp").write_text("utt2 dec/B/b.wav\n")
    (pair,) = read_scp_pairs(Path("ref.scp"), Path("mine.scp"))
    assert (pair.name, pair.system, str(pair.reference)) == ("utt2", "mine", "clips/music/b.wav")
    assert read_pairs("ref.scp, mine.scp") == [pair]
    assert [*per_file("ref.scp", "mine.scp")] == [("utt2", "mine")]


def test_metrics_without_a_reference_need_none(folder):
    frames = "frames=wc -c < {decoded}"
    done = run("--no-reference", "dec/A", "--metric", frames, "--per-file", "--format", "csv")
    assert done.return_value == 0, done.output
    rows = [(row["file"], float(row["frames"])) for row in csv.DictReader(io.StringIO(done.stdout))]
    assert rows == [("music/b.wav", 44 + 2 * 16000), ("speech/a.wav", 44 + 2 * 48000)]
    done = run("--no-reference", "dec/B/b.wav", "--metric", frames, "--format", "json")
    assert '"value": 32044.0' in done.stdout
    assert "Alignment" not in run("--no-reference", "dec/B/b.wav", "--metric", frames).stdout


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("reference,output\n", "no column decoded in its first line; write reference,decoded"),
        ("", "no column reference or decoded"),
        ("reference,decoded\n", "no pairs in it"),
        ("reference,decoded\na.wav,\n", "line 2 has no decoded"),
        ("reference,decoded\nx.wav,y.wav\nx.wav,z.wav\n", "line 3: x.wav is given twice for the system decoded"),
        ("reference,decoded,system,category\nx.wav,y.wav,A,m\nx.wav,y.wav,B,n\n", "x.wav is in the categories m and n"),
        ("reference,decoded,system\nx.wav,y.wav,my codec\n", "'my codec' is no name of a system"),
    ],
)
def test_a_mistake_in_a_list_is_one_line_that_names_it(tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)
    Path("pairs.csv").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        as_systems(read_pairs("pairs.csv"), Path("pairs.csv"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("u1 sox a.wav -t wav - |\n", r"dec.scp: line 1 runs a command; write `utterance path-of-a-file`"),
        ("u1\n", "dec.scp: line 1 has no path"),
        ("u1 a.wav\nu1 b.wav\n", "dec.scp: line 2: u1 is given twice"),
        ("../u1 a.wav\n", "../u1 is no name of an utterance"),
        ("u1 a.wav\nu2 b.wav\n", "dec.scp: 1 utterance not in ref.scp: u2; add its reference there"),
        ("\n", "dec.scp: no utterances in it"),
    ],
)
def test_a_mistake_in_an_scp_file_is_one_line(tmp_path, monkeypatch, text, says):
    monkeypatch.chdir(tmp_path)
    Path("ref.scp").write_text("u1 a.wav\n")
    Path("dec.scp").write_text(text)
    with pytest.raises(UserError, match=says):
        read_scp_pairs(Path("ref.scp"), Path("dec.scp"))


def test_files_that_do_not_exist_are_listed_before_any_work_or_fail_alone(folder):
    Path("pairs.csv").write_text(
        "reference,decoded\nclips/speech/a.wav,dec/A/speech/a.wav\nclips/music/b.wav,dec/none.wav\n"
    )
    with pytest.raises(UserError, match=r"pairs.csv: 1 file does not exist: line 3 dec/none.wav; or add --keep-going"):
        require_files(read_pairs("pairs.csv"), "pairs.csv")
    done = run("--pairs", "pairs.csv", "-m", "si_snr", "-k")
    assert done.return_value == 1
    assert "none.wav" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["clips"], "score: 1 path; write earmark score REFERENCE DECODED"),
        (["none", "dec/A"], "score: none does not exist"),
        (["clips/speech/a.wav", "dec/A"], "is one file, so name one decoded file"),
        (["clips", "dec/none"], "dec/none does not exist"),
        (["--no-reference", "dec/A", "-m", "si_snr"], "si_snr needs a reference; there are dnsmos"),
        (["--pairs", "x.csv", "clips"], "--pairs names the references and decoded files"),
        (["--pairs", "x.csv"], "x.csv: No such file"),
    ],
)
def test_a_mistake_is_one_line(folder, arguments, says):
    done = run(*arguments)
    assert done.exit_code != 0
    assert says in str(done.exception)
    assert "\n" not in str(done.exception)
