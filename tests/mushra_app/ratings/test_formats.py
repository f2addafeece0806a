"""One file per format of other tools, written from their documentation and source; scipy recomputes the statistics."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from click.testing import CliRunner

from earmark.cli import cli
from earmark.codec.errors import UserError
from earmark.mushra_app.analysis.significance import friedman, listener_means
from earmark.mushra_app.ratings.errors import RatingsError
from earmark.mushra_app.ratings.importers import read_ratings
from earmark.mushra_app.ratings.scales import parse_scale
from earmark.mushra_app.ratings.statistics import summarise
from earmark.mushra_app.ratings.table import Ratings

KEY = ["listener", "item", "condition"]
CONDITIONS = ("reference", "codec", "anchor")


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def scores(ratings: Ratings) -> dict[tuple[str, str, str], float]:
    return {tuple(row[name] for name in KEY): row["score"] for row in ratings.frame.to_dict("records")}


def expected_scores(listeners: int = 4, items: int = 3) -> dict[tuple[str, str, str], float]:
    """Random whole scores of listeners l0, l1, ... on items i0, i1, ..."""
    rng = np.random.default_rng(7)
    return {
        (f"l{listener}", f"i{item}", condition): float(rng.integers(10 * level, 10 * level + 40))
        for listener in range(listeners)
        for item in range(items)
        for level, condition in enumerate(CONDITIONS, start=1)
    }


EXPECTED = expected_scores()


# A file for each format, with the scores of EXPECTED


def wide(folder: Path) -> Path:
    rows = sorted({key[:2] for key in EXPECTED})
    lines = [",".join([*row, "25", *(f"{EXPECTED[*row, name]:g}" for name in CONDITIONS)]) for row in rows]
    return written(folder / "wide.csv", "\n".join(["participant,trial,age," + ",".join(CONDITIONS), *lines]))


def listen_and_rate_csv(folder: Path) -> Path:
    """A file per session: session_id, timestamp, test_type, metadata_*, system, utterance, rating."""
    for listener in sorted({key[0] for key in EXPECTED}):
        lines = ["session_id,timestamp,test_type,metadata_listener,system,utterance,rating"]
        lines += [f"uuid-{listener},2026-01-01T10:00:00+09:00,mushra,{listener},{condition},{item},{score:g}"
                  for (who, item, condition), score in EXPECTED.items() if who == listener]  # fmt: skip
        written(folder / f"lr/uuid-{listener}.csv", "\n".join(lines))
    return folder / "lr"


def listen_and_rate_json(folder: Path) -> Path:
    for number, listener in enumerate(sorted({key[0] for key in EXPECTED})):
        records = [{"system": condition, "utterance": item, "rating": score, "metrics": {"time": 3.5}}
                   for (who, item, condition), score in EXPECTED.items() if who == listener]  # fmt: skip
        session = {
            "session_id": f"uuid-{listener}", "timestamp": "2026-01-01", "test_type": "mushra",
            "metadata": {"listener": listener}, "survey": [],
            ("records" if number % 2 else "ratings"): records,
        }  # fmt: skip
        written(folder / f"lrj/uuid-{listener}.json", json.dumps(session))
    return folder / "lrj"


def beaqlejs(folder: Path) -> Path:
    """As its web service stores them: a list of tests, and an object with the user's name at the end."""
    for listener in sorted({key[0] for key in EXPECTED}):
        items = sorted({key[1] for key in EXPECTED})
        tests = [{"TestID": item, "Runtime": 41_000, "filename": {"reference": "r.wav"},
                  "rating": {name: int(EXPECTED[listener, item, name]) for name in CONDITIONS}}
                 for item in items]  # fmt: skip
        result = [*tests, {"UserName": listener, "UserEmail": "", "UserComment": "none"}]
        written(folder / f"beaqle/20260101-1000_{listener}0.txt", json.dumps(result))
    return folder / "beaqle"


def waet(folder: Path) -> Path:
    """waetresult/page/audioelement/value, from 0 to 1; and what the reader must skip."""
    for listener in sorted({key[0] for key in EXPECTED}):
        pages = "".join(
            f'<page ref="{item}" state="complete"><metric><metricresult id="testTime">12.5</metricresult></metric>'
            f'<audioelement ref="{item}-open" type="outside-reference"><metric/></audioelement>'
            + "".join(
                f'<audioelement ref="{item}-{name}" type="{name if name != "codec" else "normal"}">'
                f"<comment><question>?</question><response>dull</response></comment>"
                f'<value interface-name="null">{EXPECTED[listener, item, name] / 100}</value></audioelement>'
                for name in CONDITIONS
            )
            + "</page>"
            for item in sorted({key[1] for key in EXPECTED})
        )
        broken = '<page ref="i9" state="empty"><audioelement ref="i9-codec"/></page>'
        written(folder / f"waet/save-{listener}.xml",
                f'<?xml version="1.0"?><waetresult key="{listener}"><waet/>{pages}{broken}</waetresult>')  # fmt: skip
    return folder / "waet"


FORMATS = {
    "table with a column per condition": wide,
    "listen-and-rate result file": listen_and_rate_csv,
    "listen-and-rate result file (JSON)": listen_and_rate_json,
    "BeaqleJS result file": beaqlejs,
    "result file of the Web Audio Evaluation Tool": waet,
}


@pytest.mark.parametrize(("name", "write"), FORMATS.items(), ids=[write.__name__ for write in FORMATS.values()])
def test_every_format_is_read(tmp_path, name, write):
    ratings = read_ratings(write(tmp_path))
    assert scores(ratings) == pytest.approx(EXPECTED)
    assert ratings.roles == {"reference": "hidden reference", "codec": "system", "anchor": "low anchor"}
    assert f"Read as a {name.removesuffix(' (JSON)')}." in ratings.notes


@pytest.mark.parametrize("write", [wide, beaqlejs, waet])
def test_scipy_computes_the_same_statistics(tmp_path, write):
    """Mean, t interval over ratings, quartiles, and Friedman's test over the means of the listeners."""
    frame = read_ratings(write(tmp_path)).frame
    summary = summarise(frame).set_index("condition")
    summary = summary[summary["category"] == "all"]
    for condition in CONDITIONS:
        values = [score for (_, _, name), score in EXPECTED.items() if name == condition]
        row = summary.loc[condition]
        low, high = scipy.stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy.stats.sem(values))
        assert (row["n"], row["listeners"]) == (12, 4)
        assert [row["mean"], row["sd"]] == pytest.approx([np.mean(values), scipy.stats.tstd(values)])
        assert [row["ci95_low"], row["ci95_high"]] == pytest.approx([low, high])
        assert [row["q1"], row["median"], row["q3"]] == pytest.approx(
            scipy.stats.mstats.mquantiles(values, alphap=1, betap=1)
        )
    of_listener = {name: [np.mean([score for (who, _, condition), score in EXPECTED.items()
                                   if (who, condition) == (listener, name)]) for listener in ("l0", "l1", "l2", "l3")]
                   for name in CONDITIONS}  # fmt: skip
    theirs = scipy.stats.friedmanchisquare(*of_listener.values())
    ours = friedman(listener_means(frame))
    assert ours is not None
    assert (ours.statistic, ours.p) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_waet_details(tmp_path):
    ratings = read_ratings(waet(tmp_path) / "save-l0.xml")
    assert set(ratings.frame["comment"]) == {"dull"}
    assert set(ratings.frame["seconds"]) == {12.5}
    assert any("skipped 1 page that the listener did not complete" in note for note in ratings.notes)
    assert any("scores from 0 to 1 mapped to 0 to 100" in note for note in ratings.notes)


def test_waet_scales_of_a_page_are_items_of_their_own(tmp_path):
    elements = "".join(
        f'<audioelement ref="p-{name}"><value interface-name="timbre">0.{digit}</value>'
        f'<value interface-name="space">0.{digit + 2}</value></audioelement>'
        for digit, name in ((4, "x"), (6, "y"))
    )
    path = written(tmp_path / "a.xml", f'<waetresult key="k"><page ref="p">{elements}</page></waetresult>')
    frame = read_ratings(path).frame
    assert {(row.item, row.condition, row.category): round(row.score) for row in frame.itertuples()} == {
        ("p (timbre)", "x", "timbre"): 40, ("p (space)", "x", "space"): 60,
        ("p (timbre)", "y", "timbre"): 60, ("p (space)", "y", "space"): 80,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><waetresult>&b;</waetresult>", "document type or entities"),
        ("<waetresult><page></waetresult>", "damaged XML"),
        ("<html></html>", "not a result of the Web Audio Evaluation Tool"),
        ('{"a": [1, 2}', "damaged JSON"),
        ('{"a": 1}', "JSON, but not results"),
    ],
)
def test_bad_xml_and_json(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_ratings(written(tmp_path / "a.txt", text))


# Several files, several sessions


def test_several_sources_add_up(tmp_path):
    ratings = read_ratings([wide(tmp_path), listen_and_rate_csv(tmp_path / "more")])
    assert len(ratings.frame) == 36  # the same listeners: the mean of equal scores
    assert scores(ratings) == pytest.approx(EXPECTED)
    assert ratings.source == "wide.csv and 4 other files"


UNNAMED = {
    "GoListen": ("mushra.csv", '"","a-x.wav","a-y.wav"\n"T","{0}","2"\n'),
    "jsPsych": ("data.csv", "stimulus,response\na-x.wav,{0}\na-y.wav,2\n"),
    "BeaqleJS": ("result1.txt", '[{{"TestID": "a", "rating": {{"x": {0}, "y": 2}}}}, {{"UserName": " "}}]'),
    "WAET": ("save.xml", '<waetresult><page ref="a"><audioelement ref="x"><value>0.{0}</value></audioelement>'
                         '<audioelement ref="y"><value>0.02</value></audioelement></page></waetresult>'),
    "sessions": ("long.csv", "session,item,condition,score\n1,a,x,{0}\n1,a,y,2\n"),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNNAMED)
@pytest.mark.parametrize(
    ("files", "listeners"),
    [
        (["{stem}{suffix}", "tue{suffix}"], ["{stem}", "tue"]),
        (["mon/{stem}{suffix}", "tue/{stem}{suffix}"], ["mon/{stem}", "tue/{stem}"]),
        (["{stem}{suffix}", "more/tue/{stem}{suffix}"], ["{stem}", "more/tue/{stem}"]),
    ],
    ids=["files", "folders", "at two levels"],
)
def test_listeners_of_files_that_name_none_stay_apart(tmp_path, kind, files, listeners):
    name, text = UNNAMED[kind]
    stem, suffix = Path(name).stem, Path(name).suffix
    paths = [written(tmp_path / file.format(stem=stem, suffix=suffix), text.format(score))
             for file, score in zip(files, (10, 30), strict=True)]  # fmt: skip
    columns = {"stimulus": "stimulus", "score": "response"} if kind == "jsPsych" else None
    for source in (paths, tmp_path):
        ratings = read_ratings(source, columns=columns)
        assert {key[0]: score for key, score in scores(ratings).items() if key[2] == "x"} == dict(
            zip([name.format(stem=stem) for name in listeners], (10, 30), strict=True)
        )
        assert not any("several sessions" in note for note in ratings.notes)


def test_sessions_without_names_of_files_with_one_name_stay_apart(tmp_path):
    """2 + 2 people in files that two days' exports call mushra.csv."""
    text = '"","a-x.wav","a-y.wav"\n"T","{0}","2"\n"T","{1}","2"\n'
    files = [
        written(tmp_path / f"{day}/mushra.csv", text.format(*pair)) for day, pair in (("mon", (1, 3)), ("tue", (5, 7)))
    ]
    assert {key[0]: score for key, score in scores(read_ratings(files)).items() if key[2] == "x"} == {
        "mon/mushra/session-01": 1, "mon/mushra/session-02": 3, "tue/mushra/session-01": 5, "tue/mushra/session-02": 7,
    }  # fmt: skip


def test_a_file_is_not_called_like_a_listener_of_another(tmp_path):
    named = written(tmp_path / "all.csv", "listener,item,condition,score\nann,a,x,10\n")
    unnamed = written(tmp_path / "ann.csv", "session,item,condition,score\n1,a,x,30\n")
    assert {key[0]: score for key, score in scores(read_ratings([named, unnamed])).items()} == {
        "ann": 10,
        "ann.csv": 30,
    }


def test_sessions_with_random_ids_are_the_same_in_all_files(tmp_path):
    text = "session_id,item,condition,score\n5f2c9a1e-77,a,{0},10\n"
    files = [written(tmp_path / f"{name}.csv", text.format(name)) for name in "xy"]
    assert read_ratings(files).frame["listener"].unique().tolist() == ["5f2c9a1e-77"]


def test_a_file_named_twice_is_read_once(tmp_path, monkeypatch):
    path = written(tmp_path / "mon/mushra.csv", '"","a-x.wav","a-y.wav"\n"T","10","2"\n')
    monkeypatch.chdir(tmp_path)
    ratings = read_ratings([Path("mon/mushra.csv"), Path("mon/../mon"), path])
    assert ratings.frame["listener"].unique().tolist() == ["session-01"]


def test_repeated_sessions_of_a_listener_are_averaged(tmp_path):
    """(40 + 50) / 2 for a; b came once."""
    text = "listener,item,condition,score,session\na,i,x,40,1\na,i,x,50,2\nb,i,x,10,1\nb,i,y,20,1\n"
    ratings = read_ratings(written(tmp_path / "a.csv", text))
    assert scores(ratings) == {("a", "i", "x"): 45, ("b", "i", "x"): 10, ("b", "i", "y"): 20}
    (note,) = [note for note in ratings.notes if "several sessions" in note]
    assert note.startswith("1 listener rated in several sessions: the mean counts for 1 rating. If they are different")
    text = text.replace(",session", ",date").replace("50,2", "50,1")
    with pytest.raises(
        RatingsError, match=r"row 3: listener a rated .* in row 2; keep one of them, or add a column session"
    ):
        read_ratings(written(tmp_path / "b.csv", text))


def test_a_folder_without_ratings(tmp_path):
    with pytest.raises(UserError, match=r"no \.csv, .* file in it"):
        read_ratings(tmp_path)


# Encodings, empty cells, practice, scales


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8", "utf-8-sig", "cp1252"])
def test_encodings(tmp_path, encoding):
    text = "listener;item;condition;score\r\nJosé;Übung “1”;x;5\r\n"
    ratings = read_ratings(written(tmp_path / "a.csv", text.encode(encoding)))
    assert scores(ratings) == {("José", "Übung “1”", "x"): 5}
    expected = {"cp1252": "Windows-1252"}.get(encoding, "UTF-16" if encoding.startswith("utf-16") else None)
    assert (f"a.csv: read as {expected}." in ratings.notes) == (expected is not None)


def test_empty_cells_skip_the_rating_and_are_counted(tmp_path):
    text = "listener,item,condition,score\na,i,x,5\na,i,y,\na,j, z ,  \n"
    ratings = read_ratings(written(tmp_path / "a.csv", text))
    assert len(ratings.frame) == 1
    assert "Ratings skipped because their cell is empty: 2." in ratings.notes


def test_practice_items(tmp_path):
    text = "listener,item,condition,score\n" + "".join(f"a,{item},x,{5 * n}\n" for n, item in enumerate(
        ("practice1", "Training", "music")))  # fmt: skip
    path = written(tmp_path / "a.csv", text)
    (note,) = [note for note in read_ratings(path).notes if "practice" in note]
    assert note == "These items look like practice: practice1, Training. --skip-item NAME leaves one out."
    ratings = read_ratings(path, skip_items=["practice*", "Training"])
    assert set(ratings.frame["item"]) == {"music"}
    assert "Items skipped: practice1, Training." in ratings.notes
    with pytest.raises(RatingsError, match=r"--skip-item musik: no such item; .* did you mean music"):
        read_ratings(path, skip_items=["musik"])


@pytest.mark.parametrize(
    ("given", "option", "name", "mapped"),
    [
        ([1, 3, 4.5, 5], "1-5", "1 and 5", [0, 50, 87.5, 100]),  # (x - 1) / 4 of 100
        ([0, 0.25, 1], "0-1", "0 and 1", [0, 25, 100]),
        ([-3, 0, 3], "-3-3", None, [0, 50, 100]),
    ],
)
def test_other_scales_are_noticed_and_mapped_on_request(tmp_path, given, option, name, mapped):
    text = "listener,item,condition,score\n" + "".join(f"a,i{n},x,{score}\n" for n, score in enumerate(given))
    path = written(tmp_path / "a.csv", text)
    if name is not None:
        ratings = read_ratings(path)
        assert list(ratings.frame["score"]) == given
        assert any(f"between {name}" in note and f"--scale {option}" in note for note in ratings.notes)
    ratings = read_ratings(path, scale=parse_scale(option))
    assert list(ratings.frame["score"]) == mapped
    assert not any("between" in note for note in ratings.notes)


@pytest.mark.parametrize("text", ["5", "5-1", "1-x", "1-1"])
def test_bad_scales(text):
    with pytest.raises(UserError, match="--scale"):
        parse_scale(text)


# All errors at once


def test_all_errors_of_a_file_are_reported_at_once(tmp_path):
    text = "listener,item,condition,score\na,i,x,5\na,i,x,6\n,i,y,7\nb,i,x,good\nb,i,y,101\nb,,z,1\nb,j,x,-1\n"
    path = written(tmp_path / "a.csv", text)
    with pytest.raises(RatingsError) as caught:
        read_ratings(path)
    assert sorted(caught.value.errors) == sorted(f"{path}: {error}" for error in (
        "row 3: listener a rated item i in condition x in row 2; keep one of them, or add a column session",
        "row 4, column listener: empty; every rating needs one", "row 7, column item: empty; every rating needs one",
        "row 5, column score: “good” is not a number",
        "row 6, column score: “101” is outside the scale of 0 to 100; --scale names another",
        "row 8, column score: “-1” is outside the scale of 0 to 100; --scale names another",
    ))  # fmt: skip
    assert str(caught.value).startswith("6 errors: ")
    assert str(caught.value).endswith("; and 3 more")
    result = CliRunner().invoke(cli, ["study", "report", "--ratings", str(path), "-o", str(tmp_path / "report")])
    assert all(error in result.output for error in caught.value.errors)


def test_errors_of_several_files_are_reported_together(tmp_path):
    for name in "ab":
        written(tmp_path / f"data/{name}.csv", f"listener,item,condition,score\n{name},i,x,many\n")
    readme = written(tmp_path / "data/c.txt", "Please see the other files.\nThank you.\n")
    with pytest.raises(RatingsError, match=r"2 errors: .*a\.csv: row 2.*b\.csv: row 2"):
        read_ratings(tmp_path / "data")
    with pytest.raises(RatingsError, match=r"3 errors: .*c\.txt: no column for listener.*a\.csv: row 2.*b\.csv: row 2"):
        read_ratings([readme, tmp_path / "data"])


def test_a_note_on_many_files_is_said_once(tmp_path):
    ratings = read_ratings(waet(tmp_path))
    assert "save-l0.xml and 3 other files: scores from 0 to 1 mapped to 0 to 100." in ratings.notes
    assert len(ratings.notes) == 6  # format, pages, scale, three roles


def test_wide_table_with_mistyped_and_foreign_columns(tmp_path):
    text = "listener,item,remark,x,y\na,i,fine,5,6\na,j,fine,7,6o\nb,i,,8,9\n"
    with pytest.raises(RatingsError, match="row 3, column y: “6o” is not a number"):
        read_ratings(written(tmp_path / "a.csv", text))
    ratings = read_ratings(written(tmp_path / "b.csv", text.replace("6o", "60")))
    assert "Columns taken as conditions: x, y; --columns conditions=NAME,... chooses them." in ratings.notes
    assert "Columns ignored: remark." in ratings.notes


def test_the_command_reads_several_files(tmp_path):
    first, second = wide(tmp_path), waet(tmp_path)
    result = CliRunner().invoke(
        cli,
        ["study", "report", "--ratings", str(first), "--ratings", str(second), "--screen", "none", "--skip-item", "i0",
         "-o", str(tmp_path / "report")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "Items skipped: i0." in result.output
    assert (pd.read_csv(tmp_path / "report/summary.csv")["n"] == 8).all()  # 4 listeners, 2 items
