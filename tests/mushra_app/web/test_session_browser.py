"""The pages around the trials in a real browser: a German session by mouse, small and dark screens, the admin page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.attention import checks
from earmark.mushra_app.database.collected import questionnaire_answers
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Step
from earmark.mushra_app.study import headphone_check
from earmark.mushra_app.study.headphone_check import rounds
from earmark.mushra_app.web import create_app, steps
from tests.mushra_app.browsing import resize, serve

pytestmark = pytest.mark.browser

SESSION = """
language = "de"
title = "Sprache und Musik im Vergleich"
instructions = "Bitte nehmen Sie sich Zeit."
headphone_check = "huggins"
training = ["musical-001"]
break_after = 1
attention = ["instructed"]

[[questionnaire]]
place = "before"
[[questionnaire.questions]]
name = "age"
ask = "Wie alt sind Sie?"
kind = "number"
low = 18
high = 120
[[questionnaire.questions]]
name = "device"
ask = "Womit hören Sie?"
kind = "choice"
choices = ["Kopfhörer, geschlossen", "Kopfhörer, offen", "In den Ohren"]
[[questionnaire.questions]]
name = "experience"
ask = "Wie viel Erfahrung haben Sie mit Hörtests?"
kind = "scale"
low_label = "keine"
high_label = "sehr viel"
[[questionnaire.questions]]
name = "remarks"
ask = "Möchten Sie noch etwas sagen?"
kind = "text"
optional = true
"""


@dataclass
class Person:
    """A person who uses the browser with a mouse."""

    browser: webdriver.Chrome
    app: Flask
    url: str

    def wait(self, selector: str) -> WebElement:
        """The first element that matches, once it is shown."""

        def shown(browser: webdriver.Chrome) -> WebElement | None:
            elements = browser.find_elements(By.CSS_SELECTOR, selector)
            return next((element for element in elements if element.is_displayed()), None)

        return self.patience.until(shown, selector)

    @property
    def patience(self) -> WebDriverWait:
        """Wait at most 20 s, ignoring errors of the driver while pages change."""
        return WebDriverWait(self.browser, 20, 0.02, ignored_exceptions=[WebDriverException])

    def click(self, selector: str) -> None:
        self.wait(selector).click()

    def arrive(self, heading: str) -> None:
        """Wait for the page with this heading."""
        script = "return document.readyState === 'complete' && document.querySelector('h1')?.innerText"
        self.patience.until(lambda browser: browser.execute_script(script) == heading, heading)

    @property
    def store(self) -> Store:
        return self.app.extensions["earmark"].store

    def enter(self) -> None:
        self.browser.get(self.url)
        self.click("[name=consent]")
        self.click("button.primary")

    def answer_questions(self) -> None:
        self.wait("[name=q0]").send_keys("33")
        self.click('[name=q1][value="Kopfhörer, offen"]')
        self.click('[name=q2][value="4"]')
        self.wait("[name=q3]").send_keys("=nein")
        self.click("button.primary")

    def set_volume(self) -> None:
        self.click("#toggle:enabled")
        self.click("#go:enabled")

    def right_answers(self) -> list[int]:
        with self.store.reading() as session:
            step = session.query(Step).filter_by(type="headphones").first()
        return [one.answer for one in rounds(step.settings["secret"], 0)]

    def check_headphones(self) -> None:
        for number, right in enumerate(self.right_answers()):
            self.click(f".round:nth-of-type({number + 1}) button:enabled")
            self.wait(f"[name=answer{number}][value='{right}']:enabled").click()
        self.click("form button.primary")

    def rate_trial(self) -> None:
        self.wait('.trial[data-state="ready"]')
        self.click("#reference")
        for element in self.browser.find_elements(By.CSS_SELECTOR, ".condition"):
            element.find_element(By.CSS_SELECTOR, ".play").click()
            slider = element.find_element(By.CSS_SELECTOR, "input")
            self.patience.until(lambda _, slider=slider: slider.is_enabled())
            slider.click()
        self.click("#next:enabled")

    def attend(self) -> str:
        """Play the tones, and click on the middle of their band."""
        with self.store.reading() as session:
            band = 4 - session.query(Step).filter_by(type="attention").first().settings["band"]
        self.click("#toggle:enabled")
        slider = self.wait("[name=score]")
        across = (band - 2) * slider.size["width"] / 5
        webdriver.ActionChains(self.browser, duration=0).move_to_element_with_offset(
            slider, round(across), 0
        ).click().perform()
        self.click("button.primary")
        return ["Schlecht", "Dürftig", "Ordentlich", "Gut", "Ausgezeichnet"][band]

    @property
    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]


@pytest.fixture
def person(chromium: webdriver.Chrome, make_study, tmp_path: Path) -> Iterator[Person]:
    make_study(tmp_path, trials=2)
    (tmp_path / "session.toml").write_text(SESSION, encoding="utf-8")
    app = create_app(tmp_path)
    resize(chromium, 1280, 800)
    for url in serve(app):
        chromium.get(url)
        chromium.delete_all_cookies()
        chromium.get_log("browser")
        yield Person(chromium, app, url)
        chromium.get("about:blank")
        chromium.delete_all_cookies()
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.fixture
def short_rows(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Rows of the headphone check whose intervals last 0.1 s, or as the test says, instead of 1 s."""
    for name, seconds in (("INTERVAL", getattr(request, "param", 0.1)), ("GAP", 0.05)):
        for module in (headphone_check, steps):
            monkeypatch.setattr(module, name, seconds)
    headphone_check.wav.cache_clear()
    yield
    headphone_check.wav.cache_clear()


def test_a_whole_session_in_german_by_mouse(short_rows: None, person: Person):
    person.browser.get(person.url)
    person.arrive("Sprache und Musik im Vergleich")
    assert person.browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "de"
    assert "Bitte nehmen Sie sich Zeit." in person.wait("main").text
    person.enter()
    person.arrive("Einige Fragen")
    person.answer_questions()
    person.arrive("Lautstärke einstellen")
    person.set_volume()
    person.arrive("Kopfhörertest")
    person.check_headphones()
    person.arrive("Übungsdurchgang")
    assert "Dies ist eine Übung und zählt nicht." in person.wait(".task").text
    assert [band.text for band in person.browser.find_elements(By.CSS_SELECTOR, ".bands span")] == [
        "Ausgezeichnet", "Gut", "Ordentlich", "Dürftig", "Schlecht"
    ]  # fmt: skip
    assert "Now" not in person.wait(".trial").text
    person.rate_trial()
    person.arrive("Durchgang 1 von 2")
    person.rate_trial()
    person.arrive("Eine kurze Prüfung")
    person.attend()
    person.arrive("Zeit für eine Pause")
    assert "1 von 2 Durchgängen ist erledigt" in person.wait(".lead").text
    person.click("button.primary")
    person.arrive("Durchgang 2 von 2")
    person.rate_trial()
    person.arrive("Vielen Dank")
    assert "alle 2 Durchgänge bewertet" in person.wait(".lead").text
    assert person.complaints == []
    assert len(person.store.ratings()) == 2 * 4
    with person.store.reading() as session:
        answers, results = questionnaire_answers(session), checks(session)
    assert dict(zip(answers["question"], answers["answer"], strict=True)) == {
        "age": "33", "device": "Kopfhörer, offen", "experience": "4", "remarks": "=nein"
    }  # fmt: skip
    assert dict(zip(results["check"], results["passed"], strict=True)) == {"headphones": True, "instructed": True}


def test_a_listener_can_stop(person: Person):
    person.enter()
    person.click(".stop summary")
    person.click(".stop button")
    person.arrive("Vielen Dank")
    assert "Sie haben den Hörtest beendet." in person.wait(".lead").text
    assert person.store.status().trials == 2


@pytest.mark.parametrize("short_rows", [0.8], indirect=True)
def test_each_row_of_the_headphone_check_plays_once_in_order_and_ends_by_the_clock(short_rows: None, person: Person):
    """A browser under load reported the end of a sound half a minute late, or never."""
    never = {"source": "AudioBufferSourceNode.prototype.addEventListener = () => {};"}
    script = person.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", never)
    try:
        person.enter()
        person.answer_questions()
        person.set_volume()
        person.click(".round:nth-of-type(1) button:enabled")
        assert not person.wait("[name=answer0]").is_enabled()
        person.wait(".point.sounding")
        person.wait("[name=answer0]:enabled").click()
        buttons = person.browser.find_elements(By.CSS_SELECTOR, ".round button")
        assert [button.is_enabled() for button in buttons] == [False, True, False, False, False, False]
    finally:
        person.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


FITS = """
const { scrollWidth, clientWidth } = document.documentElement;
const small = [...document.querySelectorAll("button, a, summary, .option, .point, .check")]
  .filter((one) => one.offsetParent && one.offsetHeight < 24).map((one) => one.textContent);
return [scrollWidth <= clientWidth, small];
"""


def test_pages_fit_the_screen(person: Person):
    """Nothing is wider than the screen, and touch targets are at least 24 px high (WCAG 2.2, 2.5.8)."""
    ways = {
        "Sprache und Musik im Vergleich": person.enter,
        "Einige Fragen": person.answer_questions,
        "Lautstärke einstellen": person.set_volume,
        "Kopfhörertest": lambda: None,
    }
    for heading, go_on in ways.items():
        person.arrive(heading)
        for width, height in ((1280, 800), (320, 640)):
            resize(person.browser, width, height)
            for scheme in ("light", "dark"):
                media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                person.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
                assert person.browser.execute_script(FITS) == [True, []], (heading, width, scheme)
        go_on()


def test_the_admin_signs_in_pauses_and_exports(person: Person):
    person.enter()
    person.answer_questions()
    password = admin_access.new_password(person.store)
    browser = person.browser
    browser.get(f"{person.url}admin/")
    person.wait("[name=password]").send_keys(password)
    person.click("button.primary")
    person.arrive("opus against mp3")
    next(b for b in browser.find_elements(By.CSS_SELECTOR, ".gate button") if b.text == "Pause").click()
    person.wait('[data-state="paused"]')
    assert person.store.status().state == "paused"
    export = person.wait("[href$='answers.csv']").get_attribute("href")
    fetched = browser.execute_async_script(
        "const done = arguments[1]; fetch(arguments[0]).then((answer) => answer.text()).then(done)", export
    )
    assert any(re.fullmatch("L0001-[0-9a-f]{6},remarks,'=nein", line) for line in fetched.splitlines())
    assert person.complaints == []
