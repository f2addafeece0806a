"""Attention checks: their positions, what passes, and how screening uses them."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from sqlalchemy import update

from earmark.mushra_app.database import attention
from earmark.mushra_app.database.attention import in_band
from earmark.mushra_app.database.store import Store, open_store
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Step, Trial
from earmark.mushra_app.ratings.screening import RULES, screen
from earmark.mushra_app.ratings.table import Ratings
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.study import study as studies
from earmark.mushra_app.study import tones
from earmark.mushra_app.study.pages import Trials, plan
from earmark.mushra_app.web import create_app
from tests.mushra_app.database.sessions import enter
from tests.mushra_app.visitor import Visitor, attribute, field

HONEST = {"hidden-original": 100, "anchor@3.5k": 20, "opus@6": 50, "mp3@64": 70}


@pytest.fixture
def folder(study_folder: Path) -> Path:
    (study_folder / "session.toml").write_text('attention = ["instructed", "repeated"]\n')
    return study_folder


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(studies.load(folder), folder, rule="paper")


def rate(store: Store, key: str, trial: Trial, scores: Mapping[str, int]) -> None:
    full = store.trial(trial.id)
    store.submit(key, trial.key, {one.token: Answer(scores[one.condition]) for one in full.conditions}, 20)


def take_part(store: Store, key: str, *, obeys: bool = True, again: Mapping[str, int] = HONEST) -> None:
    """Rate everything honestly, except the repeated trial, which gets the scores `again`."""
    store.enrol(key)
    while (step := store.listener(key).open_step) is not None:
        trials = {trial.id: trial for trial in store.listener(key).trials}
        if step.trial_id is not None:
            rate(store, key, trials[step.trial_id], again if step.type == "repeat" else HONEST)
        elif step.type == "attention":
            band = step.settings["band"]
            store.complete(key, step.key, {"band": band, "score": 90 - 20 * band, "passed": obeys})
        else:
            store.complete(key, step.key, None)
    store.screen_ended_sessions()


def checks(store: Store) -> dict[str, tuple[bool, str]]:
    with store.reading() as session:
        return {row.check: (row.passed, row.evidence) for row in attention.checks(session).itertuples()}


@pytest.mark.parametrize("score", range(101))
def test_the_bands_are_those_of_the_scale(score: int):
    """BS.1534-3, 5.4: excellent from 80 to 100, down to bad from 0 to 20; the ends belong to both bands."""
    names = [band for band in range(5) if in_band(score, band)]
    assert names == sorted({4 - min(score // 20, 4), 4 - min(max(score - 1, 0) // 20, 4)})


def test_positions_of_the_checks():
    """The instructed check follows any trial but the last. Any item is repeated, after at least one other."""
    positions, bands, repeats = set(), set(), set()
    for _ in range(200):
        steps = list(plan((Trials(attention=("instructed", "repeated")),), "abcd"))
        kinds = [step.type for step in steps]
        positions.add(kinds.index("attention"))
        bands.add(steps[kinds.index("attention")].settings["band"])
        assert sorted(kinds) == ["attention", "repeat", *["trial"] * 4]
        repeats.add("".join(step.item.upper() if step.type == "repeat" else step.item for step in steps if step.item))
    assert positions == {1, 2, 3, 4}
    assert repeats == {"abAcd", "abcAd", "abcdA", "abcBd", "abcdB", "abcdC"}
    assert bands == {0, 1, 3, 4}  # the slider starts in band 2


def test_a_single_trial_is_not_repeated():
    assert [step.type for step in plan((Trials(attention=("repeated",)),), "a")] == ["trial"]


def test_an_attentive_listener_passes(store: Store):
    take_part(store, "ada")
    results = checks(store)
    assert results["repeated"] == (True, "a repeated trial differs by 0.0 points on average")
    assert results["instructed"][0]
    assert store.listener("ada").excluded == ""


def test_a_listener_who_misses_the_instruction_is_dropped_and_replaced(store: Store):
    take_part(store, "ada", obeys=False)
    assert store.listener("ada").excluded.startswith("missed an attention check: asked for ")
    assert "repeated" not in store.listener("ada").excluded
    assert store.status().state == "open"


@pytest.mark.parametrize(("shift", "passes"), [(20, True), (21, False)])
def test_a_repeated_trial_may_differ_by_a_band_on_average(store: Store, shift: int, passes: bool):
    """All four scores are shifted by the same amount, which is therefore the average."""
    moved = {name: score - shift if score > 50 else score + shift for name, score in HONEST.items()}
    take_part(store, "ada", again=moved)
    assert checks(store)["repeated"] == (passes, f"a repeated trial differs by {shift}.0 points on average")
    assert (store.listener("ada").excluded == "") == passes


def test_a_repetition_after_the_audio_changed_is_not_compared(store: Store):
    """The two presentations of an item were different sounds, if its first ratings were retired in between."""
    take_part(store, "ada", again={name: 100 - score for name, score in HONEST.items()})
    assert checks(store)["repeated"][0] is False
    with store.writing() as session:
        session.execute(update(Trial).where(Trial.purpose == "rating").values(retired=1.0))
    assert "repeated" not in checks(store)


def test_a_repeated_trial_adds_no_ratings(store: Store, folder: Path):
    take_part(store, "ada", again=dict.fromkeys(HONEST, 0))
    frame = study_ratings(folder).frame
    assert len(frame) == 3 * 4
    assert frame["score"].min() == 20
    with store.reading() as session:
        positions = [row.position for row in session.query(Trial).filter_by(purpose="repeat")]
    assert positions == [1]


def tones_in(wav: bytes) -> int:
    """Number of runs of 50 ms blocks above -40 dBFS."""
    signal, rate = soundfile.read(io.BytesIO(wav))
    blocks = signal[: signal.size // (rate // 20) * (rate // 20)].reshape(-1, rate // 20)
    loud = np.sqrt((blocks**2).mean(axis=1)) > 0.01
    return int((np.diff(loud.astype(int), prepend=0) == 1).sum())


@pytest.mark.parametrize("band", range(5))
def test_the_band_is_heard_as_a_number_of_tones(band: int):
    """One tone for the worst band, five for the best, and all files are equally long."""
    assert tones_in(tones.wav(band)) == 5 - band
    assert len(tones.wav(band)) == len(tones.wav(0))


def test_the_page_of_an_attention_check_is_the_same_for_every_band(folder: Path):
    visitor = Visitor(create_app(folder))
    visitor.begin()
    while visitor.get("/continue").request.path == "/trial":
        visitor.rate(visitor.trial())
    texts = set()
    for band in range(5):
        with visitor.client.application.extensions["earmark"].store.writing() as session:
            session.query(Step).filter_by(type="attention").one().settings = {"band": band}
        texts.add(visitor.get("/page/attention").text)
    assert len(texts) == 1


def test_the_server_judges_the_answer(folder: Path):
    visitor = Visitor(create_app(folder))
    visitor.begin()
    while visitor.get("/continue").request.path == "/trial":
        visitor.rate(visitor.trial())
    page = visitor.get("/page/attention").text
    wav = visitor.get(attribute(page, "data-audio")[0])
    band = 5 - tones_in(wav.data)
    path, token = attribute(page, "action")[0], field(page, "token")
    for wrong in ("", "x", "101", "-1", "1e1", "٣", 5000 * "0"):
        assert visitor.post(path, data={"token": token, "score": wrong}).status_code == 400
    visitor.post(path, data={"token": token, "score": str(15 + 20 * (4 - band))})
    visitor.post(path, data={"token": token, "score": "0"})  # a second click changes nothing
    passed, evidence = checks(visitor.client.application.extensions["earmark"].store)["instructed"]
    assert passed
    assert evidence.endswith(f"set to {15 + 20 * (4 - band)}")


def test_a_repeated_trial_looks_like_the_others(folder: Path):
    visitor = Visitor(create_app(folder))
    visitor.begin()
    titles = []
    while (page := visitor.get("/continue")).request.path != "/thanks":
        if page.request.path == "/trial":
            titles.append(visitor.trial().title)
            visitor.rate(visitor.trial())
        else:
            data = {"token": field(page.text, "token"), "score": "50"}
            visitor.post(attribute(page.text, "action")[0], data=data)
    assert titles == [f"Trial {number} of 4" for number in (1, 2, 3, 4)]
    assert "You have rated all 4 trials" in page.text


def test_every_page_counts_a_repeated_trial(study_folder: Path):
    """Three items, one of them repeated, are four trials on every page that shows a number."""
    (study_folder / "session.toml").write_text('attention = ["repeated"]\nbreak_after = 1\n')
    visitor = Visitor(create_app(study_folder))
    assert "<strong>4 trials.</strong>" in visitor.get("/").text
    visitor.begin()
    breaks = []
    while (page := visitor.get("/continue")).request.path != "/thanks":
        if page.request.path == "/trial":
            visitor.rate(visitor.trial())
        else:
            breaks.append(re.search(r"\d of \d trials", page.text)[0])
            visitor.go_on(page)
    assert breaks == ["1 of 4 trials", "2 of 4 trials", "3 of 4 trials"]


def test_every_rule_but_none_drops_listeners_who_missed_a_check():
    frame = pd.DataFrame(
        [(name, "i", "ref", 100.0) for name in "AB"], columns=["listener", "item", "condition", "score"]
    )
    missed = pd.DataFrame(
        [("A", "repeated", True, "x"), ("B", "repeated", False, "y"), ("B", "instructed", True, "z"),
         ("A", "headphones", False, "h")],
        columns=["listener", "check", "passed", "evidence"],
    )  # fmt: skip
    ratings = Ratings(frame, {"ref": "hidden reference"}, "test", checks=missed)
    for rule in RULES:
        dropped = screen(ratings, rule).dropped
        expected = [] if rule == "none" else [("B", "missed an attention check: y")]
        assert list(zip(dropped["listener"], dropped["reason"], strict=True)) == expected
    judged = screen(ratings, "paper").listeners
    hidden = "hidden reference below 90 in 0 of 1 rating (0.0 %)"
    assert list(judged["evidence"]) == [f"{hidden}; x", f"{hidden}; y; z"]


def test_a_repetition_is_removed_with_its_trial(make_study, tmp_path: Path):
    """3 items x 1 rating: Bob begins with two while Ada is at the volume page; one is left, and none to repeat."""
    make_study(tmp_path, items=3, annotations=1, trials=2)
    (tmp_path / "session.toml").write_text('attention = ["repeated"]\n')
    store = open_store(studies.load(tmp_path), tmp_path)
    assert sorted(step.type for step in store.enrol("ada").steps) == ["repeat", "trial", "trial", "volume"]
    enter(store, "bob")
    assert len(enter(store, "ada")) == 1
    assert [step.type for step in store.listener("ada").steps] == ["volume", "trial"]
