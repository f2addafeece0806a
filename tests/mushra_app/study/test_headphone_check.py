"""Headphone checks: the signals have the published properties, and the published pass marks apply."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.mushra_app.analysis.flags import flag
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Step
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.study import headphone_check
from earmark.mushra_app.study.headphone_check import Round, rounds
from earmark.mushra_app.web import create_app
from tests.mushra_app.visitor import Visitor, attribute, field

RATE = 48_000


def played(method: str, one: Round) -> list[np.ndarray]:
    """The three intervals of a trial, each [left and right, 1 s], with silence between them."""
    samples, rate = soundfile.read(BytesIO(headphone_check.wav(method, one)), dtype="float64")
    assert (rate, samples.shape) == (RATE, (4 * RATE, 2))  # three of 1000 ms and two gaps of 500 ms
    starts = [round(start * RATE) for start in (0, 1.5, 3)]
    for start in starts[1:]:
        assert not samples[start - RATE // 2 : start].any()
    return [samples[start : start + RATE].T for start in starts]


def decibels(ratio: float) -> float:
    return 20 * np.log10(ratio)


def rms(signal: np.ndarray) -> float:
    return float(np.sqrt(np.mean(signal**2)))


# Huggins pitch: Milne et al. 2020, "Stimuli and procedure"


@pytest.mark.parametrize("answer", [1, 2, 3])
def test_one_noise_has_a_band_with_its_phase_shifted_by_180_degrees(answer: int):
    """Within 6 % of 600 Hz, from 564 to 636 Hz, the ears differ by pi; elsewhere they are equal."""
    for interval, (left, right) in enumerate(played("huggins", Round(answer, 1, noise=3)), start=1):
        cross = np.fft.rfft(left) * np.conj(np.fft.rfft(right))
        frequencies = np.fft.rfftfreq(RATE, 1 / RATE)
        loud = np.abs(cross) > 0.05 * np.median(np.abs(cross))  # in weak bins, rounding to 16 bits dominates the phase
        band = (frequencies >= 564) & (frequencies <= 636)
        differs = np.abs(np.angle(cross)) > np.pi / 2
        assert differs[band & loud].all() == (interval == answer)
        assert not differs[~band & loud].any()
        assert band.sum() == 73


def test_no_ear_alone_hears_the_tone():
    """The magnitudes in the band are equal in both ears, within the rounding to 16 bits."""
    left, right = played("huggins", Round(2, 1, noise=0))[1]
    magnitudes = np.abs(np.fft.rfft(left)), np.abs(np.fft.rfft(right))
    assert np.abs(magnitudes[0] - magnitudes[1]).max() < 0.01 * np.median(magnitudes[0])


def test_noises_are_white_gaussian_and_different():
    """Equal power in eight bands to Nyquist, within 0.6 dB (3 000 bins each: s.d. 0.08 dB); kurtosis 3."""
    noises = [interval[0] for noise in range(6) for interval in played("huggins", Round(1, 2, noise))]
    for noise in noises:
        power = [np.mean(np.abs(part) ** 2) for part in np.array_split(np.fft.rfft(noise)[1:], 8)]
        assert 10 * np.log10(max(power) / min(power)) < 0.6
        assert np.mean(noise**4) / np.mean(noise**2) ** 2 == pytest.approx(3, abs=0.15)
        assert decibels(rms(noise)) == pytest.approx(-26, abs=0.1)
    correlations = np.corrcoef(noises)[~np.eye(len(noises), dtype=bool)]
    assert np.abs(correlations).max() < 0.03


# Antiphase tones: Woods et al. 2017, "Screening task"


@pytest.mark.parametrize(("answer", "other"), [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)])
def test_one_tone_is_6_db_softer_and_another_in_antiphase(answer: int, other: int):
    intervals = played("antiphase", Round(answer, other, noise=0))
    (standard,) = {1, 2, 3} - {answer, other}
    full = rms(intervals[standard - 1][0])
    for interval, (left, right) in enumerate(intervals, start=1):
        assert decibels(rms(left) / full) == pytest.approx(-6 if interval == answer else 0, abs=0.01)
        np.testing.assert_allclose(right, -left if interval == other else left, atol=2**-15)  # a step of 16 bits
        assert np.argmax(np.abs(np.fft.rfft(left))) == 200  # Hz, as an interval has 1 s


def test_tones_rise_and_fall_within_100_ms():
    """The envelope, from the analytic tone: 0 at the ends, half after 50 ms (raised cosine), 1 from 100 ms."""
    left = played("antiphase", Round(2, 3, noise=0))[0][0]
    time = np.arange(RATE) / RATE
    period = RATE // 200
    analytic = 2 * left * np.exp(-2j * np.pi * 200 * time)
    envelope = np.abs(np.convolve(analytic, np.ones(period) / period, mode="same"))
    full = envelope[RATE // 2]
    for seconds, share in [(0.05, 0.5), (0.11, 1), (0.5, 1), (0.89, 1), (0.95, 0.5)]:
        assert envelope[round(seconds * RATE)] / full == pytest.approx(share, abs=0.01)
    assert np.abs(left[:48]).max() < 0.002 * full


# Rounds


def test_attempts_are_reproducible_and_differ():
    first = rounds("secret", 0)
    assert first == rounds("secret", 0)
    assert len(first) == 6
    others = [[one.answer for one in rounds(str(secret), attempt)] for secret in range(40) for attempt in (0, 1)]
    assert len({tuple(answers) for answers in others}) > 70
    counts = np.bincount(np.ravel(others), minlength=4)[1:]
    assert counts.min() > 120  # of 480 in thirds; 160 - 4 s.d.
    assert all({one.answer, one.other} < {1, 2, 3} and one.answer != one.other for one in first)


# In a session


def open_check(folder: Path, text: str) -> Visitor:
    """A visitor at the headphone check, which follows the volume page."""
    (folder / "session.toml").write_text(text)
    visitor = Visitor(create_app(folder))
    assert visitor.begin().request.path == "/page/headphones"
    return visitor


def store_of(visitor: Visitor) -> Store:
    return visitor.client.application.extensions["earmark"].store


def answers_of(visitor: Visitor) -> list[int]:
    """Correct answers, which only the server knows."""
    with store_of(visitor).reading() as session:
        step = session.query(Step).filter_by(type="headphones").first()
    attempt = len(step.answer["right"]) if step.answer else 0
    return [one.answer for one in rounds(step.settings["secret"], attempt)]


def answer(visitor: Visitor, wrong: int):
    """Give all answers, `wrong` of them wrong."""
    html = visitor.get("/page/headphones").text
    given = {f"answer{k}": right % 3 + 1 if k < wrong else right for k, right in enumerate(answers_of(visitor))}
    data = {"token": field(html, "token"), "attempt": field(html, "attempt"), **given}
    return visitor.post(attribute(html, "action")[0], data=data)


@pytest.mark.parametrize(("method", "wrong", "passes"), [("huggins", 0, True), ("huggins", 1, False),
                                                         ("antiphase", 1, True), ("antiphase", 2, False)])  # fmt: skip
def test_published_pass_marks(study_folder: Path, method: str, wrong: int, passes: bool):
    """Milne et al. 2020: 6 of 6. Woods et al. 2017: 5 of 6."""
    visitor = open_check(study_folder, f'headphone_check = "{method}"\nheadphone_attempts = 1\n')
    assert answer(visitor, wrong).request.path == ("/trial" if passes else "/thanks")


def test_a_listener_who_fails_can_try_again_and_is_then_turned_away(study_folder: Path):
    visitor = open_check(study_folder, 'headphone_check = "huggins"\nheadphone_attempts = 2\n')
    before = answers_of(visitor)
    again = answer(visitor, wrong=3)
    assert again.request.path == "/page/headphones"
    assert "try once more" in again.text
    assert answers_of(visitor) != before or field(again.text, "attempt") == "1"
    page = answer(visitor, wrong=3)
    assert "you cannot go on with this listening test: the headphone check was not passed" in page.text
    listener = store_of(visitor).listener(_key(visitor))
    assert (listener.state, listener.excluded_by) == ("turned away", "page")


def test_the_second_attempt_can_pass(study_folder: Path):
    visitor = open_check(study_folder, 'headphone_check = "antiphase"\n')
    answer(visitor, wrong=6)
    assert answer(visitor, wrong=0).request.path == "/trial"


def test_prolific_gets_the_screen_out_code(study_folder: Path):
    (study_folder / "session.toml").write_text('headphone_check = "huggins"\nheadphone_attempts = 1\n')
    visitor = Visitor(create_app(study_folder))
    store = store_of(visitor)
    store.crowd = store.crowd.__class__(prolific_completion="DONE", prolific_screen_out="OUT")
    visitor.begin("/?PROLIFIC_PID=a&STUDY_ID=b&SESSION_ID=c")
    assert "complete?cc=OUT" in answer(visitor, wrong=6).text


def test_a_study_can_flag_the_failure_instead(study_folder: Path):
    visitor = open_check(
        study_folder, 'headphone_check = "huggins"\nheadphone_attempts = 1\nheadphone_failed = "flag"\n'
    )
    assert answer(visitor, wrong=2).request.path == "/trial"
    visitor.rate(visitor.trial())
    ratings = study_ratings(study_folder)
    row, timing = ratings.checks.to_dict("records")
    label = row["listener"]
    assert timing["check"] == "timing"  # this visitor rated without fetching the audio
    assert row == {"listener": label, "check": "headphones", "passed": False,
                   "evidence": "huggins: 4 of 6 right, 6 needed"}  # fmt: skip
    assert flag(ratings)[label].startswith("headphone check huggins: 4 of 6 right, 6 needed")


def test_a_double_click_counts_once(study_folder: Path):
    visitor = open_check(study_folder, 'headphone_check = "huggins"\nheadphone_attempts = 3\n')
    html = visitor.get("/page/headphones").text
    data = {"token": field(html, "token"), "attempt": "0", **{f"answer{k}": "1" for k in range(6)}}
    for _ in range(3):
        page = visitor.post(attribute(html, "action")[0], data=data)
    assert field(page.text, "attempt") == "1"


@pytest.mark.parametrize("change", [{"answer3": "4"}, {"answer3": ""}, {"answer3": "x"}])
def test_incomplete_answers_are_refused(study_folder: Path, change: dict[str, str]):
    visitor = open_check(study_folder, 'headphone_check = "huggins"\n')
    html = visitor.get("/page/headphones").text
    data = {"token": field(html, "token"), "attempt": "0", **{f"answer{k}": "1" for k in range(6)}, **change}
    page = visitor.post(attribute(html, "action")[0], data=data)
    assert page.status_code == 400
    assert "Please answer every question." in page.text
    assert field(page.text, "attempt") == "0"


def test_only_the_audio_reveals_the_answer(study_folder: Path):
    """Files have equal sizes and headers, the page has no secret, and other listeners and attempts are closed."""
    visitor = open_check(study_folder, 'headphone_check = "antiphase"\nheadphone_attempts = 3\n')
    html = visitor.get("/page/headphones").text
    urls = attribute(html, "data-audio")
    responses = [visitor.get(url) for url in urls]
    assert [one.status_code for one in responses] == [200] * 6
    assert len({len(one.data) for one in responses}) == 1
    headers = [{name: value for name, value in one.headers if name != "Date"} for one in responses]
    assert all(one == headers[0] for one in headers)
    with store_of(visitor).reading() as session:
        secret = session.query(Step).filter_by(type="headphones").first().settings["secret"]
    assert secret not in html
    assert not re.search("antiphase|huggins", html + "".join(urls))
    stranger = Visitor(visitor.client.application)
    stranger.begin()
    assert {stranger.get(url).status_code for url in urls} == {404}
    assert visitor.get(urls[0].replace("/0/0.wav", "/1/0.wav")).status_code == 404
    assert visitor.get(urls[5].replace("/0/5.wav", "/0/6.wav")).status_code == 404
    answer(visitor, wrong=6)
    assert visitor.get(urls[0]).status_code == 404


def test_failing_the_headphone_check_ends_all_leases(study_folder: Path):
    visitor = open_check(study_folder, 'headphone_check = "huggins"\nheadphone_attempts = 1\n')
    answer(visitor, wrong=6)
    assert visitor.get("/trial").request.path == "/thanks"
    assert store_of(visitor).status().trials == 3  # nothing is leased any more


def test_a_listener_who_was_turned_away_cannot_start_again(study_folder: Path):
    """With an open link, where only the cookie identifies the listener."""
    visitor = open_check(study_folder, 'headphone_check = "huggins"\nheadphone_attempts = 1\n')
    token = field(visitor.get("/page/headphones").text, "token")
    assert 'action="/leave"' not in answer(visitor, wrong=6).text
    assert visitor.post("/leave", data={"token": token}).request.path == "/thanks"
    assert visitor.get("/").request.path == "/thanks"


@pytest.mark.parametrize("reason", ["", "excluded by the experimenter"])
def test_the_experimenter_s_reason_is_not_shown_to_the_listener(study_folder: Path, reason: str):
    visitor = open_check(study_folder, 'language = "de"\nheadphone_check = "huggins"\nheadphone_attempts = 1\n')
    assert "nicht fortsetzen: der Kopfhörertest" in answer(visitor, wrong=6).text
    store_of(visitor).exclude(1, reason)
    assert re.findall('class="lead">(.*)</p>', visitor.get("/thanks").text) == [
        "Leider können Sie diesen Hörtest nicht fortsetzen."
    ]


def _key(visitor: Visitor) -> str:
    with visitor.client.session_transaction() as session:
        return session["listener"]
