"""The trial page in a real browser if audio is slow, blocked or missing."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from flask import Response
from selenium.webdriver.support.wait import WebDriverWait

from tests.mushra_app.browsing import Listener, network, resize

pytestmark = pytest.mark.browser


@pytest.fixture
def uncached(listener: Listener) -> Iterator[Listener]:
    """A listener at the first trial whose browser does not cache stimuli."""
    listener.begin()
    listener.browser.execute_cdp_cmd("Network.enable", {})
    listener.browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": True})
    yield listener
    listener.browser.execute_cdp_cmd("Network.setCacheDisabled", {"cacheDisabled": False})


def evaluate(listener: Listener, expression: str) -> object:
    """Value of a script that runs without a user gesture."""
    script = {"expression": expression, "userGesture": False}
    return listener.browser.execute_cdp_cmd("Runtime.evaluate", script)["result"].get("value")


def test_a_browser_that_refuses_to_play_is_explained(listener: Listener):
    """Before the first user gesture in a tab, a script's click does not permit audio; a real click does.

    Selenium's own look-ups count as user gestures, so the debugger reads the page.
    """
    listener.begin()
    first = listener.browser.current_window_handle
    listener.browser.switch_to.new_window("tab")
    try:
        resize(listener.browser, 1280, 800)
        listener.browser.get(f"{listener.url}trial")
        WebDriverWait(listener.browser, 20).until(lambda _: evaluate(listener, "trial.dataset.state") == "ready")
        evaluate(listener, "document.querySelector('.play').click()")
        assert "does not let this page play" in listener.wait("[data-notice=silent]").text
        assert listener.find(".now").text == "Paused"
        assert not listener.slider(1).is_enabled()  # a stimulus that does not play cannot be rated
        listener.play(2)
        assert listener.find(".now").text == "Now: sound 2"
        WebDriverWait(listener.browser, 20).until(lambda _: not listener.find("[data-notice=silent]").is_displayed())
    finally:
        listener.browser.close()
        listener.browser.switch_to.window(first)


def test_a_slow_connection_shows_progress(uncached: Listener):
    """Five stimuli of 192 kB at 400 kB/s take 2.4 s: the bar grows, and nothing can be played before its end."""
    bar = "const bar = document.querySelector('#loading progress'); return bar.checkVisibility() ? bar.value : null"
    network(uncached.browser, bytes_per_second=400_000)
    try:
        uncached.browser.refresh()
        shown = []
        while (fraction := uncached.browser.execute_script(bar)) is not None:
            shown.append(fraction)
            if fraction < 1:
                uncached.press("1", "r", "l")
                text = uncached.find(".now").text
                still_loading = uncached.browser.execute_script(bar) is not None  # a busy machine may be late here
                assert text in ("Loading", "Paused") or not still_loading
    finally:
        network(uncached.browser)
    assert len(set(shown)) > 3
    assert all(before <= after for before, after in pairwise(shown))
    uncached.wait_for_trial(1)
    assert uncached.find(".now").text == "Paused"
    uncached.play(3)
    assert uncached.complaints() == []


def test_a_stimulus_that_fails_once_is_fetched_again(uncached: Listener, monkeypatch: pytest.MonkeyPatch):
    send = uncached.app.view_functions["media.stimulus"]
    failed = set()

    def failing(token: str) -> Response:
        if token in failed:
            return send(token)
        failed.add(token)
        return Response("busy", 503)

    monkeypatch.setitem(uncached.app.view_functions, "media.stimulus", failing)
    uncached.browser.refresh()
    uncached.wait_for_trial(1)
    assert len(failed) == 5
    uncached.play(4)


def test_a_missing_stimulus_is_an_error_with_a_remedy(uncached: Listener, monkeypatch: pytest.MonkeyPatch):
    send = uncached.app.view_functions["media.stimulus"]
    missing = uncached.order[2]

    def lacking(token: str) -> Response:
        return Response("no such stimulus", 404) if token == missing else send(token)

    monkeypatch.setitem(uncached.app.view_functions, "media.stimulus", lacking)
    uncached.browser.refresh()
    notice = uncached.wait("[data-notice=load]")
    assert "could not be loaded" in notice.text
    assert not any(button.is_enabled() for button in uncached.all(".transport button, .timeline button, .play, #next"))
    monkeypatch.setitem(uncached.app.view_functions, "media.stimulus", send)
    uncached.click("[data-notice=load] button")
    uncached.wait_for_trial(1)
    uncached.play(3)


def test_a_device_with_another_sample_rate_is_reported(listener: Listener):
    """If the browser refuses the study's sample rate, the page uses the browser's own and says so."""
    refuse = """
    const Real = AudioContext;
    window.AudioContext = class extends Real {
      constructor(options) {
        if (options?.sampleRate) throw new DOMException("not here", "NotSupportedError");
        super({ sampleRate: 32000 });
      }
    };
    """
    listener.begin()
    script = listener.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": refuse})
    try:
        listener.browser.refresh()
        assert "set it to 48000 Hz" in listener.wait("[data-notice=rate]").text
        listener.wait_for_trial(1)
        listener.play(1)
    finally:
        listener.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
