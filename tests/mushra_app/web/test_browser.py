"""The listening test in a real browser: whole sessions by mouse and keyboard, reloads, lost connections, two tabs."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from earmark.mushra_app.web import create_app
from tests.mushra_app.browsing import Listener, network, resize, serve

pytestmark = pytest.mark.browser


def test_a_whole_session_by_mouse(listener: Listener):
    listener.begin()
    expected = {}
    for position, clicked in ((1, [90, 10, 50, 0]), (2, [100, 35, 36, 72])):
        listener.wait_for_trial(position)
        listener.rate_all(clicked)
        shown = [int(score) for score in listener.shown]
        assert all(abs(a - b) <= 1 for a, b in zip(shown, clicked, strict=True))  # one pixel is a third of a point
        expected |= {(position, name): score for name, score in zip(listener.conditions(), shown, strict=True)}
        listener.click("#next")
    assert "all 2 trials" in listener.wait(".lead").text
    assert "/thanks" in listener.browser.current_url
    assert listener.scores_by_condition() == expected
    assert (listener.stored.seconds > 0).all()
    assert listener.complaints() == []


def test_a_whole_session_by_keyboard(listener: Listener):
    """The first arrow puts the slider in the middle. Arrows move it by 1, Page keys by 10, Home and End to the ends."""
    listener.browser.get(listener.url)
    listener.press(Keys.TAB, Keys.SPACE, Keys.TAB, Keys.ENTER)
    listener.wait("#toggle:enabled")
    listener.press(Keys.TAB, Keys.SPACE)
    listener.wait("#go:enabled")
    listener.press(Keys.TAB, Keys.ENTER)
    strokes = {
        "1": ([Keys.ARROW_UP] * 3, "52"),
        "2": ([Keys.ARROW_DOWN, Keys.PAGE_DOWN, Keys.PAGE_DOWN, Keys.ARROW_LEFT], "29"),
        "3": ([Keys.END], "100"),
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
        listener.tab_to("#next")
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
    assert listener.shown == shown == ["", shown[1], "", ""]
    assert [stimulus.get_attribute("class") for stimulus in listener.stimuli].count("condition rated") == 1
    listener.play(2)
    assert listener.find("#comment").get_attribute("value") == "hollow"
    listener.rate_all([10, 20, 30, 40])
    listener.click("#next")
    listener.wait("[action$=leave]")
    assert sorted(listener.stored.comment) == [""] * 7 + ["hollow"]


def test_double_clicks_do_no_harm(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    play = listener.stimuli[0].find_element(By.CSS_SELECTOR, ".play")
    listener.hand.double_click(play).perform()
    assert listener.wait(".now b").text == "1"  # and not paused by the second click
    listener.hand.double_click(listener.find("#next")).perform()
    listener.wait_for_trial(2)
    assert listener.stored.position.tolist() == [1] * 4


def test_a_lost_connection_loses_no_rating(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    network(listener.browser, online=False)
    try:
        listener.click("#next")
        assert "No connection" in listener.wait("[data-notice=unsent]").text
        assert listener.stored.empty
        listener.press("2", " ", Keys.ARROW_UP)  # ratings that are being sent cannot change
        assert not listener.find(".play").is_enabled()
        assert listener.find(".now").text == "Paused"
    finally:
        network(listener.browser, online=True)
    listener.wait_for_trial(2)
    assert sorted(listener.stored.position) == [1] * 4


def test_unsent_ratings_survive_a_closed_page(listener: Listener, monkeypatch: pytest.MonkeyPatch):
    """The server fails after a click on Next, and the page is closed. When it opens again, it sends the ratings."""
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


def test_a_server_restart_loses_nothing(chromium: webdriver.Chrome, make_study, tmp_path: Path):
    """The server stops during a trial, the listener clicks Next, and another process replaces the server."""
    make_study(tmp_path, trials=2)
    app = create_app(tmp_path)
    before = serve(app)
    url = next(before)
    listener = Listener(chromium, app, url)
    chromium.delete_all_cookies()
    listener.begin()
    listener.rate_all([80, 60, 40])
    next(before, None)
    listener.play(4)
    listener.click_scale(4, 20)
    listener.click("#next")
    listener.wait("[data-notice=unsent]")
    assert listener.stored.empty
    for _ in serve(create_app(tmp_path), port=urlsplit(url).port):
        listener.wait_for_trial(2)
        chromium.get("about:blank")
    assert listener.stored.position.tolist() == [1] * 4


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


def test_two_tabs_share_their_ratings(listener: Listener):
    """A rating in one tab appears in the other when that comes to the front, and is not overwritten by it."""
    listener.begin()
    listener.play(1)
    listener.click_scale(1, 30)
    first = listener.browser.current_window_handle
    listener.browser.switch_to.new_window("tab")
    try:
        resize(listener.browser, 1280, 800)
        listener.browser.get(f"{listener.url}trial")
        listener.wait_for_trial(1)
        listener.play(2)
        listener.click_scale(2, 70)
        shown = listener.shown
        assert all(shown[:2])
    finally:
        listener.browser.close()
        listener.browser.switch_to.window(first)
    listener.wait(".condition:nth-child(2).rated")
    assert listener.shown == shown
    listener.browser.refresh()
    listener.wait_for_trial(1)
    assert listener.shown == shown


def test_the_back_button_leads_to_the_open_trial(listener: Listener):
    listener.begin()
    listener.rate_all([80, 60, 40, 20])
    listener.click("#next")
    listener.wait_for_trial(2)
    listener.browser.back()
    listener.wait_for_trial(2)
    listener.rate_all([80, 60, 40, 20])
    listener.click("#next")
    listener.wait("[action$=leave]")
    assert sorted(listener.stored.position) == [1] * 4 + [2] * 4


def test_nothing_is_fetched_from_other_hosts(listener: Listener):
    listener.begin()
    names = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    fetched = listener.browser.execute_script(names)
    assert len(fetched) >= 5 + 5  # stimuli, and style sheet with scripts
    assert all(url.startswith(listener.url) for url in fetched)
    assert not re.search("opus|mp3|anchor|hidden|musical|speech", " ".join(fetched))
