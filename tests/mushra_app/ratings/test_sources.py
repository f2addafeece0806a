"""Folders and several files: which are read, which are skipped, how their scales and items are treated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.errors import RatingsError
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.report.loading import report_folder

LONG = "listener,item,condition,score\n{0},i,reference,{1}\n{0},i,codec,{2}\n"
WAET = (
    '<waetresult key="w"><page ref="i"><audioelement ref="reference" type="reference"><value>0.9</value></audioelement>'
    '<audioelement ref="codec"><value>0.4</value></audioelement></page></waetresult>'
)


def written(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


# Files of a folder that hold no ratings

NO_RATINGS = {
    "README.txt": "Ratings of Monday, by listener.\nMore commas, here, than above.\nListener, item: see the form\n",
    "one_line.txt": "Ratings of Monday.\n",
    "lss.csv": "session_test_id,participant,session_uuid,trial_id,stimuli_rating,stimuli,rating_time\nt,a,u,1,5,x,9\n",
    "participants.csv": "participant,age,gender\na,30,f\n",
    "rates.csv": "condition,kbps\ncodec,6\n",
    "config.json": json.dumps({"name": "test"}),
    "project.xml": "<waet><setup/></waet>",
}


def test_files_without_ratings_are_skipped_in_a_folder_by_name(tmp_path):
    written(tmp_path / "data/a.csv", LONG.format("a", 90, 40))
    for name, text in NO_RATINGS.items():
        written(tmp_path / "data" / name, text)
    written(tmp_path / "data/more/README.txt", NO_RATINGS["README.txt"])
    ratings = read_ratings(tmp_path / "data")
    assert len(ratings.frame) == 2
    (note,) = [note for note in ratings.notes if "skipped" in note]
    assert note == (
        "Files without ratings skipped: README.txt (2 times), config.json, lss.csv, one_line.txt, participants.csv, "
        "project.xml, rates.csv."
    )


@pytest.mark.parametrize("name", NO_RATINGS)
def test_such_a_file_is_an_error_if_it_is_named_or_alone(tmp_path, name):
    path = written(tmp_path / "data" / name, NO_RATINGS[name])
    good = written(tmp_path / "a.csv", LONG.format("a", 90, 40))
    for source in ([good, path], [path.parent]):
        with pytest.raises(UserError, match=name):
            read_ratings(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("listener,item,condition,mark\na,i,x,5\n", "no column for score"),
        ("listener,item,condition,score\na,i,x,5,6,7\n", "damaged table"),
        ("listener,item,condition,score\n", "headings only"),
        ("", "empty"),
        ('{"session_id": 1, "records": [', "damaged JSON"),
    ],
)
def test_damaged_ratings_in_a_folder_are_errors(tmp_path, text, message):
    written(tmp_path / "a.csv", LONG.format("a", 90, 40))
    written(tmp_path / "b.csv", text)
    with pytest.raises(RatingsError, match=rf"b\.csv: .*{message}"):
        read_ratings(tmp_path)


def test_a_folder_with_named_columns_and_other_tables(tmp_path):
    columns = {"listener": "who", "item": "clip", "condition": "system", "score": "mark"}
    written(tmp_path / "a.csv", "who,clip,system,mark\na,i,x,5\n")
    written(tmp_path / "notes.csv", "day,remark\nMonday,none\n")
    ratings = read_ratings(tmp_path, columns=columns)
    assert len(ratings.frame) == 1
    assert "Files without ratings skipped: notes.csv." in ratings.notes
    damaged = written(tmp_path / "c.csv", "who,when,x\na,i,x,5\n")
    with pytest.raises(RatingsError, match=r"c\.csv: damaged table"):
        read_ratings(tmp_path, columns={"item": "clip", "conditions": ["system", "x"]})
    damaged.unlink()
    written(tmp_path / "b.csv", "who,clip,system,marks\na,i,x,5\n")
    with pytest.raises(RatingsError, match=r"b\.csv: no column is called mark"):
        read_ratings(tmp_path, columns=columns)


def test_the_report_in_a_folder_is_not_read_the_next_time(tmp_path, monkeypatch):
    """A dot writes it beside the folder; it is skipped there, below a folder of ratings, and among its files."""
    for name in ("a", "b"):
        written(tmp_path / f"lar/{name}.csv", LONG.format(name, 90, 40))
    monkeypatch.chdir(tmp_path / "lar")
    result = CliRunner().invoke(cli, ["study", "report", "--screen", "none", "--ratings", "."])
    assert result.exit_code == 0, result.output
    for copy in ("lar/report", "lar"):
        shutil.copytree(tmp_path / "lar-report", tmp_path / copy, dirs_exist_ok=True)
    for folder in (tmp_path / "lar", tmp_path):
        ratings = read_ratings(folder)
        assert set(ratings.frame["listener"]) == {"a", "b"}
        assert not any("skipped" in note for note in ratings.notes)
    with pytest.raises(UserError, match="not readable as ratings"):
        read_ratings(tmp_path / "lar-report")


def test_folder_of_the_report(tmp_path, monkeypatch):
    (tmp_path / "day.1/sub").mkdir(parents=True)
    written(tmp_path / "day.1/mushra.csv", "")
    monkeypatch.chdir(tmp_path / "day.1/sub")
    assert report_folder(Path()) == tmp_path / "day.1/sub-report"
    assert report_folder(Path("..")) == tmp_path / "day.1-report"
    assert report_folder(Path("../../day.1")) == Path("../../day.1-report")
    assert report_folder(Path("../mushra.csv")) == Path("../mushra-report")
    with pytest.raises(UserError, match="--out"):
        report_folder(Path("/"))


def test_files_of_one_name_and_two_extensions(tmp_path):
    rows = [{"clip": "i", "system": "x", "mark": 3}]
    written(tmp_path / "data.json", json.dumps(rows))
    written(tmp_path / "data.csv", "clip,system,mark\ni,x,5\n")
    ratings = read_ratings(tmp_path, columns={"item": "clip", "condition": "system", "score": "mark"})
    assert ratings.frame.set_index("listener")["score"].to_dict() == {"data.csv": 5, "data.json": 3}


# Scales


def test_scales_of_several_files_are_judged_one_by_one(tmp_path):
    """(4, 2) of 1 to 5 and (94, 42) of 0 to 100: a mean of 49 for the reference would mean nothing."""
    one = written(tmp_path / "m1.csv", LONG.format("a", 4, 2))
    two = written(tmp_path / "m2.csv", LONG.format("b", 94, 42))
    (note,) = [note for note in read_ratings([one, two]).notes if "between" in note]
    assert note.startswith(f"{one}: all scores lie between 1 and 5, unlike those of the other files.")
    three = written(tmp_path / "m3.csv", LONG.format("c", 5, 5))  # equal scores fit any scale; here that of m1
    assert any("All scores lie between 1 and 5." in note for note in read_ratings([one, three]).notes)
    (note,) = [note for note in read_ratings([one, two, three]).notes if "between" in note]
    assert note.startswith(f"{one} and 1 other file: ")


def test_files_of_one_rating_each_are_judged_together(tmp_path):
    for name, score in (("a", 1), ("b", 5)):
        written(tmp_path / f"{name}.csv", f"listener,item,condition,score\n{name},i,x,{score}\n")
    assert any("All scores lie between 1 and 5." in note for note in read_ratings(tmp_path).notes)


def test_the_scale_of_the_format_precedes_the_option(tmp_path):
    """0.9 and 0.4 of 0 to 1 are 90 and 40; 4 and 2 of 1 to 5 are 75 and 25."""
    waet = written(tmp_path / "w.xml", WAET)
    table = written(tmp_path / "a.csv", LONG.format("a", 4, 2))
    ratings = read_ratings([waet, table], scale=(1, 5))
    assert ratings.frame.set_index(["listener", "condition"])["score"].to_dict() == {
        ("w", "reference"): 90, ("w", "codec"): 40, ("a", "reference"): 75, ("a", "codec"): 25
    }  # fmt: skip
    said = "w.xml: scores from 0 to 1 mapped to 0 to 100, as the format defines; --scale is for other files."
    assert said in ratings.notes


def test_many_scores_outside_the_scale_are_one_error_that_names_the_option(tmp_path):
    """12 rows of 2 scores from 2 to 5 with --scale 0-1, and 24 from 102 to 105 without."""
    rows = "".join(f"l{n},i,x,{2 + n % 4}\nl{n},i,y,{2 + n % 4}\n" for n in range(12))
    path = written(tmp_path / "mos.csv", f"listener,item,condition,score\n{rows}")
    with pytest.raises(RatingsError) as caught:
        read_ratings(path, scale=(0, 1))
    assert caught.value.errors == (
        f"{path}: 24 scores, from 2 to 5, are outside --scale 0-1; the first, “2”, is in row 2, column score",
    )
    written(path, "listener,item,condition,score\n" + rows.replace(",x,", ",x,10").replace(",y,", ",y,10"))
    with pytest.raises(RatingsError, match="24 scores, from 102 to 105, are outside the scale of 0 to 100; --scale"):
        read_ratings(path)


# Items


def test_brackets_in_the_name_of_an_item_are_no_wildcard(tmp_path):
    names = ("take[1]", "take1", "what?", "whatx", "a*", "ab", "c")
    rows = "".join(f"l,{name},x,{n}\n" for n, name in enumerate(names))
    path = written(tmp_path / "a.csv", f"listener,item,condition,score\n{rows}")

    def left(*skip: str) -> set[str]:
        return set(read_ratings(path, skip_items=skip).frame["item"])

    assert set(names) - left("take[1]") == {"take[1]"}
    assert set(names) - left("take[*]") == {"take[1]"}
    assert set(names) - left("what?") == {"what?"}  # a name precedes a pattern
    assert set(names) - left("wha??", "a*") == {"what?", "whatx", "a*"}
    with pytest.raises(RatingsError, match=r"--skip-item take\[2\]: no such item"):
        left("take[2]")
    with pytest.raises(RatingsError, match=r"--skip-item skips every item \(take\[1\], .*, \.\.\.\)$"):
        left("*")


def test_cells_that_are_all_empty(tmp_path):
    with pytest.raises(UserError, match=r"a\.csv: no ratings; every cell for one is empty$"):
        read_ratings(written(tmp_path / "a.csv", LONG.format("a", "", "NA")))


# Roles that the file names


def test_roles_of_the_file_are_not_options(tmp_path):
    path = written(tmp_path / "w.xml", WAET)
    assert "The hidden reference is “reference” (by the file)." in read_ratings(path).notes
    ratings = read_ratings(path, reference="codec")
    assert ratings.roles == {"reference": "system", "codec": "hidden reference"}
    assert "The hidden reference is “codec” (--reference)." in ratings.notes
    assert read_ratings(path, low_anchor="reference").roles == {"reference": "low anchor", "codec": "system"}
