"""Browsers that lack something, deleted before the page loads; iPhones; calls and other output devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from earmark.mushra_app.database.collected import devices
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import create_app, media
from earmark.mushra_app.web.faults import EXTENSION, PLAYBACK
from tests.mushra_app.browsing import Listener, resize, serve

pytestmark = pytest.mark.browser

IPHONE_15 = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 15_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 "
    "Mobile/15E148 Safari/604.1"
)
# Keeps the audio contexts and media elements that a page makes.
KEEP = """
window.contexts = [];
window.AudioContext = class extends AudioContext {
  constructor(...options) { super(...options); contexts.push(this); }
};
window.elements = [];
window.Audio = class extends Audio {
  constructor(...options) { super(...options); elements.push(this); }
};
"""


@pytest.fixture(scope="module")
def served(
    chromium: webdriver.Chrome, make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    folder = tmp_path_factory.mktemp("features")
    make_study(folder, items=2, trials=1, annotations=50, seconds=2.0)
    app = create_app(folder)
    resize(chromium, 1280, 800)
    for url in serve(app):
        yield Listener(chromium, app, url)
        chromium.get("about:blank")
        chromium.delete_all_cookies()


@pytest.fixture
def newcomer(served: Listener) -> Listener:
    """A browser without a session."""
    served.browser.get(f"{served.url}static/icon.svg")
    served.browser.delete_all_cookies()
    served.browser.get_log("browser")
    return served


@contextmanager
def before_loading(browser: webdriver.Chrome, script: str) -> Iterator[None]:
    """Run a script on every page before its own ones."""
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


@pytest.mark.parametrize(
    ("script", "named"),
    [
        ("delete window.AudioContext", "Web Audio"),
        ("delete window.fetch", "fetch"),
        ("delete window.AbortController", "AbortController"),
        ("delete window.PointerEvent", "Pointer Events"),
        ("delete Intl.ListFormat", "Intl.ListFormat"),
        ("Object.defineProperty(navigator, 'cookieEnabled', { value: false })", "cookies"),
        # Scripts of type "module" are skipped where their type is unknown.
        ("new MutationObserver((records) => { for (const { addedNodes } of records) for (const node of addedNodes) "
         "if (node.type === 'module') node.type = 'unknown'; })"
         ".observe(document, { childList: true, subtree: true })", "JavaScript modules (ES2022)"),
    ],
    ids=lambda text: text if len(text) < 30 else "",
)  # fmt: skip
def test_a_browser_that_lacks_something_is_told_before_consent(newcomer: Listener, script: str, named: str):
    with before_loading(newcomer.browser, script):
        newcomer.browser.get(newcomer.url)
        assert f"It lacks: {named}." in newcomer.wait("#unsupported").text
        assert not newcomer.find("[name=consent]").is_displayed()


def test_this_browser_lacks_nothing(newcomer: Listener):
    newcomer.browser.get(newcomer.url)
    assert newcomer.wait("[name=consent]").is_displayed()
    assert not newcomer.find("#unsupported").is_displayed()


def test_without_abort_signal_timeout_ratings_arrive(newcomer: Listener):
    """Safari 15, Chrome 102, Firefox 99: the whole test was taken, and "No connection" came at its end, for ever."""
    stored = len(newcomer.stored)
    with before_loading(newcomer.browser, "delete AbortSignal.timeout"):
        newcomer.begin()
        newcomer.rate_all([90, 60, 40, 20])
        newcomer.click("#next")
        assert "everything is stored" in newcomer.wait(".lead").text
    new = newcomer.stored.iloc[stored:]
    assert len(new) == 4
    # What the browser recorded of its device and of the listening.
    assert new["plays"].eq(1).all()
    assert new["moves"].eq(1).all()
    assert new["switches"].eq(1).all()  # the reference played before the first
    assert new["heard_seconds"].between(0, 20, inclusive="neither").all()
    assert new["reference_seconds"].between(0, 20, inclusive="neither").all()
    with newcomer.app.extensions["earmark"].store.reading() as session:
        device = devices(session).iloc[-1]
    assert device["browser"].startswith("Chrome ")
    assert list(device[["system", "type", "pointer"]]) == ["Linux", "computer", "mouse"]
    assert device["sample_rate"] in (44_100, 48_000)


def test_without_standing_sliders_the_scale_lies_down(newcomer: Listener):
    with before_loading(newcomer.browser, "delete Element.prototype.setHTMLUnsafe"):  # as in Chrome 123
        newcomer.begin()
        size = newcomer.slider(1).size
        assert size["width"] > 5 * size["height"]
        newcomer.play(1)
        newcomer.click_scale(1, 80)
        assert abs(int(newcomer.shown[0]) - 80) <= 1


def test_a_call_and_another_output_device_pause_and_play_resumes(newcomer: Listener):
    with before_loading(newcomer.browser, KEEP):
        newcomer.begin()
        browser = newcomer.browser
        newcomer.play(2)
        browser.execute_script("return contexts[0].suspend()")  # Safari's state is "interrupted"
        assert "Check headphones and volume, then press Play." in newcomer.wait("[data-notice=interrupted]").text
        assert newcomer.find(".now").text == "Paused"
        newcomer.click("#toggle")
        newcomer.wait(".condition:nth-child(2).playing")
        assert not newcomer.find("[data-notice=interrupted]").is_displayed()
        browser.execute_script("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")
        newcomer.wait("[data-notice=interrupted]")
        assert newcomer.find(".now").text == "Paused"
        newcomer.press(" ")
        newcomer.wait(".condition:nth-child(2).playing")
        assert not newcomer.find("[data-notice=interrupted]").is_displayed()


@pytest.mark.parametrize("has_session", [True, False], ids=["iOS 16.4", "iOS 15"])
def test_an_iphone_plays_in_silent_mode(newcomer: Listener, has_session: bool):
    """By the Audio Session API, or before it by a media element, which silent mode does not mute."""
    browser = newcomer.browser
    session = "Object.defineProperty(navigator, 'audioSession', { value: { type: 'auto' } });" if has_session else ""
    agent = browser.execute_script("return navigator.userAgent")
    browser.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": IPHONE_15})
    try:
        with before_loading(browser, KEEP + session):
            browser.get(newcomer.url)
            newcomer.click("[name=consent]")
            newcomer.click("button.primary")
            assert "silent mode" in newcomer.wait("[data-notice=mute]").text
            newcomer.wait("#toggle:enabled").click()
            newcomer.wait("#go:enabled")
            if has_session:
                assert browser.execute_script("return navigator.audioSession.type") == "playback"
                assert browser.execute_script("return elements.length") == 0
            else:
                playing = "const [one] = elements; return !one.paused && one.loop && one.readyState > 1"
                assert newcomer.until(playing)
    finally:
        browser.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent})
    assert newcomer.complaints() == []


@pytest.mark.parametrize(
    ("kept", "error"),
    [(slice(100, None), "EncodingError"), (slice(None, 20_000), "RangeError: truncated")],
    ids=["no audio", "truncated"],
)
def test_a_sound_that_cannot_be_decoded_is_reported(
    newcomer: Listener, monkeypatch: pytest.MonkeyPatch, kept: slice, error: str
):
    """Once per sound, also if the page is loaded again; the test goes on once the sounds are intact."""
    intact, faults = media.delivery, newcomer.app.extensions[EXTENSION]

    def damaged(path: Path) -> bytes:
        return intact(path)[slice(None) if path.stem.endswith("000f00d") else kept]  # not the reference

    def count() -> int:
        return sum(fault.count for fault in faults.all())

    before = count()
    newcomer.browser.get(newcomer.url)
    newcomer.click("[name=consent]")
    newcomer.click("button.primary")
    newcomer.wait("#toggle:enabled").click()
    with monkeypatch.context() as broken:
        broken.setattr(media, "delivery", damaged)
        newcomer.wait("#go:enabled").click()
        assert "This browser cannot play one of the sounds." in newcomer.wait("[data-notice=decode]").text
        WebDriverWait(newcomer.browser, 20, poll_frequency=0.02).until(lambda _: count() == before + 3)
        newcomer.click("[data-notice=decode] button")
        newcomer.until("return document.querySelector('[data-notice=decode]')?.hidden")
        newcomer.wait("[data-notice=decode]")
    (fault,) = faults.all()
    assert (fault.cause, fault.count) == (PLAYBACK, before + 3)
    assert "not decoded by Chrome" in fault.detail
    assert f"({error}" in fault.detail
    newcomer.click("[data-notice=decode] button")
    newcomer.wait('.trial[data-state="ready"]')
