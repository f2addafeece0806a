"""`earmark.load_ratings`: rating files and studies as one object with a table and a report."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from earmark.codec.errors import UserError
from earmark.mushra_app.cli import study_group
from earmark.mushra_app.database import store
from earmark.mushra_app.database.store import Answer
from earmark.mushra_app.report.loading import load_ratings
from earmark.mushra_app.study import study

LONG = "listener,item,condition,score\nA,1,original,100\nA,1,x,40\nB,1,original,50\nB,1,x,60\n"


@pytest.fixture
def long_table(tmp_path: Path) -> Path:
    (tmp_path / "ratings.csv").write_text(LONG)
    return tmp_path / "ratings.csv"


def test_table_of_a_webmushra_file(shared):
    """22 listeners, 13 trials, 8 stimuli (SOURCES.md of the data)."""
    ratings = load_ratings(str(shared / "mushra/ambisonics_webmushra/webmushra_results.csv"), low_anchor="Mono")
    assert len(ratings.table) == 22 * 13 * 8
    assert {"listener", "item", "condition", "score"} <= set(ratings.table)
    assert (ratings.roles["reference"], ratings.roles["Mono"]) == ("hidden reference", "low anchor")
    assert "Read as a webMUSHRA result file." in ratings.notes
    assert repr(ratings) == (
        "<LoadedRatings 'webmushra_results.csv': 2288 ratings, 22 listeners, 13 items, 8 conditions>"
    )


def test_report_screens_by_the_given_rule(long_table, tmp_path):
    """B rates the reference 50: dropped by the rule of the paper, kept without a rule; x then has 40 or 50 on average.

    `original` has no usual name, so only `reference=` makes it the hidden reference.
    """
    ratings = load_ratings(long_table, reference="original")
    screened, unscreened = (ratings.report(tmp_path / rule, screen=rule) for rule in ("paper", "none"))
    assert (screened.kept, unscreened.kept) == (1, 2)
    assert [report.summary.set_index("condition").loc["x", "mean"] for report in (screened, unscreened)] == [40, 50]
    assert screened.page == tmp_path / "paper/report.html"
    assert screened.page.exists()
    assert ratings.report(str(tmp_path / "default")).kept == 1


def test_unknown_rule(long_table, tmp_path):
    with pytest.raises(UserError, match="itu: no such rule; there are paper, bs1534"):
        load_ratings(long_table).report(tmp_path / "report", screen="itu")
    assert not (tmp_path / "report").exists()


def test_study_folder(study_folder):
    test = study.load(study_folder)
    database = store.open_store(test, study_folder)
    trial = database.enrol("key").trials[0]
    database.submit("key", trial.key, {stimulus.token: Answer(70) for stimulus in trial.conditions}, seconds=30)
    for ratings in (load_ratings(study_folder), load_ratings(study_folder, database=str(database.engine.url))):
        assert ratings.table["score"].tolist() == [70] * len(test.conditions)
        assert ratings.roles == {condition.name: condition.role for condition in test.conditions}
    with pytest.raises(UserError, match=r"STUDY: a study defines its own reference and anchors"):
        load_ratings(study_folder, mid_anchor="opus@6")


def test_errors_are_one_line_that_names_the_path(long_table, tmp_path):
    with pytest.raises(UserError, match=r"missing\.csv: not readable"):
        load_ratings(tmp_path / "missing.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no study\.json in it"):
        load_ratings(tmp_path / "empty")
    with pytest.raises(UserError, match=r"--reference mp3: .*no such condition; it has original, x"):
        load_ratings(long_table, reference="mp3")
    with pytest.raises(UserError, match=r"ratings\.csv: a rating file; --database is for a study folder"):
        load_ratings(long_table, database="sqlite:///x.sqlite")


def test_a_report_is_replaced_only_with_force(long_table, tmp_path):
    page = tmp_path / "report" / "report.html"
    page.parent.mkdir()
    page.write_text("of an earlier day")
    arguments = ["report", "--ratings", str(long_table), "--out", str(page.parent)]
    done = CliRunner().invoke(study_group, arguments, standalone_mode=False)
    assert "report.html: exists; add --force to replace it" in str(done.exception)
    assert page.read_text() == "of an earlier day"
    assert [*page.parent.iterdir()] == [page]
    assert CliRunner().invoke(study_group, [*arguments, "--force"], standalone_mode=False).exception is None
    assert page.read_text() != "of an earlier day"


def test_several_files_with_named_columns_another_scale_and_practice(tmp_path):
    """Scores of 1 to 5: 3 is 50 of 100, 5 is 100."""
    for name in ("ada", "bob"):
        (tmp_path / f"{name}.csv").write_text("task,model,mos\npractice,x,1\nbell,x,3\nbell,y,5\n", encoding="utf-8")
    ratings = load_ratings(
        [tmp_path / "ada.csv", str(tmp_path / "bob.csv")],
        columns={"item": "task", "condition": "model", "score": "mos"}, scale=(1, 5), skip_items=["practice"],
    )  # fmt: skip
    rows = list(ratings.table[["listener", "item", "condition", "score"]].itertuples(index=False, name=None))
    assert sorted(rows) == [("ada", "bell", "x", 50), ("ada", "bell", "y", 100), ("bob", "bell", "x", 50),
                            ("bob", "bell", "y", 100)]  # fmt: skip
    with pytest.raises(UserError, match="no rating file"):
        load_ratings([])


def test_arguments_of_rating_files_do_not_apply_to_a_study(study_folder):
    with pytest.raises(UserError, match=r"a study; --columns, --scale and --skip-item are for rating files"):
        load_ratings(study_folder, scale=(1, 5))
