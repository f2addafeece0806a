"""The trial page in a real browser: rating, keys, small screens, contrast, names for screen readers."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread as read_png
from selenium.webdriver.common.keys import Keys

from tests.mushra_app.browsing import Listener, resize

pytestmark = pytest.mark.browser


def test_next_waits_for_every_rating_and_the_reference(listener: Listener):
    listener.begin()
    assert listener.find(".todo").text == "Listen to the reference. Play and rate 1, 2, 3, 4."
    for number in (1, 2, 3, 4):
        listener.play(number)
    assert listener.shown == [""] * 4  # listening does not rate
    for number in (1, 3, 4):
        listener.play(number)
        listener.click_scale(number, 70)
    assert listener.find(".todo").text == "Listen to the reference. Play and rate 2."
    listener.play(2)
    listener.click_scale(2, 50)  # equal to the value of an unrated slider, but still a rating
    assert listener.shown[1] == "50"
    assert not listener.find("#next").is_enabled()
    listener.click("#reference")
    assert listener.wait("[data-todo=done]").text == "All rated. You can still change your ratings."
    assert listener.find("#next").is_enabled()


def test_numbers_in_a_list_stand_apart_in_every_language(listener: Listener):
    """By the list patterns of CLDR. Those of units join numbers by blanks, and in Chinese by nothing."""
    listener.begin()
    lists = {"ja": "1、2、3、4", "zh": "1、2、3、4", "ko": "1, 2, 3 및 4", "ar": "1 و2 و3 و4", "de": "1, 2, 3 und 4"}
    listener.browser.execute_cdp_cmd("Network.enable", {})
    for language, expected in lists.items():
        headers = {"headers": {"Accept-Language": language}}
        listener.browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", headers)
        listener.browser.refresh()
        listener.wait('.trial[data-state="ready"]')
        assert listener.find("[data-todo=rate] b").text == expected
    listener.browser.execute_cdp_cmd("Network.setExtraHTTPHeaders", {"headers": {}})


def test_only_the_playing_stimulus_can_be_rated(listener: Listener):
    listener.begin()
    assert not any(listener.slider(number).is_enabled() for number in (1, 2, 3, 4))
    listener.play(3)
    assert [listener.slider(number).is_enabled() for number in (1, 2, 3, 4)] == [False, False, True, False]
    listener.click_scale(1, 90)  # plays it and does not rate it
    listener.wait(".condition:nth-child(1).playing")
    assert listener.shown == [""] * 4
    listener.press(" ")
    listener.wait(".trial:not(.sounding)")
    listener.press(Keys.ARROW_UP)
    assert listener.shown == [""] * 4
    assert not any(listener.slider(number).is_enabled() for number in (1, 2, 3, 4))


def test_a_slider_is_empty_until_it_is_moved(listener: Listener):
    """The accent colour covers the rail, 4 px wide, and on a rated slider the thumb, 34 px without its border."""
    listener.begin()
    listener.play(1)

    def widest_row() -> int:
        image = read_png(BytesIO(listener.slider(1).screenshot_as_png))[..., :3]
        return int((np.abs(image * 255 - (20, 99, 109)).max(axis=2) < 2).sum(axis=1).max())

    assert widest_row() == 4
    assert listener.slider(1).get_attribute("aria-valuetext") == "not rated"
    listener.click_scale(1, 30)
    assert widest_row() == 30
    assert listener.slider(1).get_attribute("aria-valuetext") == f"{listener.shown[0]}, Poor"
    assert listener.slider(2).get_attribute("aria-valuetext") == "not rated"


def test_space_pauses_and_continues(listener: Listener):
    listener.begin()
    listener.play(2)
    listener.press(" ")
    listener.wait(".trial:not(.sounding)")
    assert listener.find(".now").text == "Paused"
    listener.press(" ")
    listener.wait(".condition:nth-child(2).playing")
    assert listener.find(".now").text == "Now: sound 2"


def test_after_many_keys_the_last_one_counts(listener: Listener):
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
    """At 1280 x 800 nothing scrolls. At 320 the page is longer than the screen but not wider. Controls stay large."""
    listener.begin()
    listener.browser.execute_script(
        "const conditions = document.querySelector('.conditions');"
        "while (conditions.children.length < 8) conditions.append(conditions.lastElementChild.cloneNode(true))"
    )
    resize(listener.browser, width, height)
    page = "const root = document.documentElement; return [root.scrollWidth, root.scrollHeight]"
    scroll_width, scroll_height = listener.browser.execute_script(page)
    assert scroll_width == width
    assert (scroll_height > height) == scrolls
    for selector in ("#reference", "#toggle", "#restart", ".play", "#next"):
        size = listener.find(selector).size
        assert min(size["width"], size["height"]) >= 44, selector
    for number in (1, 8):
        size = listener.slider(number).size
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


def test_a_focused_button_keeps_the_space_bar(listener: Listener):
    """Space presses the focused button, as on any page; on the button of the playing stimulus it pauses."""
    listener.begin()
    listener.play(1)
    listener.tab_to(".condition:nth-child(3) .play")
    listener.press(" ")
    listener.wait(".condition:nth-child(3).playing")
    listener.press(" ")
    listener.wait(".trial:not(.sounding)")
    assert listener.focused.get_attribute("id") == "toggle"  # a disabled slider cannot keep the focus
    listener.press(" ")
    listener.wait(".condition:nth-child(3).playing")
    listener.click("#restart")
    listener.press(" ")  # after a click, Space plays and pauses again
    listener.wait(".trial:not(.sounding)")


def test_a_question_mark_shows_the_keys(listener: Listener):
    listener.begin()
    listener.press("?")
    panel = listener.wait("#help[open]")
    for key in ("1 to 4", "R", "Space", "0", "L", "Tab", "Esc"):
        assert f"{key}\n" in panel.text
    listener.press("2", "r")  # nothing plays behind the panel
    assert listener.find(".now").text == "Paused"
    listener.press(Keys.ESCAPE)
    listener.wait("#trial:not(:has(#help[open]))")
    listener.press("2")
    listener.wait(".condition:nth-child(2).playing")


def test_escape_returns_from_a_comment_to_its_slider(listener: Listener):
    listener.begin()
    listener.play(2)
    listener.tab_to("#comment")
    listener.press(*"dull", Keys.ESCAPE, Keys.ARROW_UP, Keys.PAGE_UP)
    assert listener.shown == ["", "60", "", ""]
    assert listener.find("#comment").get_attribute("value") == "dull"


# Relative luminance and contrast ratio as defined in the glossary of WCAG 2.2. The canvas blends translucent colours.
CONTRASTS = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const paint = (colors) => {
  for (const [color, alpha] of colors) {
    canvas.globalAlpha = alpha;
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
  }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const luminance = (pixel) => {
  const [r, g, b] = pixel.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (colors, ink) => {
  const [dark, light] = [luminance(paint(colors)), luminance(paint([...colors, ink]))].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const ground = (element) => {
  const chain = [];
  for (let e = element; e; e = e.parentElement) chain.unshift([getComputedStyle(e).backgroundColor, 1]);
  return chain;
};
const contrasts = {};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  const text = texts.currentNode.data.trim();
  if (!text || !element.checkVisibility() || element.closest(":disabled, noscript")) continue;
  let alpha = 1;
  for (let e = element; e; e = e.parentElement) alpha *= Number(getComputedStyle(e).opacity);
  contrasts[text] = contrast(ground(element), [getComputedStyle(element).color, alpha]);
}
const stripe = getComputedStyle(document.querySelector(".bands li"), "::before").backgroundColor;
const scale = ground(document.querySelector(".scale"));
const label = getComputedStyle(document.querySelector(".bands span")).color;
const line = getComputedStyle(document.querySelector(".condition:not(.playing) .rail"), "::before").backgroundColor;
const graphics = [scale, [...scale, [stripe, 1]]].map((colors) => contrast(colors, [line, 1]));
return { contrasts, label: contrast([...scale, [stripe, 1]], [label, 1]), graphics };
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_enough(listener: Listener, scheme: str):
    """WCAG 2.2: 4.5 : 1 for text (1.4.3), 3 : 1 for the lines of the sliders (1.4.11); page and panel of keys."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    listener.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        listener.begin()
        listener.play(1)
        listener.click_scale(1, 40)
        listener.press("l", "?")
        for width in (1280, 320):
            resize(listener.browser, width, 800)
            result = listener.browser.execute_script(CONTRASTS)
            assert {"Trial 1 of 2", "Reference", "Now: sound", "Excellent", "Play and rate", "play that sound"} <= set(
                result["contrasts"]
            )
            assert [text for text, ratio in result["contrasts"].items() if ratio < 4.5] == []
            assert result["label"] >= 4.5
            assert min(result["graphics"]) >= 3
    finally:
        listener.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_screen_readers_have_a_name_for_everything(listener: Listener):
    """Names in Chromium's accessibility tree, values of sliders, and announcements."""
    listener.begin()
    listener.press("l")  # before playback: the first second
    listener.wait(".looping")
    listener.play(2)
    listener.click_scale(2, 64)
    tree = listener.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "ToggleButton", "slider", "textbox", "progressbar")
    controls = [node for node in tree if node.get("role", {}).get("value") in roles and not node["ignored"]]
    assert sorted(node["name"]["value"] for node in controls) == sorted([
        "Trials done", "Reference", "Pause", "Restart", "Loop", "Start of the loop", "End of the loop",
        *(f"{what} sound {number}" for what in ("Rating of", "Play") for number in (1, 2, 3, 4)),
        "Comment on sound 2", "Keys", "Next",
    ])  # fmt: skip
    spoken = [slider.get_attribute("aria-valuetext") for slider in listener.all("input[type=range]")]
    assert spoken == ["0 seconds", "1 second", "not rated", f"{listener.shown[1]}, Good", "not rated", "not rated"]
    live = [element.text for element in listener.all('[aria-live="polite"]')]
    assert live == ["Now: sound 2", "Loop 0.00 to 1.00 s", "Listen to the reference. Play and rate 1, 3, 4."]
