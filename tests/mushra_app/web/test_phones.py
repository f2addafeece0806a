"""The trial page under a finger: 12 conditions, in German, on screens from 320 px, upright and on their side."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver

from earmark.mushra_app.study.study import Condition, Study
from earmark.mushra_app.web import create_app
from tests.mushra_app.browsing import Listener, no_touch_screen, serve, touch, touch_screen

pytestmark = pytest.mark.browser

UPRIGHT = [(320, 568), (360, 740), (390, 844), (768, 1024)]
SCREENS = [*UPRIGHT, *((height, width) for width, height in UPRIGHT)]
CONDITIONS = (
    Condition("original", "hidden reference"), Condition("anchor", "low anchor"),
    *(Condition(f"codec@{number}", "system") for number in range(10)),
)  # fmt: skip

# Where an element is in the window, and whether a finger at its middle would reach it.
PLACE = """
const element = document.querySelector(arguments[0]);
element.scrollIntoView({ block: arguments[1] ?? "nearest" });
const { left, top, width, height } = element.getBoundingClientRect();
const hit = document.elementFromPoint(left + width / 2, top + height / 2);
return { left, top, width, height, reached: element.contains(hit) || element.closest("button")?.contains(hit) };
"""
# Text that another element hides at its middle, or that lies outside the window.
HIDDEN = """
return [...document.querySelectorAll(arguments[0])].filter((element) => {
  const { left, right, top, bottom, width } = element.getBoundingClientRect();
  const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
  return width === 0 || left < 0 || right > innerWidth || !(element === hit || element.contains(hit));
}).map((element) => element.textContent);
"""


@pytest.fixture(scope="module")
def phone(
    chromium: webdriver.Chrome, make_study: Callable[..., Study], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listener]:
    """A listener on the first trial of a German test with 12 conditions."""
    folder = tmp_path_factory.mktemp("phones")
    make_study(folder, items=4, trials=4, annotations=9, seconds=2.0, conditions=CONDITIONS)
    (folder / "session.toml").write_text('language = "de"')
    app = create_app(folder)
    for url in serve(app):
        chromium.get(url)
        chromium.delete_all_cookies()
        listener = Listener(chromium, app, url)
        touch_screen(chromium, 390, 844)
        listener.browser.get(url)
        listener.click("[name=consent]")
        listener.click("button.primary")
        listener.wait("#toggle:enabled").click()
        listener.wait("#go:enabled").click()
        listener.wait('.trial[data-state="ready"]')
        yield listener
        no_touch_screen(chromium)
        chromium.get("about:blank")
        chromium.delete_all_cookies()


@pytest.fixture(params=SCREENS, ids=lambda size: "x".join(map(str, size)))
def screen(phone: Listener, request: pytest.FixtureRequest) -> Listener:
    """The trial on one of the screens, with nothing rated."""
    touch_screen(phone.browser, *request.param)
    phone.browser.execute_script("localStorage.clear()")
    phone.browser.refresh()
    phone.wait('.trial[data-state="ready"]')
    return phone


def place(phone: Listener, selector: str, block: str = "nearest") -> dict[str, float]:
    return phone.browser.execute_script(PLACE, selector, block)


def tap(phone: Listener, selector: str, along: float = 0.5) -> None:
    """Tap on an element that the finger can reach, `along` its longer side from the left or the bottom."""
    at = place(phone, selector)
    assert at["reached"], selector
    x, y = at["left"] + at["width"] / 2, at["top"] + at["height"] / 2
    if at["width"] > at["height"]:
        x = at["left"] + 8 + along * (at["width"] - 16)  # half the thumb, 16 px, is out of reach at either end
    else:
        y = at["top"] + at["height"] - 8 - along * (at["height"] - 16)
    touch(phone.browser, (x, y))


def test_everything_can_be_reached_and_rated_by_touch(screen: Listener):
    """Taps play the reference and the first and last condition, and rate them 50, the value of an untouched slider."""
    scrolled, shown = screen.browser.execute_script(
        "const e = document.documentElement; return [e.scrollWidth, e.clientWidth]"
    )
    assert scrolled <= shown
    tap(screen, "#reference")
    screen.wait('#reference[aria-pressed="true"]')
    for number in (1, 12):
        tap(screen, f".condition:nth-child({number}) .play")
        screen.wait(f".condition:nth-child({number}).playing")
        tap(screen, f".condition:nth-child({number}) input")
        assert screen.shown[number - 1] == "50"
        tap(screen, f".condition:nth-child({number}) input", along=0.8)
        assert abs(int(screen.shown[number - 1]) - 80) <= 1
    tap(screen, "#toggle")
    screen.wait(".trial:not(.sounding)")
    assert_labels_stay_in_view(screen)


def assert_labels_stay_in_view(screen: Listener) -> None:
    """Labels and transport hide nothing and are hidden by nothing, whichever row is in the middle of the window."""
    if not screen.find(".labels").is_displayed():  # the scale stands, and the labels are beside it
        assert all(label.is_displayed() for label in screen.all(".bands span"))
        return
    for number in (1, 7, 12):
        place(screen, f".condition:nth-child({number})", "center")
        assert screen.browser.execute_script(HIDDEN, ".labels span, #reference, #toggle") == []


def test_scrolling_over_a_slider_does_not_rate(phone: Listener):
    touch_screen(phone.browser, 390, 600)
    phone.browser.execute_script("localStorage.clear()")
    phone.browser.refresh()
    phone.wait('.trial[data-state="ready"]')
    tap(phone, ".condition:nth-child(8) .play")
    phone.wait(".condition:nth-child(8).playing")
    at = place(phone, ".condition:nth-child(8) input", "center")
    before = phone.browser.execute_script("return scrollY")
    x, y = at["left"] + at["width"] * 0.9, at["top"] + at["height"] / 2
    touch(phone.browser, *((x, y - step) for step in range(0, 180, 12)))
    assert phone.browser.execute_script("return scrollY") > before
    assert phone.shown[7] == ""
