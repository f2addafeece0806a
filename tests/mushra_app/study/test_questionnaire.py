"""Questions before, between and after the trials: their position, refused answers, and where answers are exported."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from earmark.codec.errors import UserError
from earmark.mushra_app.database import admin_access
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.report.writing import write_report
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study.pages import Headphones, Questionnaire, Training, Trials, Volume, from_json, to_json
from earmark.mushra_app.study.questions import AnswerError, Question, as_text, question_of, read_form
from earmark.mushra_app.web import create_app
from tests.mushra_app.visitor import Visitor, attribute, field

SESSION = """
[[questionnaire]]
place = "before"
[[questionnaire.questions]]
name = "age"
ask = "How old are you?"
kind = "number"
low = 18
high = 99
[[questionnaire.questions]]
name = "device"
ask = "What are you listening with?"
kind = "choice"
choices = ["in-ear", "over-ear"]

[[questionnaire]]
place = 2
[[questionnaire.questions]]
name = "tired"
ask = "How tired are your ears?"
kind = "scale"
low_label = "fresh"
high_label = "tired"

[[questionnaire]]
place = "after"
[[questionnaire.questions]]
name = "heard"
ask = "What did you hear?"
kind = "choices"
choices = ["noise", "<i>echo</i>", "clicks"]
optional = true
[[questionnaire.questions]]
name = "remarks"
ask = "Anything else?"
kind = "text"
optional = true
"""


def asks(kind: str, **more: object) -> Question:
    return Question("name", "Ask?", kind, **more)


# One question


@pytest.mark.parametrize(
    ("question", "given", "answer"),
    [
        (asks("text"), [" hello \0"], "hello"),
        (asks("text", optional=True), ["  "], None),
        (asks("text"), [999 * "x\r\n" + "xx"], 999 * "x\n" + "xx"),  # 2000 characters, as browsers count
        (asks("number"), ["-3,5"], -3.5),
        (asks("number", low=0, high=10), ["10"], 10),
        (asks("scale"), ["5"], 5),
        (asks("scale", low=0, high=10), ["0"], 0),
        (asks("choice", choices=("a", "b")), ["b"], "b"),
        (asks("choices", choices=("a", "b", "c")), ["c", "a"], ["a", "c"]),
        (asks("choices", choices=("a",), optional=True), [], None),
    ],
)
def test_answers_are_read(question: Question, given: list[str], answer: object):
    assert question.read(given) == answer


@pytest.mark.parametrize(
    ("question", "given"),
    [
        (asks("text"), []), (asks("text"), ["\0"]), (asks("text"), ["x" * 2001]),
        (asks("number"), ["ten"]), (asks("number"), ["nan"]), (asks("number"), ["inf"]),
        (asks("number", low=0), ["-1"]), (asks("number", high=10), ["11"]),
        (asks("scale"), ["0"]), (asks("scale"), ["6"]), (asks("scale"), ["2.5"]),
        (asks("choice", choices=("a", "b")), ["c"]),
        (asks("choices", choices=("a", "b")), ["a", "c"]), (asks("choices", choices=("a", "b")), []),
    ],
)  # fmt: skip
def test_invalid_answers_are_refused(question: Question, given: list[str]):
    with pytest.raises(AnswerError):
        question.read(given)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "essay"}, 'kind "essay"'),
        ({"kind": "choice"}, "needs choices"),
        ({"kind": "text", "choices": ["a"]}, "has no choices"),
        ({"kind": "choice", "choices": ["a", "a"]}, "two choices are the same"),
        ({"kind": "number", "low": 2, "high": 1}, "low must be below high"),
        ({"kind": "scale", "low": 0, "high": 100}, "2 to 11 points"),
        ({"kind": "scale", "low": 1.5}, "whole numbers"),
        ({"kind": ["text"]}, "there are choice, choices, number, text, scale"),
        ({"kind": "text", "name": 5}, "name must be a text"),
        ({"kind": "text", "name": "age "}, 'name "age " begins or ends with a blank'),
        ({"kind": "text", "ask": ["x"]}, "ask must be a text"),
        ({"kind": "scale", "low_label": 0}, "low_label must be a text"),
        ({"kind": "choice", "choices": [1, 2]}, "choices must be a list of texts"),
        ({"kind": "choice", "choices": "abc"}, "choices must be a list of texts"),
        ({"kind": "choice", "choices": ["yes ", "no"]}, 'choice "yes " is empty, or begins or ends with a blank'),
        ({"kind": "choice", "choices": ["", "no"]}, 'choice "" is empty'),
        ({"kind": "number", "low": "18"}, "low must be a number"),
        ({"kind": "number", "low": True}, "low must be a number"),
        ({"kind": "number", "high": float("nan")}, "high must be a number"),
        ({"kind": "text", "optional": "no"}, "optional must be true or false"),
        ({"kind": "text", "most": 3}, "no such key: most; there are name, ask, kind, choices"),
        ({}, "a question lacks kind"),
    ],
)
def test_invalid_questions_are_explained(wrong: dict, message: str):
    with pytest.raises(ValueError, match=message):
        question_of({"name": "name", "ask": "Ask?", **wrong})


@pytest.mark.parametrize("table", ["x", 1, None, ["name"]])
def test_a_question_is_a_table(table: object):
    with pytest.raises(ValueError, match="a question is a table"):
        question_of(table)


def test_form_fields_have_numbers_and_answers_have_names():
    questions = (Question("age", "?", "number"), Question("=cmd", "?", "choices", ("a", "b")))
    form = MultiDict([("q1", "b"), ("q1", "a"), ("q0", "7"), ("q9", "x")])
    assert read_form(questions, form) == {"age": 7.0, "=cmd": ["a", "b"]}


@pytest.mark.parametrize(
    ("answer", "text"),
    [(None, ""), (7.0, "7"), (2.5, "2.5"), (0.1, "0.1"), (60412345678.0, "60412345678"), (["a", "b"], "a; b"),
     ("x", "x")],
)  # fmt: skip
def test_text_of_answers_in_tables(answer: object, text: str):
    assert as_text(answer) == text


# In a session


@pytest.fixture
def folder(study_folder: Path) -> Path:
    (study_folder / "session.toml").write_text(SESSION)
    return study_folder


def send(visitor: Visitor, **answers: object) -> TestResponse:
    html = visitor.get("/page/questionnaire").text
    return visitor.post(attribute(html, "action")[0], data={"token": field(html, "token"), **answers})


def begin(folder: Path) -> Visitor:
    visitor = Visitor(create_app(folder))
    page = visitor.post("/start", data={"token": field(visitor.get("/").text, "token"), "consent": "yes"})
    assert page.request.path == "/page/questionnaire"
    return visitor


def finish(folder: Path, remarks: str = "=1+1 <b>") -> Visitor:
    visitor = begin(folder)
    visitor.go_on(send(visitor, q0="33", q1="over-ear"))
    visitor.rate(visitor.trial())
    visitor.rate(visitor.trial())
    assert send(visitor, q0="4").request.path == "/trial"
    visitor.rate(visitor.trial())
    assert send(visitor, q0=["<i>echo</i>", "noise"], q1=remarks).request.path == "/thanks"
    return visitor


def test_pages_have_the_position_that_the_author_chose(folder: Path):
    questions = [page for page in studies.load(folder).pages if isinstance(page, Questionnaire)]
    listener = create_app(folder).extensions["earmark"].store.enrol("ada")
    kinds = [step.type for step in listener.steps]
    assert kinds == ["questionnaire", "volume", "trial", "trial", "questionnaire", "trial", "questionnaire"]
    assert [len(page.questions) for page in questions] == [2, 1, 2]


def test_a_page_after_more_trials_than_there_are_follows_the_last(make_study, tmp_path: Path):
    make_study(tmp_path, trials=1)
    (tmp_path / "session.toml").write_text(SESSION)
    listener = create_app(tmp_path).extensions["earmark"].store.enrol("ada")
    assert [step.type for step in listener.steps] == [
        "questionnaire", "volume", "trial", "questionnaire", "questionnaire"
    ]  # fmt: skip


def test_answers_are_exported_without_formulas(folder: Path):
    visitor = finish(folder)
    app = visitor.client.application
    admin = app.test_client()
    password = admin_access.new_password(app.extensions["earmark"].store)
    admin.post("/admin/sign-in", data={"password": password})
    rows = list(csv.reader(io.StringIO(admin.get("/admin/answers.csv").text)))
    label = rows[1][0]
    assert re.fullmatch("L0001-[0-9a-f]{6}", label)
    assert [row for row in rows if not row[1].startswith("check: timing")] == [
        ["listener", "question", "answer"],
        [label, "age", "33"],
        [label, "device", "over-ear"],
        [label, "tired", "4"],
        [label, "heard", "noise; <i>echo</i>"],
        [label, "remarks", "'=1+1 <b>"],
    ]


def test_answers_are_escaped_in_the_report(folder: Path, tmp_path: Path):
    finish(folder)
    report = write_report(study_ratings(folder), "none", tmp_path / "report")
    with report.listeners_csv.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["answer: age"] == "33"
    assert row["answer: remarks"] == "'=1+1 <b>"
    html = report.page.read_text()
    assert "<td>noise; &lt;i&gt;echo&lt;/i&gt;</td>" in html
    assert "=1+1 <b>" not in html


def test_a_second_click_changes_no_answer(folder: Path):
    visitor = begin(folder)
    html = visitor.get("/page/questionnaire").text
    for age in ("33", "44"):
        data = {"token": field(html, "token"), "q0": age, "q1": "in-ear"}
        assert visitor.post(attribute(html, "action")[0], data=data).request.path == "/page/volume"
    store = visitor.client.application.extensions["earmark"].store
    with visitor.client.session_transaction() as session:
        assert store.listener(session["listener"]).steps[0].answer == {"age": 33.0, "device": "in-ear"}


@pytest.mark.parametrize("answers", [{}, {"q0": "17", "q1": "in-ear"}, {"q0": "33", "q1": "loudspeaker"}, {"q0": "33"}])
def test_an_incomplete_page_is_shown_again_with_its_answers(folder: Path, answers: dict[str, str]):
    visitor = begin(folder)
    page = send(visitor, **answers)
    assert page.status_code == 400
    assert 'role="alert"' in page.text
    if "q0" in answers:
        assert f'value="{answers["q0"]}"' in page.text
    assert visitor.get("/continue").request.path == "/page/questionnaire"


def test_the_author_s_texts_are_escaped(study_folder: Path):
    (study_folder / "session.toml").write_text(SESSION.replace("How old are you?", "<script>alert(1)</script>"))
    html = begin(study_folder).get("/page/questionnaire").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>" not in html


# session.toml


def test_every_key_of_the_session_file(study_folder: Path):
    (study_folder / "session.toml").write_text(
        'language = "de"\ntitle = "T"\nheadphone_check = "antiphase"\nheadphone_attempts = 3\n'
        'headphone_failed = "flag"\ntraining = ["musical-001"]\nbreak_after = 2\nattention = ["repeated"]\n'
    )
    study = studies.load(study_folder)
    assert (study.texts.language, study.texts.title) == ("de", "T")
    assert study.pages == (
        Volume(),
        Headphones("antiphase", 3, turn_away=False),
        Training("musical-001"),
        Trials(2, ("repeated",)),
    )
    assert tuple(from_json(to_json(page)) for page in study.pages) == study.pages


def test_pages_with_questions_can_be_saved_and_read(folder: Path):
    pages = studies.load(folder).pages
    assert tuple(from_json(to_json(page)) for page in pages) == pages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("language = de", "not readable as TOML"),
        (".".join(["a"] * 16_000) + " = 1", r"not readable as TOML \(a line with over 1000 dots\)"),
        ("# " + 256 * 1024 * "x", r"not readable as TOML \(over 256 KB\)"),
        ('langauge = "de"', "no such key: langauge"),
        ('language = "fi"', 'language = "fi": must be one of en, de, fr, es, zh, ja, ko, pt, it, pl, ar'),
        ("title = 7", "title must be a text"),
        ('headphone_check = "loud"', "must be one of huggins, antiphase"),
        ('headphone_failed = "shout"', "must be one of turn away, flag"),
        ("headphone_attempts = 0", "headphone_attempts must be a whole number, 1 or more"),
        ("break_after = -1", "break_after must be a whole number, 0 or more"),
        ('attention = ["loud"]', "no such check: loud; there are instructed, repeated"),
        ('training = "x"', "training must be a list of texts"),
        ('training = ["musical-001", "musical-001"]', "training has musical-001 twice"),
        (
            'training = ["nothing"]',
            r"session.toml: training: the study has no item nothing; it has musical-001, musical-003, speechlike-000, ",
        ),
        ('attention = ["repeated", "repeated"]', "attention has repeated twice"),
        ("headphone_attempts = 3", "headphone_attempts: nothing is checked without headphone_check"),
        ('headphone_failed = "flag"', "headphone_failed: nothing is checked without headphone_check"),
        ('comments = "yes"', "comments must be true or false"),
        ('questionnaire = ["x"]', "with two brackets"),
        ('[[questionnaire]]\nplace = "before"\nquestions = ["x"]', "questions as"),
        (
            '[[questionnaire]]\nplace = "before"\n[[questionnaire.questions]]\nname = "a"',
            "questionnaire with a: a question lacks ask, kind",
        ),
        ('[questionnaire]\nplace = "before"', "with two brackets"),
        ('[[questionnaire]]\nplace = "between"', "place must be"),
        ('[[questionnaire]]\nplace = "before"', "questions as"),
        (SESSION.replace('"tired"\nask', '"age"\nask'), 'two questions have the name "age"'),
        (SESSION.replace('kind = "scale"', 'kind = "scales"'), 'questionnaire with tired: kind "scales"'),
        (SESSION.replace("optional = true", "obligatory = true"), "questionnaire with heard, remarks: .*obligatory"),
    ],
)
def test_a_wrong_session_file_is_an_error_of_one_line(study_folder: Path, text: str, message: str):
    (study_folder / "session.toml").write_text(text)
    with pytest.raises(UserError, match=message) as raised:
        studies.load(study_folder)
    assert "\n" not in str(raised.value)


def test_a_session_file_may_begin_with_a_byte_order_mark(study_folder: Path):
    (study_folder / "session.toml").write_bytes(b"\xef\xbb\xbftitle = 'x'")
    assert studies.load(study_folder).texts.title == "x"


@pytest.mark.parametrize(("text", "shown"), [("comments = true", True), ("comments = false", False), ("", False)])
def test_comments_are_switched_on_by_the_session_file(study_folder: Path, text: str, shown: bool):
    (study_folder / "session.toml").write_text(text)
    visitor = Visitor(create_app(study_folder))
    visitor.begin()
    assert ('id="comment"' in visitor.get("/trial").text) == shown
