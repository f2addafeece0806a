"""Texts and options of webMUSHRA that are not imported are named, key by key.

The keys are those of webMUSHRA's doc/experimenter.md, and of its pages' code where that reads more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from earmark.mushra_app.building.webmushra_pages import Configuration, read_configuration

UNLIKE_OURS = {
    "test": {
        "bufferSize": 2048, "stopOnErrors": False, "showButtonPreviousPage": True, "remoteService": "service/write.php",
        "language": "nl",
    },
    "generic": {"name": "Welcome"},
    "volume": {"name": "Volume", "content": "Turn it up.", "stimulus": "audio/c1.wav", "defaultVolume": 0.5},
    "consent": {"name": "Consent", "mustConsent": False, "language": "nl"},
    "mushra": {
        "name": "MUSHRA", "showWaveform": False, "enableLooping": False, "strict": False, "randomize": False,
        "showConditionNames": True, "switchBack": True,
    },
    "finish": {
        "name": "Thanks", "content": "Your code is ABC.", "popupContent": "Bye", "showResults": True,
        "writeResults": False, "showErrors": False,
    },
    "question": {"default": 30},
    "answer": {"value": "2", "img": "a.png", "imgSelected": "b.png", "imgHigherResponseSelected": "c.png"},
}  # fmt: skip
LIKE_OURS = {
    "test": {"stopOnErrors": True, "showButtonPreviousPage": False, "language": "de"},
    "consent": {"mustConsent": True},
    "mushra": {"showWaveform": True, "enableLooping": True, "strict": True, "randomize": True,
               "showConditionNames": False, "createAnchor35": True, "createAnchor70": False, "name": None},
    "finish": {"showResults": False, "writeResults": True},
    "question": {"min": 0, "max": 100, "optional": True},
    "answer": {"value": "yes"},
}  # fmt: skip
NAMES = {
    "test": "the test", "generic": "g", "volume": "v", "consent": "c", "mushra": "m", "finish": "page 5",
    "question": "question age", "answer": "question expert",
}  # fmt: skip


def trial(page: str, /, **more: Any) -> dict[str, Any]:
    return {"type": "mushra", "id": page, "reference": "audio/ref.wav", "stimuli": {"C1": "audio/c1.wav"}, **more}


def configuration(folder: Path, pages: list[Any], **more: Any) -> Configuration:
    (folder / "test.yaml").write_text(yaml.safe_dump({"testname": "T", "pages": pages, **more}, sort_keys=False))
    return read_configuration(folder / "test.yaml")


def notes(folder: Path, place: str, **more: Any) -> str:
    """Notes on a configuration with more keys in one place."""
    here = {name: more if name == place else {} for name in NAMES}
    questions = [
        {"type": "number", "name": "age", "label": "Age", **here["question"]},
        {"type": "likert", "name": "expert", "label": "Expert?", "response": [{"label": "Yes", **here["answer"]}]},
    ]
    read = configuration(folder, [
        {"type": "generic", "id": "g", "content": "Hello", **here["generic"]},
        {"type": "volume", "id": "v", **here["volume"]},
        {"type": "consent", "id": "c", "content": "Agree?", **here["consent"]}, trial("m", **here["mushra"]),
        {"type": "finish", "questionnaire": questions, **here["finish"]},
    ], **here["test"])  # fmt: skip
    return "\n".join(read.notes)


@pytest.mark.parametrize(
    ("place", "key", "value"), [(place, *pair) for place, keys in UNLIKE_OURS.items() for pair in keys.items()]
)
def test_every_key_that_is_not_imported_is_named(tmp_path, place, key, value):
    (line,) = (line for line in notes(tmp_path, place, **{key: value}).splitlines() if line.startswith("Texts and op"))
    name = "Thanks" if (place, key) == ("finish", "name") else NAMES[place]
    named = line.removeprefix("Texts and options that are not imported: ").split("; ")
    shown = f"{key} of an answer" if place == "answer" else key
    assert any(one.startswith(f"{name} ({shown}") for one in named), line


@pytest.mark.parametrize("place", LIKE_OURS)
def test_options_that_any_study_of_ours_has_are_not_mentioned(tmp_path, place):
    assert "not imported" not in notes(tmp_path, place, **LIKE_OURS[place])


def test_a_key_that_webmushra_does_not_know_is_named(tmp_path):
    assert "m (colour: red)" in notes(tmp_path, "mushra", colour="red")
    assert "the test (a b: c d)" in notes(tmp_path, "test", **{"a\x1bb": "c\x1bd"})  # safe for a terminal


def test_the_text_of_the_first_trial_ends_the_instructions_and_other_texts_are_named(tmp_path):
    pages = [
        {"type": "generic", "id": "g", "content": "Hello"}, trial("t1", content="Rate the <b>bass</b>."),
        ["random", trial("t2", content="Other"), trial("t3", content="Rate the <b>bass</b>."), trial("t4")],
    ]  # fmt: skip
    read = configuration(tmp_path, pages)
    assert read.session["instructions"] == "Hello\n\nRate the bass."
    assert "The text above the sliders of t1 ends the instructions." in read.notes
    assert "Texts and options that are not imported: t2 (content)." in read.notes
    assert "Items come in random order; webMUSHRA does not shuffle t1." in read.notes


def test_the_text_of_a_shuffled_trial_is_an_instruction_only_if_all_have_it(tmp_path):
    same = configuration(tmp_path, [["random", trial("a", content="Rate."), trial("b", content="Rate.")]])
    assert same.session["instructions"] == "Rate."
    assert not any("not imported" in note or "random order" in note for note in same.notes)
    different = configuration(tmp_path, [["random", trial("a", content="Rate."), trial("b", content="Rate it.")]])
    assert "instructions" not in different.session
    assert "Texts and options that are not imported: a, b (content)." in different.notes


def test_pages_questions_and_entries_left_out_as_a_whole(tmp_path):
    questions = [
        {"type": "checkbox", "name": "z", "label": "Check"}, {"name": "no"}, {"type": "likert", "name": "q"},
        {"type": "text", "name": "a"}, {"type": "text", "name": "a"},
    ]  # fmt: skip
    read = configuration(tmp_path, [
        {"type": "consent", "id": "c1", "content": "Agree?"}, trial("t"), "spare",
        {"type": "consent", "id": "c2", "content": "And this?"}, {"type": "finish", "questionnaire": questions},
    ])  # fmt: skip
    assert read.session["consent"] == "Agree?"
    assert (
        "Skipped what cannot be imported: spare (not a page), c2 (a second page of consent), "
        'z (question: type checkbox), no (question: no type), q (question: kind "choice" needs choices), '
        "a (question: a second one of this name)."
    ) in read.notes


def test_questions_of_two_last_pages_are_all_asked(tmp_path):
    pages = [{"type": "finish", "questionnaire": [{"type": "text", "name": name}]} for name in ("a", "b")]
    (page,) = configuration(tmp_path, [trial("t"), *pages]).session["questionnaire"]
    assert [question["name"] for question in page["questions"]] == ["a", "b"]


def test_pictures_and_links_in_a_text_are_named(tmp_path):
    content = 'See <a href="https://example.org/">this</a><img src="scale.png"><b>now</b>'
    read = configuration(tmp_path, [{"type": "generic", "id": "g", "content": content}, trial("t")])
    assert read.session["instructions"] == "See thisnow"
    assert "Texts and options that are not imported: g (<a>, <img>)." in read.notes
