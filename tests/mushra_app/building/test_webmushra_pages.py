"""webMUSHRA configurations as yaml.js reads them: its examples in small, and what cannot be imported, by name.

The shapes are those of the configurations default, consent, spatial and complete that webMUSHRA brings along; their
texts are ours.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.codec import audio
from earmark.codec.errors import UserError
from earmark.mushra_app.building import webmushra_yaml
from earmark.mushra_app.building.plain_text import plain_text
from earmark.mushra_app.building.preflight import check_study
from earmark.mushra_app.building.stimulus_faults import StimulusError
from earmark.mushra_app.building.webmushra_pages import Configuration, read_configuration
from earmark.mushra_app.building.webmushra_study import import_webmushra
from earmark.mushra_app.web import create_app
from tests.mushra_app.visitor import Visitor

RATE = 16_000
TRIAL = """
    - type: mushra
      id: {id}
      content: Rate the Basic Audio Quality. Reminder: it is a single attribute.<br/>100 is best.
      reference: audio/ref.wav
      createAnchor35: {anchors}
      createAnchor70: {anchors}
      stimuli:
          C1: audio/c1.wav
          C2: audio/c2.wav
"""
RANDOM = """
    -
          - random
          - type: mushra
            id: {first}
            reference: audio/ref.wav
            stimuli:
                C1: audio/c1.wav
                C2: audio/c2.wav
          - type: mushra
            id: {second}
            reference: audio/ref.wav
            stimuli:
                C1: audio/c1.wav
                C2: audio/c2.wav
"""
FINISH = """
    - type: finish
      name: Thank you
      content: Thank you for attending!
      questionnaire:
          - type: text
            label: eMail
            name: email
            optional: true
          - type: number
            label: Age: in years
            name: age
            min: 0
            max: 100
            default: 30
          - type: likert
            name: expert
            label: Are you an expert?
            response:
             - value: no
               label: No
             - value: yes
               label: Yes
          - type: slider
            name: mood
"""
HEAD = "testname: A test: of codecs\ntestId: default_example\nremoteService: service/write.php\n\npages:\n"
CONSENT = """
    - type: generic
      id: first_page
      name: Welcome
      content: <p>Welcome!</p><p>This test has: <ul><li>speech</li><li>music &amp; noise</li></ul></p>
    - type: consent
      id: consent_page
      mustConsent: true
      content: <p>We store your answers.<br>Do you agree?</p>
"""
SPATIAL = """
    - type: spatial
      id : localization
      content: Push the 'NEXT'-Button to start with this example: now!
      roomMeasurements: [600, 240, 500] # width, height, length
      responses:
        - type: lev
          color: 0xbb0000
          position: [0,50,0]
        # - type: hwd
"""


def read(folder: Path, text: str) -> Configuration:
    (folder / "test.yaml").write_text(text, encoding="utf-8")
    return read_configuration(folder / "test.yaml")


def write_audio(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("ref", "c1", "c2", "c3"):
        audio.write(folder / f"audio/{name}.wav", 0.1 * rng.standard_normal((1, RATE)).astype(np.float32), RATE)


def test_default(tmp_path):
    text = HEAD + TRIAL.format(id="trial1", anchors="false") + RANDOM.format(first="a", second="b") + FINISH
    configuration = read(tmp_path, text)
    assert configuration.name == "A test: of codecs"
    assert [page.id for page in configuration.pages] == ["trial1", "a", "b"]
    assert [dict(page.stimuli) for page in configuration.pages] == 3 * [
        {"reference": "audio/ref.wav", "C1": "audio/c1.wav", "C2": "audio/c2.wav"}
    ]
    assert configuration.trials is None
    (page,) = configuration.session["questionnaire"]
    assert page == {
        "place": "after",
        "questions": [
            {"name": "email", "ask": "eMail", "kind": "text", "optional": True},
            {"name": "age", "ask": "Age: in years", "kind": "number", "low": 0.0, "high": 100.0},
            {"name": "expert", "ask": "Are you an expert?", "kind": "choice", "choices": ["No", "Yes"]},
        ],
    }
    (note,) = [note for note in configuration.notes if "Skipped" in note]
    assert note == "Skipped what cannot be imported: mood (question: type slider)."


def test_consent(tmp_path):
    """The first trial has anchors, the random ones have none: items differ in their conditions."""
    write_audio(tmp_path)
    text = HEAD + CONSENT + TRIAL.format(id="trial1", anchors="true") + RANDOM.format(first="a", second="b") + FINISH
    (tmp_path / "test.yaml").write_text(text, encoding="utf-8")
    imported = import_webmushra(tmp_path / "test.yaml", tmp_path / "study", annotations=1)
    study = imported.study
    assert study.texts.title == "A test: of codecs"
    assert study.texts.instructions == (
        "Welcome!\n\nThis test has:\n\n- speech\n- music & noise\n\n"
        "Rate the Basic Audio Quality. Reminder: it is a single attribute.\n100 is best."
    )
    assert study.texts.consent == "We store your answers.\nDo you agree?"
    assert [set(item.stimuli) for item in study.items] == [
        {"reference", "C1", "C2", "anchor35", "anchor70"}, {"reference", "C1", "C2"}, {"reference", "C1", "C2"}
    ]  # fmt: skip
    assert (
        "Items differ in their conditions: a has no anchor35, anchor70; b has no anchor35, anchor70." in imported.notes
    )
    result = check_study(study, tmp_path / "study")
    assert result.with_status("fail") == []
    assert [one.evidence for one in result.with_status("warn") if one.check == "conditions"] == [
        "a has no anchor35; a has no anchor70; b has no anchor35 (and 1 more)"
    ]


def test_spatial(tmp_path):
    """It has no MUSHRA page, so it is refused, by the names of its pages; it is read, though YAML forbids its texts."""
    with pytest.raises(UserError, match=r"can be imported: localization \(spatial\); only MUSHRA"):
        read(tmp_path, HEAD + SPATIAL)
    assert webmushra_yaml.read(tmp_path / "test.yaml")["pages"][0] == {
        "type": "spatial", "id": "localization", "content": "Push the 'NEXT'-Button to start with this example: now!",
        "roomMeasurements": ["600", "240", "500"], "responses": [
            {"type": "lev", "color": "0xbb0000", "position": ["0", "50", "0"]},
        ],
    }  # fmt: skip


def test_complete(tmp_path):
    """Other methods, nested random lists, a stimulus that is the reference, too many conditions, texts in between."""
    many = "\n".join(f"          C{number}: audio/c{number}.wav" for number in range(3, 13))
    configuration = read(
        tmp_path,
        HEAD + CONSENT + """
    - type: volume
      id: vol
      stimulus: audio/c1.wav
    -
     - random
     -
      - type: generic
        id: bs1116_instructions
        content: The next page is another method.
      - type: bs1116
        id: bs1116_nowav
        reference: audio/ref.wav
        stimuli:
         C1: audio/c1.wav
     -
      - type: paired_comparison
        id: AB_noloop
        unforced:
        reference: audio/ref.wav
""" + TRIAL.format(id="plain", anchors="false").replace("C1: audio/c1", "C1: audio/ref")
        + TRIAL.format(id="many", anchors="true") + many + TRIAL.format(id="plain", anchors="true") + FINISH,
    )  # fmt: skip
    assert [page.id for page in configuration.pages] == ["plain", "plain-2"]
    assert configuration.session["instructions"].startswith("Welcome!")
    notes = "\n".join(configuration.notes)
    assert "A second page has the id plain; it is called plain-2." in notes
    for name in (
        "bs1116_instructions (a text after the first trial)", "bs1116_nowav (bs1116)", "AB_noloop (paired_comparison)",
        "many (15 conditions; a trial has at most 12, BS.1534-3)", "mood (question",
    ):  # fmt: skip
        assert name in notes
    assert "the reference itself, already hidden in every trial: C1." in notes


def test_a_random_subset_sets_the_trials_of_a_listener(tmp_path):
    """One page for everybody, and one of two."""
    text = HEAD + TRIAL.format(id="t", anchors="false") + RANDOM.format(first="a", second="b")
    configuration = read(tmp_path, text.replace("- random\n", "- random\n          - 1\n"))
    assert [page.id for page in configuration.pages] == ["t", "a", "b"]
    assert configuration.trials == 2


def test_pages_with_faulty_audio_can_be_skipped(tmp_path):
    write_audio(tmp_path)
    text = HEAD + TRIAL.format(id="good", anchors="false") + TRIAL.format(id="bad", anchors="false").replace("c2", "c9")
    (tmp_path / "test.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StimulusError, match=r"page bad: audio/c9\.wav"):
        import_webmushra(tmp_path / "test.yaml", tmp_path / "study")
    imported = import_webmushra(tmp_path / "test.yaml", tmp_path / "study", keep_going=True)
    assert [item.id for item in imported.study.items] == ["good"]
    assert len(imported.faults) == 1


def test_items_of_different_conditions_are_rated(tmp_path):
    """A listener rates three conditions of one item and four of the other."""
    write_audio(tmp_path)
    text = (
        HEAD
        + TRIAL.format(id="a", anchors="false")
        + TRIAL.format(id="b", anchors="false")
        + "          C3: audio/c3.wav"
    )
    (tmp_path / "test.yaml").write_text(text, encoding="utf-8")
    import_webmushra(tmp_path / "test.yaml", tmp_path / "study", annotations=1)
    app = create_app(tmp_path / "study")
    visitor = Visitor(app)
    visitor.begin()
    for _ in range(2):
        visitor.rate(visitor.trial())
    rated = app.extensions["earmark"].store.ratings()
    assert {item: set(part.condition) for item, part in rated.groupby("item")} == {
        "a": {"reference", "C1", "C2"}, "b": {"reference", "C1", "C2", "C3"},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("key: a: b", "a: b"),
        ("key: it's: so # and a remark", "it's: so"),
        ("key: @home: yes", "@home: yes"),
        ("key: 'quoted: text'", "quoted: text"),
        ("key: http://example.org/a?b: c", "http://example.org/a?b: c"),
        ("key: |\n  kept: as: it is\n  here", "kept: as: it is\nhere"),
        ("key: first: one\nkey: second", "first: one"),  # yaml.js: the first of equal keys counts
        ("base: &b {key: x: y, z: 1}\n", None),
    ],
)  # fmt: skip
def test_values_that_only_yaml_js_reads(tmp_path, line, value):
    (tmp_path / "test.yaml").write_text(f"pages: []\nother: c: d\n{line}\n", encoding="utf-8")
    if value is None:
        with pytest.raises(UserError, match="not YAML"):
            webmushra_yaml.read(tmp_path / "test.yaml")
    else:
        data = webmushra_yaml.read(tmp_path / "test.yaml")
        assert data["other"] == "c: d"
        assert data["key"].strip() == value


def test_merged_mappings(tmp_path):
    (tmp_path / "test.yaml").write_text(
        "pages: []\nbase: &base\n  a: 1\n  b: 2\nown:\n  <<: *base\n  b: 3\n", encoding="utf-8"
    )
    assert webmushra_yaml.read(tmp_path / "test.yaml")["own"] == {"a": "1", "b": "3"}


def test_plain_text():
    html = "<h1>Title</h1>One<br>two<script>alert('no')</script>   three &lt;b&gt;<p>Four</p><p>Five"
    assert plain_text(html) == "Title\n\nOne\ntwo three <b>\n\nFour\n\nFive"
