"""`earmark reproduce`: one name per table and figure, what each needs, and one of them made whole at the scale tiny."""

from __future__ import annotations

import csv
import shutil
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.checkpoints import downloads
from earmark.codec.checkpoints import loading as checkpoints
from earmark.codec.errors import UserError
from earmark.mushra_app.paper import command, making, needs, trainings
from earmark.mushra_app.paper.items import items, resolve
from earmark.mushra_app.paper.scale import scale

NAMES = [
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "tableA2",
    "tableA3",
    "tableA4",
    "figure1",
    "figure2",
    "figure3",
]


def reproduce(*arguments):
    return CliRunner().invoke(cli, ["reproduce", *map(str, arguments)], standalone_mode=False)


@pytest.mark.parametrize(
    ("text", "name"),
    [("table1", "table1"), ("tableA2", "tableA2"), ("table_a2", "tableA2"), ("tablea4", "tableA4"),
     ("Table A.3", "tableA3"), ("fig3", "figure3"), ("Figure_1", "figure1"), ("table-5", "table5")],
)  # fmt: skip
def test_a_name_has_many_spellings(text, name):
    assert [item.name for item in resolve(text)] == [name]


def test_all_are_all():
    assert [item.name for item in resolve("all")] == NAMES == list(items())
    with pytest.raises(UserError, match=r"tabel1: the paper has table1, .*did you mean table1"):
        resolve("tabel1")


def test_each_item_has_what_its_table_shows():
    """Table 4: 48 kHz stereo, entropy-coded; Table A.3: six trainings, timed; Table A.4: 28, not timed."""
    known = items()
    assert (known["table4"].sample_rate, known["table4"].channels, known["table4"].coded) == (48000, 2, True)
    assert (len(known["tableA3"].trainings), known["tableA3"].timed, known["tableA3"].heard) == (6, True, False)
    assert (len(known["tableA4"].trainings), known["tableA4"].timed) == (28, False)
    assert known["table5"].systems == ("lyra@6", "encodec_24khz@6", "encodec_48khz@6")
    assert [row.label for row in known["table3"].trainings] == ["EnCodec"]
    assert known["figure3"].systems == known["table1"].systems


def test_the_list_names_what_is_missing_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path))
    text = " ".join(reproduce("LIST").stdout.split())
    assert all(f"{name} " in text for name in NAMES)
    assert "`earmark download encodec_48khz`" in text
    assert "[1]" in text
    assert "the paper's weights of encodec_48khz [8], its language model encodec_lm_48khz [9]" in text
    listed = reproduce().stdout.splitlines()  # LIST is the default
    assert all(len(line) <= needs.WIDTH for line in listed if str(tmp_path) not in line)
    tiny = needs.listing("tiny", (), None)
    assert "listeners, who are simulated" in tiny
    assert "--data PATH" not in tiny


def test_a_folder_is_needed():
    assert str(reproduce("table1").exception).startswith("-o DIR: name a folder for table1")


def test_rows_are_of_a_table_with_trainings(tmp_path):
    assert str(reproduce("table1", "--rows", "base", "-o", tmp_path).exception).startswith("--rows: table1 has no rows")
    assert "rows of one table" in str(reproduce("all", "--rows", "base", "-o", tmp_path).exception)


def test_data_are_needed_beyond_the_scale_tiny(tmp_path):
    said = str(reproduce("tableA3", "-o", tmp_path, "--device", "cpu").exception)
    assert said == "no recordings to train on: give --data, from `earmark data index` or `data shards`"
    said = str(reproduce("table1", "-o", tmp_path, "--device", "cpu").exception)
    assert said.startswith("no recordings to code: give --audio FOLDER")


def test_at_the_scale_tiny_rows_differ_as_in_the_paper():
    """16, 32 and 64 channels become 2, 4 and 8."""
    tiny = scale("tiny", None)
    rows = {row.label: tiny.load(row.recipe, 6.0, ()) for row in items()["tableA3"].trainings}
    assert [rows[label].model.seanet.filters for label in ("Channels = 16", "EnCodec base", "Channels = 64")] == [
        2,
        4,
        8,
    ]
    assert rows["LSTM = 0"].model.seanet.lstm == 0


def test_figures_1_and_2_are_drawings(tmp_path):
    done = reproduce("figure2", "-o", tmp_path, "--device", "cpu")
    assert done.exit_code == 0, done.exception
    assert "windows 2048, 1024, 512, 256, 128" in (tmp_path / "figure.svg").read_text(encoding="utf-8")


def test_an_item_that_raises_anything_does_not_end_the_others(tmp_path, monkeypatch):
    known = items()
    monkeypatch.setattr("earmark.mushra_app.paper.items.items", lambda: {n: known[n] for n in ("figure1", "figure2")})
    monkeypatch.setattr(command.figures, "make_drawing", breaks_at("figure1", command.figures.make_drawing))
    done = reproduce("all", "-o", tmp_path, "--device", "cpu")
    assert done.return_value == 1
    assert "not made: ZeroDivisionError: figure1" in done.stdout
    assert "Traceback (most recent call last)" in done.stderr
    assert (tmp_path / "figure2" / "figure.svg").exists()
    index = (tmp_path / "index.md").read_text(encoding="utf-8")
    assert "failed: ZeroDivisionError: figure1." in index
    assert [line.split("|")[3].strip() for line in index.splitlines() if line.startswith("| figure")] == [
        "not made", "complete",
    ]  # fmt: skip


def test_a_row_that_raises_anything_does_not_end_the_others(tmp_path, monkeypatch):
    """Each of the six rows of Table A.3 is tried, though each runs out of memory."""

    def too_large(*arguments):
        raise MemoryError("64 channels")

    for name in ("held_out", "read_scores"):
        monkeypatch.setattr(trainings.reproduction, name, lambda *arguments: None)
    monkeypatch.setattr(trainings.Experiment, "of", lambda *arguments: None)
    monkeypatch.setattr(trainings.reproduction, "reproduce_row", too_large)
    material = SimpleNamespace(shards=lambda *arguments: [], group=None)
    options = trainings.Options((), (), False, 1, 1.0)
    done = trainings.train_rows(items()["tableA3"], tmp_path, scale("tiny", None), material, options)
    assert len(done.failed) == 6
    assert set(done.failed.values()) == {"MemoryError: 64 channels"}


def breaks_at(name, function):
    def broken(item, *arguments):
        if item.name == name:
            raise ZeroDivisionError(name)
        return function(item, *arguments)

    return broken


def test_a_stand_in_without_a_language_model_is_named(tmp_path, monkeypatch):
    """48 kHz without the paper's weights: the entropy-coded cells are empty, and why is stated below the table."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path))
    assert downloads.bundled("encodec_lm_48khz") is None
    monkeypatch.setattr(making, "weighted", lambda system, *_: (f"{system}:checkpoint=own.safetensors", ""))
    done = making.Made(items()["table5"])
    job = making.Job(scale("tiny", None), None, None, tmp_path)
    assert not any(":lm" in system for system in making._systems(items()["table5"], job, done))
    assert any(line.startswith("entropy coding of encodec_48khz: ") for line in done.missing)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Table A.2 at the scale tiny: three trainings, a run of them and of two codecs, simulated listeners."""
    out = tmp_path_factory.mktemp("paper") / "a2"
    done = reproduce("tableA2", "--scale", "tiny", "-o", out, "--device", "cpu", "-q")
    assert done.return_value == 0, done.output + str(done.exception)
    return out, done


def rows_of(out):
    with (out / "table.csv").open(encoding="utf-8", newline="") as file:
        return {(row["model"], row["figure"]): row for row in csv.DictReader(file)}


def test_a_table_fills_itself(made):
    """Every row of Table A.2 but EVS, which is not free: bit rate and listeners' score, beside the paper's."""
    out, done = made
    rows = rows_of(out)
    for label in ("Opus", "SoundStream", "EnCodec (DiffQ)", "EnCodec (RVQ)"):
        assert float(rows[label, "kbps"]["value"]) > 0, label
        assert 0 <= float(rows[label, "MUSHRA"]["value"]) <= 100
    assert rows["EnCodec (RVQ)", "MUSHRA"]["paper"] == "76.8 ± 1.31"
    assert float(rows["EnCodec (RVQ)", "kbps"]["value"]) == pytest.approx(3, rel=0.03)
    assert rows["EVS", "kbps"]["reason"].startswith("evs@5.9 failed: ")
    assert "each training for 2 updates from scratch" in done.stdout
    assert {"table.md", "table.tex", "table.csv", "table.txt", "run"} <= {path.name for path in out.iterdir()}
    assert checkpoints.load(out / "diffq" / "model.safetensors").config.quantizer == "diffq"


def test_simulated_listeners_are_named_as_such(made):
    out, _ = made
    lines = (out / "table.txt").read_text(encoding="utf-8").splitlines()
    assert "SIMULATED listeners: no person heard these codecs" in " ".join(lines)
    assert any(line.startswith("Opus") and " sim." in line for line in lines)
    assert max(len(line) for line in lines if "/" not in line) <= 120  # a path is not broken
    assert (out / "simulated-ratings.csv").exists()


def test_the_same_command_continues(made, monkeypatch):
    """Nothing is trained, and a lost table is written again."""
    out, _ = made
    before = (out / "table.csv").read_text(encoding="utf-8")
    (out / "table.csv").unlink()
    monkeypatch.setattr("earmark.eval.paper.reproduce.train", None)
    done = reproduce("tableA2", "--scale", "tiny", "-o", out, "--device", "cpu", "-q")
    assert done.exit_code == 0, done.exception
    assert (out / "table.csv").read_text(encoding="utf-8") == before


def test_a_row_that_fails_states_its_reason(made, tmp_path):
    """A damaged checkpoint and a missing one; the other rows are there."""
    out = shutil.copytree(made[0], tmp_path / "copy")
    model = out / "soundstream" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:-100])
    (out / "diffq" / "model.safetensors").unlink()
    done = reproduce("tableA2", "--scale", "tiny", "-o", out, "--device", "cpu", "-q")
    assert done.return_value == 1, done.exception  # which is the exit status
    text = (out / "table.txt").read_text(encoding="utf-8")
    text = " ".join(text.split())
    assert "diffq/ model.safetensors ‡ (failed)" in text or "diffq/model.safetensors ‡ (failed)" in text
    assert f"Failed: soundstream@3:checkpoint={model}: " in text
    assert float(rows_of(out)["EnCodec (RVQ)", "kbps"]["value"]) > 0
