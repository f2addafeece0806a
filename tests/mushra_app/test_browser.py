"""The listening test in a real browser: sessions by mouse and keyboard, reloads, lost connections, small screens."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flask import Flask
from matplotlib.image import imread as read_png
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import make_server

from mushra_app.store import ratings
from mushra_app.tables import Stimulus
from mushra_app.web import create_app

pytestmark = pytest.mark.browser


class Listener:
    """Somebody in front of the browser, who clicks and presses keys and reads what the page shows."""

    def __init__(self, browser: webdriver.Chrome, app: Flask, url: str) -> None:
        self.browser, self.app, self.url = browser, app, url

    @property
    def hand(self) -> ActionChains:
        return ActionChains(self.browser, duration=0)  # milliseconds that a pointer travels

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, *keys: str) -> None:
        self.hand.send_keys(*keys).perform()

    def wait(self, selector: str) -> WebElement:
        """The first element that matches, once it does and is shown."""

        def shown(browser: webdriver.Chrome) -> WebElement | None:
            found = browser.find_elements(By.CSS_SELECTOR, selector)
            return next((element for element in found if element.is_displayed()), None)

        return WebDriverWait(self.browser, 10, poll_frequency=0.02).until(shown, selector)

    def begin(self) -> None:
        """From the welcome page to the first trial."""
        self.browser.get(self.url)
        self.click("[name=consent]")
        self.click("button.primary")
        self.wait("#toggle:enabled").click()
        self.wait("#go:enabled").click()
        self.wait_for_trial(1)

    def wait_for_trial(self, position: int) -> None:
        WebDriverWait(self.browser, 10, poll_frequency=0.02).until(lambda b: b.title.startswith(f"Trial {position} of"))
        self.wait('.trial[data-state="ready"]')

    def play(self, sound: int) -> None:
        self.sounds[sound - 1].find_element(By.CSS_SELECTOR, ".play").click()
        self.wait(f".condition:nth-child({sound}).playing")

    def click_scale(self, sound: int, score: float) -> None:
        """A click where the scale says `score`; the thumb, 16 px, needs half its length at either end."""
        slider = self.slider(sound)
        width, height = slider.size["width"], slider.size["height"]
        along = (score / 100 - 0.5) * (max(width, height) - 16)
        x, y = (0, -along) if height > width else (along, 0)
        self.hand.move_to_element_with_offset(slider, round(x), round(y)).click().perform()

    def rate_all(self, scores: list[int]) -> None:
        """Play the reference and every sound, and rate these."""
        self.click("#reference")
        for sound, score in enumerate(scores, start=1):
            self.play(sound)
            self.click_scale(sound, score)

    def slider(self, sound: int) -> WebElement:
        return self.sounds[sound - 1].find_element(By.CSS_SELECTOR, "input")

    @property
    def sounds(self) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, ".condition")

    @property
    def shown(self) -> list[str]:
        """The scores as the page writes them; a dash where there is none."""
        return [element.text for element in self.browser.find_elements(By.CSS_SELECTOR, ".score")]

    @property
    def order(self) -> list[str | None]:
        return [element.get_attribute("data-stimulus") for element in self.sounds]

    @property
    def stored(self) -> pd.DataFrame:
        served = self.app.extensions["earmark"]
        return ratings(served.store, served.study)

    def scores_by_token(self) -> dict[tuple[int, str], int]:
        """What the database holds, by position of the trial and condition."""
        return {(row.position, row.condition): row.score for row in self.stored.itertuples()}

    def conditions(self) -> list[str]:
        """What stands behind the sliders from left to right, which only the server knows."""
        with self.app.extensions["earmark"].store.reading() as session:
            return [session.get_one(Stimulus, token).condition for token in self.order]

    def complaints(self) -> list[str]:
        """What the browser logged: script errors, refused resources."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


def serve(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def listener(chromium: webdriver.Chrome, make_study, tmp_path: Path) -> Iterator[Listener]:
    """A listener about to open a study of 4 conditions and 2 trials, in a window of 1280 x 800."""
    make_study(tmp_path, trials=2)
    app = create_app(tmp_path)
    resize(chromium, 1280, 800)
    for url in serve(app):
        chromium.get(url)
        chromium.delete_all_cookies()
        chromium.get_log("browser")
        yield Listener(chromium, app, url)
        chromium.get("about:blank")


def resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def connect(browser: webdriver.Chrome, online: bool) -> None:
    conditions = {"offline": not online, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)


def test_a_whole_session_by_mouse(listener: Listener):
    listener.begin()
    expected = {}
    for position, clicked in ((1, [90, 10, 50, 0]), (2, [100, 35, 36, 72])):
        listener.wait_for_trial(position)
        listener.rate_all(clicked)
        shown = [int(score) for score in listener.shown]
        assert all(abs(a - b) <= 1 for a, b in zip(shown, clicked, strict=True))  # a pixel is a third of a point
        expected |= {(position, name): score for name, score in zip(listener.conditions(), shown, strict=True)}
        listener.click("#next")
    assert "all 2 trials" in listener.wait(".lead").text
    assert "/thanks" in listener.browser.current_url
    assert listener.scores_by_token() == expected
    assert (listener.stored.seconds > 0).all()
    assert listener.complaints() == []


def test_a_whole_session_by_keyboard(listener: Listener):
    """A first arrow puts the slider in the middle; then arrows count 1, Page keys 10, Home and End go to the ends."""
    listener.browser.get(listener.url)
    listener.press(Keys.TAB, Keys.SPACE, Keys.TAB, Keys.ENTER)
    listener.wait("#toggle:enabled")
    listener.press(Keys.TAB, Keys.SPACE)
    listener.wait("#go:enabled")
    listener.press(Keys.TAB, Keys.ENTER)
    strokes = {
        "1": ([Keys.ARROW_UP] * 3, "52"),
        "2": ([Keys.ARROW_DOWN, Keys.PAGE_DOWN, Keys.PAGE_DOWN, Keys.ARROW_LEFT], "29"),
        "3": ([Keys.ARROW_UP, Keys.END], "100"),
        "4": ([Keys.ARROW_RIGHT, Keys.HOME, Keys.ARROW_RIGHT], "1"),
    }
    for position in (1, 2):
        listener.wait_for_trial(position)
        listener.press("r")
        listener.wait('#reference[aria-pressed="true"]')
        for digit, (keys, _) in strokes.items():
            listener.press(digit)
            listener.wait(f".condition:nth-child({digit}).playing")
            listener.press(*keys)
        assert listener.shown == [score for _, score in strokes.values()]
        listener.press(" ")
        listener.wait(".trial:not(.sounding)")
        listener.browser.execute_script("document.querySelector('#next').focus()")
        listener.press(Keys.ENTER)
    listener.wait("[action$=leave]")
    assert sorted(listener.stored.score) == [1, 1, 29, 29, 52, 52, 100, 100]


def test_a_reload_keeps_trial_order_and_sliders(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    listener.click("#next")
    listener.wait_for_trial(2)
    order = listener.order
    listener.play(2)
    listener.click_scale(2, 64)
    listener.find("#comment").send_keys("hollow")
    shown = listener.shown
    listener.browser.refresh()
    listener.wait_for_trial(2)
    assert listener.order == order
    assert listener.shown == shown == ["–", shown[1], "–", "–"]
    assert [sound.get_attribute("class") for sound in listener.sounds].count("condition rated") == 1
    listener.play(2)
    assert listener.find("#comment").get_attribute("value") == "hollow"
    listener.rate_all([10, 20, 30, 40])
    listener.click("#next")
    listener.wait("[action$=leave]")
    assert sorted(listener.stored.comment) == [""] * 7 + ["hollow"]


def test_next_waits_for_every_rating_and_the_reference(listener: Listener):
    listener.begin()
    assert listener.find(".todo").text == "Listen to the reference. Play and rate 1, 2, 3, 4."
    for sound in (1, 2, 3, 4):
        listener.play(sound)
    assert listener.shown == ["–"] * 4  # listening is not rating
    for sound in (1, 3, 4):
        listener.play(sound)
        listener.click_scale(sound, 70)
    assert listener.find(".todo").text == "Listen to the reference. Play and rate 2."
    listener.play(2)
    listener.click_scale(2, 50)  # exactly where an empty slider's value is: still a rating
    assert listener.shown[1] == "50"
    assert not listener.find("#next").is_enabled()
    listener.click("#reference")
    assert listener.wait("[data-todo=done]").text == "All rated. You can still change your ratings."
    assert listener.find("#next").is_enabled()


def test_only_what_plays_can_be_rated(listener: Listener):
    listener.begin()
    assert not any(listener.slider(sound).is_enabled() for sound in (1, 2, 3, 4))
    listener.play(3)
    assert [listener.slider(sound).is_enabled() for sound in (1, 2, 3, 4)] == [False, False, True, False]
    listener.click_scale(1, 90)  # plays it instead
    listener.wait(".condition:nth-child(1).playing")
    assert listener.shown == ["–"] * 4
    listener.press(" ")
    listener.wait(".trial:not(.sounding)")
    listener.press(Keys.ARROW_UP)
    assert listener.shown == ["–"] * 4
    assert not any(listener.slider(sound).is_enabled() for sound in (1, 2, 3, 4))


def test_a_slider_is_empty_until_it_is_moved(listener: Listener):
    """Of the accent colour is the line of the rail, 4 px wide, and once rated the thumb, 34 px less its border."""
    listener.begin()
    listener.play(1)

    def widest_row() -> int:
        image = read_png(BytesIO(listener.slider(1).screenshot_as_png))[..., :3]
        return int((np.abs(image * 255 - (20, 99, 109)).max(axis=2) < 2).sum(axis=1).max())

    assert widest_row() == 4
    assert listener.slider(1).get_attribute("aria-valuetext") == "not rated"
    listener.click_scale(1, 30)
    assert widest_row() == 30
    assert listener.slider(1).get_attribute("aria-valuetext") == listener.shown[0]
    assert listener.slider(2).get_attribute("aria-valuetext") == "not rated"


def test_double_clicks_do_no_harm(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    play = listener.sounds[0].find_element(By.CSS_SELECTOR, ".play")
    listener.hand.double_click(play).perform()
    assert listener.wait(".now b").text == "1"  # and not paused by the second click
    listener.hand.double_click(listener.find("#next")).perform()
    listener.wait_for_trial(2)
    assert listener.stored.position.tolist() == [1] * 4


def test_a_lost_connection_costs_no_rating(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    connect(listener.browser, online=False)
    try:
        listener.click("#next")
        assert "No connection" in listener.wait("[data-notice=unsent]").text
        assert listener.stored.empty
        listener.press("2", " ", Keys.ARROW_UP)  # what is being sent cannot change any more
        assert not listener.find(".play").is_enabled()
        assert listener.find(".now").text == "Paused"
    finally:
        connect(listener.browser, online=True)
    listener.wait_for_trial(2)
    assert sorted(listener.stored.position) == [1] * 4


def test_unsent_ratings_survive_a_closed_page(listener: Listener, monkeypatch: pytest.MonkeyPatch):
    """The server fails while Next is pressed, and the page is closed; when it opens again it sends by itself."""
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    rate = listener.app.view_functions["listener.rate"]
    monkeypatch.setitem(listener.app.view_functions, "listener.rate", lambda key: ("<h1>Bad gateway</h1>", 502))
    listener.click("#next")
    listener.wait("[data-notice=unsent]")
    listener.browser.get("about:blank")
    monkeypatch.setitem(listener.app.view_functions, "listener.rate", rate)
    assert listener.stored.empty
    listener.browser.get(listener.url)
    listener.wait_for_trial(2)
    assert sorted(listener.stored.position) == [1] * 4


def test_a_second_tab_is_told_that_the_trial_is_done(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    first = listener.browser.current_window_handle
    listener.browser.switch_to.new_window("tab")
    try:
        resize(listener.browser, 1280, 800)
        listener.browser.get(f"{listener.url}trial")
        listener.wait_for_trial(1)
        listener.play(1)
        listener.click_scale(1, 5)
        listener.click("#next")
        listener.wait_for_trial(2)
    finally:
        listener.browser.close()
        listener.browser.switch_to.window(first)
    listener.click("#next")
    listener.wait("[data-notice=elsewhere] a").click()
    listener.wait_for_trial(2)
    assert sorted(listener.stored.score)[0] <= 6


def test_space_pauses_and_goes_on_where_it_stopped(listener: Listener):
    listener.begin()
    listener.play(2)
    listener.press(" ")
    listener.wait(".trial:not(.sounding)")
    assert listener.find(".now").text == "Paused"
    listener.press(" ")
    listener.wait(".condition:nth-child(2).playing")
    assert listener.find(".now").text == "Now: sound 2"


def test_a_storm_of_keys_ends_at_the_last(listener: Listener):
    listener.begin()
    listener.press(*"1234r3 12 4r" * 10, "2")
    assert listener.find(".now").text == "Now: sound 2"
    assert listener.complaints() == []


def test_typing_a_comment_plays_nothing(listener: Listener):
    listener.begin()
    listener.play(2)
    listener.find("#comment").send_keys("3 r clicks")
    assert listener.find(".now").text == "Now: sound 2"
    assert listener.find("#comment").get_attribute("value") == "3 r clicks"


@pytest.mark.parametrize(("width", "height", "scrolls"), [(1280, 800, False), (320, 640, True)])
def test_eight_conditions_fit(listener: Listener, width: int, height: int, scrolls: bool):
    """At 1280 x 800 nothing scrolls; at 320 the page is longer than the screen but never wider. Controls stay big."""
    listener.begin()
    listener.browser.execute_script(
        "const sounds = document.querySelector('.conditions');"
        "while (sounds.children.length < 8) sounds.append(sounds.lastElementChild.cloneNode(true))"
    )
    resize(listener.browser, width, height)
    page = "const root = document.documentElement; return [root.scrollWidth, root.scrollHeight]"
    scroll_width, scroll_height = listener.browser.execute_script(page)
    assert scroll_width == width
    assert (scroll_height > height) == scrolls
    for selector in ("#reference", "#toggle", "#restart", ".play", "#next"):
        size = listener.find(selector).size
        assert min(size["width"], size["height"]) >= 44, selector
    for sound in (1, 8):
        size = listener.slider(sound).size
        assert max(size["width"], size["height"]) >= 160
        assert min(size["width"], size["height"]) >= 44


def test_a_phone_can_rate(listener: Listener):
    resize(listener.browser, 320, 640)
    listener.begin()
    listener.rate_all([95, 5, 50, 75])
    shown = [int(score) for score in listener.shown]
    assert all(abs(a - b) <= 1 for a, b in zip(shown, [95, 5, 50, 75], strict=True))
    listener.click("#next")
    listener.wait_for_trial(2)
    assert sorted(listener.stored.score) == sorted(shown)


def test_nothing_is_fetched_from_elsewhere(listener: Listener):
    listener.begin()
    names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    fetched = listener.browser.execute_script(names)
    assert len(fetched) >= 5 + 5  # stimuli, and style sheet with scripts
    assert all(url.startswith(listener.url) for url in fetched)
    assert not re.search("opus|mp3|anchor|hidden|musical|speech", " ".join(fetched))
