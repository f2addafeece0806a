"""Every message for listeners is translated into every language, with its placeholders."""

from __future__ import annotations

import gettext
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from earmark import mushra_app
from earmark.mushra_app.study.translations import LANGUAGES, catalogue_file, review_note
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.languages import catalogue
from tests.mushra_app.visitor import Visitor, attribute, field

TRANSLATED = [language for language in LANGUAGES if language != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s|%")
# Words that are equal in two languages.
SAME = {"Pause", "Questions", "Excellent"}


@pytest.fixture(scope="module")
def messages() -> dict[str | tuple[str, ...], str]:
    """Messages that templates and code mark for translation, and their files."""
    extracted = extract_from_dir(
        Path(mushra_app.__file__).parent,
        method_map=[("**.py", "python"), ("web/templates/**.html", "jinja2.ext.babel_extract")],
        options_map={"**.html": {"newstyle_gettext": "true"}},
        keywords={"_": None, "gettext": None, "ngettext": (1, 2), "marked": None},
    )
    return {message: file for file, _, message, _, _ in extracted}


def read(language: str) -> Catalog:
    with catalogue_file(language).open("rb") as file:
        return read_po(file, locale=language)


def texts(message: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else tuple(message)


@pytest.mark.parametrize("language", TRANSLATED)
def test_every_message_is_translated(messages: dict[str | tuple[str, ...], str], language: str):
    catalog = read(language)
    assert len(messages) > 90
    for message, file in messages.items():
        one = texts(message)[0]
        assert one in catalog, f"{file}: “{one}” is not in the catalogue"
        translations = texts(catalog[one].string)
        assert all(translations), f"{file}: “{one}” is not translated"
        assert set(translations).isdisjoint(texts(message)) or one in SAME, f"{file}: “{one}” is still English"


@pytest.mark.parametrize("language", TRANSLATED)
def test_placeholders_agree(language: str):
    """Each form has the placeholders of the English plural. The singular can omit the number."""
    catalog = read(language)
    assert catalog.num_plurals == {"zh": 1, "ja": 1, "ko": 1, "pl": 3, "ar": 6}.get(language, 2)
    for message in catalog:
        if not message.id:
            continue
        wanted = set(PLACEHOLDER.findall(texts(message.id)[-1]))
        for form, text in enumerate(texts(message.string)):
            given = set(PLACEHOLDER.findall(text))
            lacking = wanted - given
            assert given <= wanted, text
            assert not lacking or (form == 0 and catalog.num_plurals == 2 and lacking == {"%(num)s"}), text


@pytest.mark.parametrize(
    ("language", "labels"),
    [
        # The five-grade quality scale of the French, Spanish and Chinese ITU-R BT.500, and of German tests.
        ("de", "Ausgezeichnet Gut Ordentlich Dürftig Schlecht"),
        ("fr", "Excellent Bon Assez_bon Médiocre Mauvais"),
        ("es", "Excelente Buena Aceptable Mediocre Mala"),
        ("zh", "优 良 中 差 劣"),
        ("ja", "非常に良い 良い 普通 悪い 非常に悪い"),
        ("ko", "매우_좋음 좋음 보통 나쁨 매우_나쁨"),
        ("pt", "Excelente Boa Razoável Fraca Má"),
        ("it", "Eccellente Buona Discreta Scarsa Cattiva"),
        ("pl", "Doskonała Dobra Dostateczna Słaba Zła"),
        ("ar", "ممتاز جيد مقبول رديء سيئ"),
    ],
)
def test_the_scale_has_the_standard_terms(language: str, labels: str):
    english = ("Excellent", "Good", "Fair", "Poor", "Bad")
    assert " ".join(catalogue(language).gettext(word).replace(" ", "_") for word in english) == labels


def first_page(folder: Path, accept: str) -> str:
    return Visitor(create_app(folder)).get("/", headers={"Accept-Language": accept}).text


@pytest.mark.parametrize(
    ("accept", "tag", "word"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de", "Hörtest"),
        ("fr", "fr", "Test d’écoute"),
        ("fi,es;q=0.8", "es", "Prueba de escucha"),
        ("pt-BR,pt;q=0.9,en;q=0.8", "pt", "Teste de escuta"),
        ("ja", "ja", "聴取試験"),
        ("zh-CN,zh;q=0.9", "zh-Hans", "听音测试"),
        ("en-GB", "en", "Listening test"),
        ("fi", "en", "Listening test"),
        ("", "en", "Listening test"),
    ],
)
def test_the_browser_decides_if_the_study_does_not(study_folder: Path, accept: str, tag: str, word: str):
    html = first_page(study_folder, accept)
    assert f'<html lang="{tag}" dir="ltr">' in html
    assert f">{word}</h1>" in html


def test_the_study_decides_first(study_folder: Path):
    (study_folder / "session.toml").write_text('language = "fr"\n')
    assert '<html lang="fr" dir="ltr">' in first_page(study_folder, "de")


@pytest.mark.parametrize(("trials", "words"), [(1, "1 Durchgang."), (3, "3 Durchgänge.")])
def test_plurals(make_study, tmp_path: Path, trials: int, words: str):
    make_study(tmp_path, trials=trials)
    assert words in first_page(tmp_path, "de")


def test_errors_for_people_and_scripts_are_translated(study_folder: Path):
    visitor = Visitor(create_app(study_folder))
    page = visitor.client.get("/nowhere", headers={"Accept-Language": "de"})
    assert "Das hat nicht geklappt" in page.text
    german = {"Accept-Language": "de", "Accept": "application/json"}
    assert "gibt es in diesem Hörtest nicht" in visitor.client.get("/nowhere", headers=german).json["error"]


def test_the_admin_page_is_in_english(study_folder: Path):
    page = Visitor(create_app(study_folder)).get("/admin/sign-in", headers={"Accept-Language": "de"})
    assert '<html lang="en" dir="ltr">' in page.text


def test_the_author_s_texts_are_escaped_and_not_translated(study_folder: Path):
    (study_folder / "session.toml").write_text(
        'title = "Codecs <b>&</b> ears"\nconsent = "I agree & more"\n'
        'instructions = """\nFirst.\n\nSecond <i>one</i>."""\n'
    )
    html = first_page(study_folder, "de")
    assert ">Codecs &lt;b&gt;&amp;&lt;/b&gt; ears</h1>" in html
    assert ">First.</p>" in html
    assert ">Second &lt;i&gt;one&lt;/i&gt;.</p>" in html
    assert "I agree &amp; more" in html


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_catalogue_has_unused_messages(messages: dict[str | tuple[str, ...], str], language: str):
    used = {texts(message)[0] for message in messages}
    assert {texts(message.id)[0] for message in read(language) if message.id} <= used


@pytest.mark.parametrize("number", [0, 1, 2, 3, 5, 11, 21, 22, 100, 102])
def test_plural_forms_are_those_of_unicode(number: int):
    """By the plural rules of CLDR, which Babel carries."""
    from babel import Locale

    forms = {"pl": ("one", "few", "many"), "ar": ("zero", "one", "two", "few", "many", "other")}
    for language, names in forms.items():
        form = gettext.c2py(read(language).plural_expr)
        assert names[form(number)] == Locale(language).plural_form(number)


def test_arabic_runs_from_right_to_left(study_folder: Path):
    html = first_page(study_folder, "ar")
    assert '<html lang="ar" dir="rtl">' in html
    assert ">اختبار استماع</h1>" in html


AUTHOR = """
title = "Speech and music"
instructions = "Take your time!"
consent = "I agree."
attention = ["instructed"]
[[questionnaire]]
place = "before"
questions = [
  { name = "age", ask = "How old are you?", kind = "number" },
  { name = "device", ask = "What do you wear?", kind = "choice", choices = ["over-ear (closed)"] },
  { name = "several", ask = "Which ones?", kind = "choices", choices = ["both (really)"] },
  { name = "experience", ask = "Your experience?", kind = "scale", low_label = "none", high_label = "much" },
  { name = "remarks", ask = "Anything else?", kind = "text", optional = true },
]
"""


def test_the_author_s_texts_have_the_direction_of_their_language(study_folder: Path):
    """English in an Arabic page would read ?How old are you; the attribute dir (HTML, 3.2.6.4) isolates it."""
    (study_folder / "session.toml").write_text(f'language = "ar"\n{AUTHOR}', encoding="utf-8")
    visitor = Visitor(create_app(study_folder))
    page = visitor.get("/").text
    pages = page
    visitor.post("/start", data={"token": field(page, "token"), "consent": "yes"})
    for _ in ("volume", "questions"):
        page = visitor.get("/continue").text
        pages += page
        visitor.post(attribute(page, "action")[0], data={"token": field(page, "token")})
    texts = [
        "Speech and music", "Take your time!", "I agree.", "How old are you?", "What do you wear?", "over-ear (closed)",
        "Which ones?", "both (really)", "Your experience?", "1: none", "5: much", "Anything else?",
    ]  # fmt: skip
    assert [text for text in texts if f' dir="auto">{text}<' not in pages] == []


def test_the_scale_of_the_attention_check_rises_to_the_right(study_folder: Path):
    """As the scale of a trial and the documentation say."""
    (study_folder / "session.toml").write_text('language = "ar"\nattention = ["instructed"]\n', encoding="utf-8")
    visitor = Visitor(create_app(study_folder))
    visitor.begin()
    while (page := visitor.get("/continue")).request.path == "/trial":
        visitor.rate(visitor.trial())
    assert page.request.path == "/page/attention"
    scale = page.text.partition('<div class="level" dir="ltr">')[2].partition("</div>")[0]
    assert re.findall("<li>(.*?)</li>", scale)[-1] == catalogue("ar").gettext("Excellent")


@pytest.mark.parametrize(("accept", "end", "space"), [("ja", "。", ""), ("zh-CN,zh;q=0.9", "。", ""), ("de", ".", " ")])
def test_sentences_are_joined_as_the_language_joins_them(study_folder: Path, accept: str, end: str, space: str):
    lead = re.search('<p class="lead">(.*?)</p>', first_page(study_folder, accept))[1]
    first, second = lead.split(end, maxsplit=1)
    assert first
    assert second.startswith(space)
    assert second.lstrip(" ") == second[len(space) :]


def test_the_experimenter_learns_of_texts_that_nobody_reviewed(study_folder: Path):
    from click.testing import CliRunner

    from earmark.mushra_app.cli import study_group

    assert review_note("en") == ""
    (study_folder / "session.toml").write_text('language = "ja"\n')
    result = CliRunner().invoke(study_group, ["check", str(study_folder)])
    assert "Japanese: a machine translated the texts that listeners read" in " ".join(result.output.split())
    page = first_page(study_folder, "ja")
    assert "machine" not in page
