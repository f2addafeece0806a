"""Tables whose columns the user names by --columns, and a column per condition."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.columns import parse_columns
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.table import Ratings


def written(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def scores(ratings: Ratings) -> dict[tuple[str, str, str], float]:
    return {(row["listener"], row["item"], row["condition"]): row["score"] for row in ratings.frame.to_dict("records")}


# A column per condition

WIDE = {("A", "c1", "ref"): 100, ("A", "c1", "opus"): 50, ("B", "c1", "ref"): 99, ("B", "c1", "opus"): 60}


@pytest.mark.parametrize(
    ("head", "options"),
    [
        ("Name,Clip,ref,opus", "listener=Name,item=Clip"),
        ("Name,Clip,ref,opus", "listener=name, item=clip,conditions=ref,opus"),
        ("listener,Clip,ref,opus", "item=Clip"),
        ("Participant ID,Item,ref,opus", None),
        ("participant-id,ITEM,ref,opus", None),
        ("Participant.ID,Sample Id,ref,opus", None),
        ("Participant ID,Item,ref,opus", "conditions=ref,opus"),
    ],
)
def test_headings_of_a_table_with_a_column_per_condition(tmp_path, head, options):
    path = written(tmp_path / "a.csv", f"{head}\nA,c1,100,50\nB,c1,99,60\n")
    ratings = read_ratings(path, columns=parse_columns([options]) if options else None)
    assert scores(ratings) == WIDE
    assert "Read as a table with a column per condition." in ratings.notes


def test_blanks_and_dashes_in_headings_of_a_long_table(tmp_path):
    """Listener, item, condition, score and session, as people and programs write them; (100 + 90) / 2."""
    text = "Participant ID,Trial-ID,System,Rating,Session id\nA,c1,ref,100,1\nA,c1,ref,90,2\n"
    assert scores(read_ratings(written(tmp_path / "a.csv", text))) == {("A", "c1", "ref"): 95}


def test_an_exact_heading_precedes_a_similar_one(tmp_path):
    text = "listener,item,condition,Score,s_core\nA,c1,ref,100,1\n"
    assert scores(read_ratings(written(tmp_path / "a.csv", text))) == {("A", "c1", "ref"): 100}
    text = "listener,item,condition,sco re,s_core\nA,c1,ref,100,1\n"
    with pytest.raises(UserError, match="two columns are called sco re and s_core; keep one"):
        read_ratings(written(tmp_path / "b.csv", text))


def test_columns_about_the_listener_are_left_out_by_naming_the_conditions(tmp_path):
    head = "listener,item,gender,experience_years,trial_no,volume,ref,opus,aac"
    path = written(tmp_path / "a.csv", f"{head}\nA,c1,1,5,1,33,100,50,40\nB,c1,2,7,2,30,99,60,45\n")
    (note,) = [note for note in read_ratings(path).notes if "taken as conditions" in note]
    assert "gender, experience_years, trial_no, volume, ref, opus, aac; --columns conditions=NAME,... chooses" in note
    ratings = read_ratings(path, columns=parse_columns(["conditions=ref, opus"]))
    assert scores(ratings) == WIDE
    assert "Columns ignored: gender, experience_years, trial_no, volume, aac." in ratings.notes
    assert "Columns that --columns does not name: listener is listener, item is item." in ratings.notes


def test_one_condition_is_enough_if_it_is_named(tmp_path):
    path = written(tmp_path / "a.csv", "Clip,ref\nc1,7\n")
    assert scores(read_ratings(path, columns={"item": "Clip", "conditions": ["ref"]})) == {("a", "c1", "ref"): 7}
    assert scores(read_ratings(path, columns={"item": "Clip", "conditions": "ref"})) == {("a", "c1", "ref"): 7}


def test_names_of_a_map_are_checked_for_callers_too(tmp_path):
    with pytest.raises(UserError, match=r"--columns lisener: no such name; .*did you mean listener"):
        read_ratings(written(tmp_path / "a.csv", "Clip,ref\nc1,7\n"), columns={"lisener": "Clip"})


def test_condition_columns_on_the_command_line():
    assert parse_columns(["listener=Name,conditions=ref, opus@6,item=Clip", "conditions=aac"]) == {
        "listener": "Name", "item": "Clip", "conditions": ["ref", "opus@6", "aac"]
    }  # fmt: skip


# jsPsych and Pavlovia, by a map of columns

JSPSYCH = """rt,stimulus,response,trial_type,participant
1200,<p>Welcome</p>,0,html-button-response,P7
900,audio/one_reference.wav,98,audio-slider-response,P7
950,audio/one_codec.wav,55,audio-slider-response,P7
"""


def test_jspsych_by_a_map_of_its_columns(tmp_path):
    """Item and condition are in the name of the sound; rows of other trials have none."""
    text = (
        JSPSYCH.replace("<p>Welcome</p>", "") + "980,audio/two_reference.wav,99,a,P7\n990,audio/two_codec.wav,60,a,P7\n"
    )
    columns = parse_columns(["listener=participant,stimulus=stimulus", "score=response"])
    ratings = read_ratings(written(tmp_path / "data.csv", text), columns=columns)
    assert scores(ratings) == {
        ("P7", "one", "reference"): 98, ("P7", "one", "codec"): 55, ("P7", "two", "reference"): 99,
        ("P7", "two", "codec"): 60,
    }  # fmt: skip
    assert any("1 row without item or condition skipped" in note for note in ratings.notes)


def test_pavlovia_by_a_map_of_its_columns(tmp_path):
    """PsychoPy's CSV has a row per trial and the names of its components; the listener is the file."""
    text = "item,system,slider.response,slider.rt\n,,,\nbell,reference,90,2.1\nbell,codec,,1\nbell,anchor,20,3\n"
    for name in ("s1", "s2"):
        written(tmp_path / f"data/{name}.csv", text)
    columns = {"item": "item", "condition": "system", "score": "slider.response", "seconds": "slider.rt"}
    ratings = read_ratings(tmp_path / "data", columns=columns)
    assert scores(ratings) == {(f"s{n}", "bell", name): score for n in (1, 2)
                               for name, score in (("reference", 90), ("anchor", 20))}  # fmt: skip
    assert any("Ratings skipped because their cell is empty: 2." in note for note in ratings.notes)


def test_jspsych_json(tmp_path):
    trials = [{"rt": 5, "response": {"Q0": "yes"}},
              {"subject": "a", "item": "i", "system": "x", "response": 7, "rt": 3}]  # fmt: skip
    columns = {"listener": "subject", "item": "item", "condition": "system", "score": "response"}
    assert scores(read_ratings(written(tmp_path / "a.json", json.dumps(trials)), columns=columns)) == {
        ("a", "i", "x"): 7
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("listener", "write NAME=COLUMN"),
        ("lisener=a", "did you mean listener"),
        ("listener=Name,ref", "--columns ref: write NAME=COLUMN"),
        ("conditions=rt,response,score=response", "--columns conditions: not together with score; name either"),
        ("stimulus=stimulus,item=rt", "--columns stimulus: not together with item"),
        ("item=rt,conditions=rt,opus", r"no column is called opus \(--columns conditions=opus\)"),
        ("condition=stimulus,score=response", "no column for item; its columns are rt, stimulus, .*, participant. A"),
        (
            "listener=partcipant,item=rt,condition=stimulus,score=response",
            "called partcipant .*did you mean participant",
        ),
    ],
)
def test_bad_maps(tmp_path, option, message):
    with pytest.raises(UserError, match=message):
        read_ratings(written(tmp_path / "a.csv", JSPSYCH), columns=parse_columns([option]))


def test_usual_columns_need_no_name(tmp_path):
    """Pavlovia writes participant and session; (90 + 80) / 2."""
    text = "clip,codec,slider.response,participant,session\nc1,ref,90,007,001\nc1,ref,80,007,002\n"
    ratings = read_ratings(written(tmp_path / "a.csv", text), columns={"item": "clip", "score": "slider.response"})
    assert scores(ratings) == {("007", "c1", "ref"): 85}
    usual = "listener is participant, condition is codec, session is session"
    assert f"Columns that --columns does not name: {usual}." in ratings.notes


# Names of stimuli

STIMULUS = {"stimulus": "stimulus", "score": "response"}
RATED = {"ref": 98, "x": 55}
GRID = "".join(f"audio/{item}_{name}.wav,{score}\n" for item in ("one", "two") for name, score in RATED.items())


def test_pages_with_a_numeric_answer_are_no_ratings(tmp_path):
    """jsPsych stores the number of the button that was pressed."""
    text = f"stimulus,response\n<p>Hello</p>,0\n{GRID}<p>Bye-bye_now</p>,1\n"
    ratings = read_ratings(written(tmp_path / "a.csv", text), columns=STIMULUS)
    assert scores(ratings) == {("a", item, name): score for item in ("one", "two") for name, score in RATED.items()}
    assert any("2 rows whose stimulus is no audio file skipped." in note for note in ratings.notes)


def test_stimuli_without_extensions_are_names(tmp_path):
    text = f"stimulus,response\n{GRID.replace('.wav', '')}"
    assert len(scores(read_ratings(written(tmp_path / "a.csv", text), columns=STIMULUS))) == 4


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("audio/intro.wav,3", "intro is not split by _;"),
        (
            "audio/practice_ref.wav,3",
            "practice_ref would be item practice, which has 1 of 2 conditions",
        ),
        ("audio/trial_end_beep.wav,3", "condition end_beep, which has 1 of 3 items"),
        ("audio/_x.wav,3", "_x is not split by _;"),
    ],
)
def test_the_stimulus_that_does_not_fit_is_named(tmp_path, row, fault):
    path = written(tmp_path / "a.csv", f"stimulus,response\n{GRID}{row}\n")
    with pytest.raises(UserError) as caught:
        read_ratings(path, columns=STIMULUS)
    assert fault in str(caught.value)
    assert str(path) in str(caught.value)


# Messages and missing values


def test_columns_that_a_message_lists_are_those_of_the_file(tmp_path):
    path = written(tmp_path / "a.csv", "clip,answer,date\nc1,5,x\n")
    with pytest.raises(UserError, match=r"no column for condition; its columns are clip, answer, date\. A table needs"):
        read_ratings(path, columns={"item": "clip", "score": "answer"})


MISSING = ("", " ", "NA", "NaN", "nan", "n/a", "#N/A", "null", "None", "-", "<NA>")


@pytest.mark.parametrize("columns", [None, {"listener": "listener", "item": "item", "conditions": ["x", "y"]}])
def test_marks_for_missing_values_are_empty_cells(tmp_path, columns):
    """R writes NA, pandas nothing or <NA>, JavaScript null; y is a column of numbers although most are missing."""
    rows = "".join(f"{number},i,{number},{text}\n" for number, text in enumerate(MISSING))
    ratings = read_ratings(written(tmp_path / "a.csv", f"listener,item,x,y\n{rows}z,i,50,60\n"), columns=columns)
    assert len(ratings.frame) == len(MISSING) + 2
    assert f"Ratings skipped because their cell is empty: {len(MISSING)}." in ratings.notes


def test_missing_values_in_other_formats(tmp_path):
    long = "listener,item,condition,score\na,i,x,NA\na,i,y,5\n,,,NaN\n"
    stimuli = "stimulus,response\nhello-world.wav,null\ni-x.wav,5\ni-y.wav,6\n"
    beaqle = json.dumps([{"TestID": "i", "rating": {"x": "NA", "y": 5, "z": None}}])
    element = '<audioelement ref="{}"><value>{}</value></audioelement>'
    waet = f'<waetresult><page ref="i">{element.format("x", "NaN")}{element.format("y", 0.5)}</page></waetresult>'
    for name, text, columns, skipped in (
        ("a.csv", long, None, 2), ("b.csv", stimuli, STIMULUS, 0), ("c.txt", beaqle, None, 2), ("d.xml", waet, None, 1)
    ):  # fmt: skip
        ratings = read_ratings(written(tmp_path / name, text), columns=columns)
        assert len(ratings.frame) == (2 if name == "b.csv" else 1)
        assert any(f"cell is empty: {skipped}." in note for note in ratings.notes) == (skipped > 0), name
