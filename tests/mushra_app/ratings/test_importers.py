"""Rating files of other tools: what is read, what is assumed and noted, and which files are errors."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.ratings.importers import read_ratings

LONG = """listener,item,condition,score,category
007,01,reference,100,speech
007,01,opus@6,41.5,speech
8,01,reference,97,speech
8,01,opus@6,38,speech
"""

WEBMUSHRA_HEAD = "session_test_id,age,session_uuid,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n"


def written(folder: Path, text: str | bytes, name: str = "ratings.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def rows(path: Path) -> list[tuple[str, str, str, float]]:
    return list(read_ratings(path).frame[["listener", "item", "condition", "score"]].itertuples(index=False, name=None))


# A plain long table


def test_long_table_keeps_identifiers_as_text(tmp_path):
    ratings = read_ratings(written(tmp_path, LONG))
    assert rows(tmp_path / "ratings.csv") == [
        ("007", "01", "reference", 100.0),
        ("007", "01", "opus@6", 41.5),
        ("8", "01", "reference", 97.0),
        ("8", "01", "opus@6", 38.0),
    ]
    assert list(ratings.frame["category"]) == ["speech"] * 4
    assert ratings.source == "ratings.csv"


def test_names_that_pandas_reads_as_missing_values_stay_names(tmp_path):
    assert rows(written(tmp_path, "listener,item,condition,score\nNA,null,None,50\n")) == [("NA", "null", "None", 50.0)]


@pytest.mark.parametrize(
    "text",
    [
        "listener;item;condition;score\na;i;opus@6;41,5\n",
        "listener\titem\tcondition\tscore\na\ti\topus@6\t41,5\n",
        "\ufefflistener,item,condition,score\r\na,i,opus@6,41.5\r\n",
        'listener,item,condition,score\na,i,opus@6,"41,5"\n',
        "\n\nlistener,item,condition,score\n\na,i,opus@6, 41.5 \n\n",
        "Score,Condition,Item,Listener\n41.5,opus@6,i,a\n",
        "rating,codec,trial,participant_id\n41.5,opus@6,i,a\n",
        "listener,item,condition,score\na,i,opus@6,41.5\nlistener,item,condition,score\n",
        'listener,item,condition,score\n"a\n",i, opus@6 ,41.5\n',
    ],
    ids=["semicolons", "tabs", "byte-order mark", "quoted decimal comma", "blank lines", "upper case, other order",
         "other headings", "joined files", "white space in names"],
)  # fmt: skip
def test_spellings_of_the_same_table(tmp_path, text):
    assert rows(written(tmp_path, text)) == [("a", "i", "opus@6", 41.5)]


def test_parquet(tmp_path):
    table = pd.DataFrame({"listener": ["007", "8"], "item": [1, 2], "condition": ["a", "b"], "score": [0.1, 99.9]})
    table.astype({"condition": "category"}).to_parquet(tmp_path / "ratings.parquet")
    assert rows(tmp_path / "ratings.parquet") == [("007", "1", "a", 0.1), ("8", "2", "b", 99.9)]


def test_optional_columns(tmp_path):
    text = "listener,item,condition,score,category,comment,seconds\na,i,x,1,,dull,12.5\nb,i,x,2,music,,\n"
    frame = read_ratings(written(tmp_path, text)).frame
    assert list(frame["category"]) == ["uncategorised", "music"]
    assert list(frame["comment"]) == ["dull", ""]
    assert frame["seconds"].tolist()[0] == 12.5
    assert frame["seconds"].isna().tolist() == [False, True]


def test_decimal_commas(tmp_path):
    """As spreadsheets save them in German or French."""
    frame = read_ratings(written(tmp_path, "listener;item;condition;score;seconds\na;i;x;83,5;12,25\n")).frame
    assert (frame["score"][0], frame["seconds"][0]) == (83.5, 12.25)


# webMUSHRA and pymushra


def test_real_webmushra_file(shared):
    """22 listeners, 13 trials, 8 stimuli: 2288 rows (SOURCES.md of the data)."""
    ratings = read_ratings(shared / "mushra/ambisonics_webmushra/webmushra_results.csv")
    assert len(ratings.frame) == 2288 == 22 * 13 * 8
    assert ratings.frame[["listener", "item", "condition"]].nunique().tolist() == [22, 13, 8]
    assert ratings.roles["reference"] == "hidden reference"
    assert [name for name, role in ratings.roles.items() if role != "system"] == ["reference"]
    assert ratings.frame.loc[0, "seconds"] == 180.397  # rating_time, 180397, is in milliseconds
    assert any("“reference”" in note for note in ratings.notes)
    assert any("No low anchor" in note for note in ratings.notes)


def test_webmushra_session_sent_twice_counts_once_with_its_last_scores(tmp_path):
    text = WEBMUSHRA_HEAD + "t,30,uuid,trial,C1,10,1000,\nt,30,uuid,trial,C2,20,1000,\nt,30,uuid,trial,C1,15,1000,\n"
    ratings = read_ratings(written(tmp_path, text))
    assert sorted(ratings.frame["score"]) == [15, 20]
    assert any("submitted more than once: 1;" in note for note in ratings.notes)


def test_webmushra_file_without_session_ids(tmp_path):
    """Ann and Bob differ in their answers; C1 of the same trial occurs again with Ann's, which begins a new session."""
    head = "session_test_id,name,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n"
    rated = [("Ann", 10, 20), ("Bob", 30, 40), ("Ann", 50, 60)]
    text = "".join(f"t,{name},1,C1,{first},9,\nt,{name},1,C2,{second},9,\n" for name, first, second in rated)
    ratings = read_ratings(written(tmp_path, head + text))
    assert ratings.frame.groupby("listener")["score"].apply(list).to_dict() == {
        "session-01": [10, 20],
        "session-02": [30, 40],
        "session-03": [50, 60],
    }
    assert any("does not name listeners" in note for note in ratings.notes)


def test_webmushra_file_without_a_column_that_distinguishes_listeners(tmp_path):
    with pytest.raises(UserError, match="session_uuid"):
        read_ratings(written(tmp_path, "session_test_id,trial_id,rating_stimulus,rating_score\nt,1,C1,10\n"))


def test_pymushra_file(tmp_path):
    """Headings as pymushra writes them: responses_*, questionaire_* (sic), wm_*; pages of other types are skipped."""
    text = (
        "responses_stimulus;questionaire_uuid;wm_id;responses_score;wm_type;responses_time\n"
        "reference;u1;trial1;100;mushra;2000\nC1;u1;trial1;40;mushra;2000\n;u1;page2;;paired_comparison;1\n"
    )
    ratings = read_ratings(written(tmp_path, text))
    assert list(ratings.frame["score"]) == [100, 40]
    assert list(ratings.frame["seconds"]) == [2, 2]
    assert "Read as a pymushra result file." in ratings.notes


# GoListen


def test_real_golisten_file(shared):
    """19 sessions, 44 files; the first session's first and last cells read 88 (005-lstm-32) and 76 (197-TCN-300-C)."""
    ratings = read_ratings(shared / "mushra/s4_golisten/mushra.csv")
    frame = ratings.frame
    assert len(frame) == 19 * 44
    assert frame[["listener", "item", "condition"]].nunique().tolist() == [19, 11, 4]
    assert set(frame["condition"]) == {"lstm-32", "side-chain-c32-f4", "single-chain-c32-f4", "TCN-300-C"}
    assert frame.iloc[0].tolist() == ["session-01", "005", "lstm-32", 88]
    assert frame.iloc[43].tolist() == ["session-01", "197", "TCN-300-C", 76]
    assert set(ratings.roles.values()) == {"system"}
    assert any("005-lstm-32.wav is item “005” in condition “lstm-32”" in note for note in ratings.notes)


def test_golisten_stimulus_that_was_not_rated(tmp_path):
    text = '"","Sound filename","1-ref.wav","1-x.wav"\n"Test","2023-09-06","90",""\n"Test","2023-09-07","80","40"\n'
    ratings = read_ratings(written(tmp_path, text))
    assert list(ratings.frame["score"]) == [90, 80, 40]
    assert ratings.roles == {"ref": "hidden reference", "x": "system"}
    assert any("skipped because their cell is empty: 1" in note for note in ratings.notes)


def test_golisten_names_split_at_underscores(tmp_path):
    assert rows(written(tmp_path, '"","a_x-1.flac","a_y-1.flac"\n"Test","1","2"\n')) == [
        ("session-01", "a", "x-1", 1),
        ("session-01", "a", "y-1", 2),
    ]


@pytest.mark.parametrize("names", ["a.wav,b.wav", "1-x.wav,1-y.wav,2-x.wav", "1-x.wav,1-x.flac"])
def test_golisten_names_that_are_not_a_grid(tmp_path, names):
    with pytest.raises(UserError, match="long table"):
        read_ratings(written(tmp_path, f"{names}\n{','.join('1' * (names.count(',') + 1))}\n"))


# Roles


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("reference", "hidden reference"), ("Ref", "hidden reference"), ("hidden_reference", "hidden reference"),
        ("anchor", "low anchor"), ("anchor35", "low anchor"), ("Low Anchor", "low anchor"),
        ("anchor@3.5k", "low anchor"), ("LP3.5kHz", "low anchor"), ("anchor-3500", "low anchor"),
        ("mid anchor", "mid anchor"), ("anchor70", "mid anchor"), ("anchor@7k", "mid anchor"),
        ("LP7.0 kHz", "mid anchor"),
        ("anchor12", "system"), ("prefer", "system"), ("opus@35", "system"), ("referenceless", "system"),
    ],
)  # fmt: skip
def test_roles_by_usual_names(tmp_path, name, role):
    ratings = read_ratings(written(tmp_path, f"listener,item,condition,score\na,i,{name},5\na,i,codec,5\n"))
    assert ratings.roles == {name: role, "codec": "system"}
    if role != "system":
        assert any(f"The {role} is assumed to be “{name}”" in note for note in ratings.notes)


def test_named_roles_take_precedence_over_usual_names(tmp_path):
    ratings = read_ratings(written(tmp_path, LONG), low_anchor="opus@6", reference="reference")
    assert ratings.roles == {"reference": "hidden reference", "opus@6": "low anchor"}
    assert any(note == "The low anchor is “opus@6” (--low-anchor)." for note in ratings.notes)


def test_a_usual_name_does_not_make_a_second_hidden_reference(tmp_path):
    ratings = read_ratings(written(tmp_path, LONG), reference="opus@6")
    assert ratings.roles == {"reference": "system", "opus@6": "hidden reference"}


def test_two_usual_names_for_a_role_assign_none(tmp_path):
    ratings = read_ratings(written(tmp_path, "listener,item,condition,score\na,i,ref,5\na,i,reference,5\n"))
    assert set(ratings.roles.values()) == {"system"}
    assert any("“ref”, “reference” all have a usual name" in note for note in ratings.notes)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"reference": "Reference"}, r"--reference Reference: .*no such condition; it has opus@6, reference"),
        (
            {"reference": "reference", "mid_anchor": "reference"},
            r"--mid-anchor reference: also named as the hidden reference",
        ),
    ],
)
def test_invalid_roles(tmp_path, named, message):
    with pytest.raises(UserError, match=message):
        read_ratings(written(tmp_path, LONG), **named)


# Invalid files: one line that names the file, the position and the rule

BAD_FILES = {
    "empty": ("", "empty"),
    "blank": ("\n \n\n", "empty|no column"),
    "headings only": ("listener,item,condition,score\n", "headings only"),
    "golisten headings only": ("a-x.wav,a-y.wav\n", "headings only"),
    "webmushra headings only": (WEBMUSHRA_HEAD, "headings only"),
    "other columns": ("a,b\n1,2\n", "no column for listener, item, condition, score; its columns are a, b"),
    "no scores": ("listener,item,condition\na,i,x\n", "no column for score"),
    "text for a score": (LONG + "9,01,opus@6,good,speech\n", "row 6, column score: “good” is not a number"),
    "infinite": (LONG + "9,01,opus@6,inf,speech\n", "row 6, column score: “inf” is outside the scale"),
    "true": (LONG + "9,01,opus@6,True,speech\n", "row 6, column score: “True” is not a number"),
    "above 100": (LONG + "9,01,opus@6,100.1,speech\n", "row 6, column score: “100.1” is outside the scale of 0 to 100"),
    "below 0": (LONG + "9,01,opus@6,-1,speech\n", "row 6, column score: “-1” is outside"),
    "no condition": (LONG + "9,01,,5,speech\n", "row 6, column condition: empty"),
    "no listener": (LONG + " ,01,opus@6,5,speech\n", "row 6, column listener: empty"),
    "after a blank line": (LONG + "\n9,01,opus@6,x,speech\n", "row 7, column score"),
    "row too long": (LONG + "9,01,opus@6,5,speech,more\n", "damaged table: Expected 5 fields in line 6, saw 6"),
    "open quote": (LONG + '"9,01,opus@6,5,speech\n', "damaged table"),
    "rated twice": (LONG + "8,01,opus@6,5,speech\n",
                    "row 6: listener 8 rated item 01 in condition opus@6 in row 5"),
    "a repeated column": ("listener,item,condition,score,score\na,i,x,1,2\n", "two columns are called score"),
    "a repeated column in webmushra": ("session_uuid,trial_id,trial_id,rating_stimulus,rating_score\na,1,1,x,1\n",
                                           "two columns are called trial_id"),
    "a repeated file": ("a-x.wav,a-x.wav\n1,2\n", "two columns are called a-x.wav"),
    "golisten score": ("a-x.wav,a-y.wav\n1,120\n", "row 2, column a-y.wav: “120” is outside"),
    "a category called all": (LONG + "9,01,opus@6,5,all\n", "category \"all\""),
    "audio": (b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xfe", "UTF-8|no column|damaged"),
    "zeros": (bytes(64), "no column|no ratings"),
    "broken parquet": (b"PAR1 and nothing more", "a damaged Parquet file"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(tmp_path, content, message):
    path = written(tmp_path, content)
    with pytest.raises(UserError, match=message) as caught:
        read_ratings(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_paths_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.csv", tmp_path):
        with pytest.raises(UserError, match="not readable"):
            read_ratings(path)


def test_names_lose_terminal_codes_and_line_breaks(tmp_path):
    (row,) = rows(written(tmp_path, 'listener,item,condition,score\na\x1b[31m,i,"x\r\ny",5\n'))
    assert row == ("a [31m", "i", "x y", 5)


def test_a_row_of_millions_of_cells_is_refused_at_once(tmp_path: Path):
    (tmp_path / "a.csv").write_text("," * 5_000_000 + "\n")
    with pytest.raises(UserError, match="row 1 has over 1048576 characters"):
        read_ratings(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("listener,item,condition,score\n" + "," * 5_000_000 + "\n")
    with pytest.raises(UserError, match="row 2 has over 1048576 characters"):
        read_ratings(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("," * 20_000 + "\n")
    with pytest.raises(UserError, match="20001 columns; a table of ratings has at most 10000"):
        read_ratings(tmp_path / "a.csv")
