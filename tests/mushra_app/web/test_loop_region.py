"""The loop region of the trial page in a real browser, by mouse, touch and keyboard. Stimuli last 2 s."""

from __future__ import annotations

import time

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.mushra_app.browsing import Listener, resize

pytestmark = pytest.mark.browser


def ends(listener: Listener) -> tuple[float, float] | None:
    """Start and end of the loop in seconds, as the page shows them; None if it does not loop."""
    if not listener.find("[data-loop=on]").is_displayed():
        return None
    return float(listener.find("#loop-start").text), float(listener.find("#loop-end").text)


def wait_for(listener: Listener, expected: tuple[float, float]) -> None:
    """Wait until the page shows this loop, which it does after the last key."""
    WebDriverWait(listener.browser, 20).until(lambda _: ends(listener) == pytest.approx(expected))


def drag(listener: Listener, start: float, end: float) -> None:
    """Drag the mouse along the waveform between two times in seconds."""
    waveform = listener.find("#region")
    width = waveform.size["width"]
    offsets = [round((seconds / 2 - 0.5) * width) for seconds in (start, end)]
    hand = listener.hand.move_to_element_with_offset(waveform, offsets[0], 0).click_and_hold()
    hand.move_by_offset((offsets[1] - offsets[0]) // 2, 0).move_by_offset(-((offsets[0] - offsets[1]) // 2), 0)
    hand.release().perform()


def playhead(listener: Listener) -> list[float]:
    """Positions of the playhead in seconds, read for a little over a second."""
    read = "return 2 * document.querySelector('#region').style.getPropertyValue('--position')"
    positions = []
    until = time.monotonic() + 1.1
    while time.monotonic() < until:
        positions.append(listener.browser.execute_script(read))
    return positions


def test_a_region_is_drawn_moved_and_trimmed_by_mouse(listener: Listener):
    """A pixel is 2.8 ms, so ends follow the mouse within 10 ms."""
    listener.begin()
    assert ends(listener) is None
    listener.play(1)
    drag(listener, 0.5, 1.3)
    assert ends(listener) == pytest.approx((0.5, 1.3), abs=0.01)
    assert listener.find("#loop").get_attribute("aria-pressed") == "true"
    heard = playhead(listener)
    assert min(heard) >= 0.49
    assert max(heard) <= 1.31
    assert max(heard) - min(heard) > 0.4  # the playhead moves
    drag(listener, 0.9, 1.4)  # the region itself
    assert ends(listener) == pytest.approx((1.0, 1.8), abs=0.02)
    drag(listener, 0.99, 0.4)  # its left handle, outside the region
    assert ends(listener) == pytest.approx((0.41, 1.8), abs=0.02)
    drag(listener, 1.81, 1.2)  # its right handle
    assert ends(listener) == pytest.approx((0.41, 1.19), abs=0.03)
    assert listener.find(".now").text == "Now: sound 1"


def test_a_region_has_at_least_half_a_second(listener: Listener):
    """A shorter region is extended within the recording, in either direction. A click draws none."""
    listener.begin()
    drag(listener, 0.2, 0.2)
    assert ends(listener) is None
    for start, end, expected in ((0.8, 0.9, (0.8, 1.3)), (1.9, 1.8, (1.5, 2.0)), (1.0, 0.2, (0.2, 1.0))):
        drag(listener, start, end)
        assert ends(listener) == pytest.approx(expected, abs=0.01)
        listener.press("l")
        assert ends(listener) is None


def test_touch_draws_a_region(listener: Listener):
    resize(listener.browser, 320, 640)
    listener.begin()
    box = listener.find("#region").rect
    y = box["y"] + box["height"] / 2
    for kind, fraction in (("touchStart", 0.25), ("touchMove", 0.5), ("touchMove", 0.75), ("touchEnd", None)):
        points = [] if fraction is None else [{"x": box["x"] + fraction * box["width"], "y": y}]
        listener.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    listener.wait("[data-loop=on]")
    assert ends(listener) == pytest.approx((0.5, 1.5), abs=0.02)


def test_keys_loop_the_last_second_and_trim_it(listener: Listener):
    """Arrow keys move by 50 ms, Page keys by a tenth of the range, 0.2 s. Ends stay half a second apart."""
    listener.begin()
    listener.press("1")
    listener.wait(".condition:nth-child(1).playing")
    listener.press("l")
    listener.wait("[data-loop=on]")
    start, end = ends(listener)
    assert end - start == pytest.approx(1, abs=0.011)  # both are shown in hundredths
    listener.press("l")
    assert ends(listener) is None
    listener.press("l")
    listener.tab_to("[data-edge=start]")
    listener.press(Keys.HOME)
    listener.tab_to("[data-edge=end]")
    listener.press(Keys.END, Keys.PAGE_DOWN, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT)
    wait_for(listener, (0, 1.75))
    assert listener.focused.get_attribute("aria-valuetext") == "1.75 seconds"
    assert listener.shown == [""] * 4  # the arrow keys changed no rating
    listener.press(Keys.HOME)
    wait_for(listener, (0, 0.5))
    assert max(playhead(listener)) <= 0.51
    listener.press("3")  # other keys still work for the page
    listener.wait(".condition:nth-child(3).playing")
    assert ends(listener) == pytest.approx((0, 0.5))


def test_the_waveform_is_the_outline_of_all_channels(listener: Listener):
    """Eight samples of two channels in four columns: extremes of each pair, divided by the peak 0.5; y points down."""
    listener.browser.get(listener.url)
    draw = """
    const [channels, columns, done] = arguments;
    const buffer = new AudioBuffer({ length: channels[0].length, numberOfChannels: channels.length, sampleRate: 8000 });
    channels.forEach((samples, k) => buffer.copyToChannel(new Float32Array(samples), k));
    import("/static/waveform.js").then(({ outline }) => done(outline(buffer, columns)));
    """
    left, right = [0.5, -0.25, 0, 0.25, -0.5, -0.5, 0.125, 0], [0, 0, 0, 0, 0, 0.25, 0, 0]
    above, below = "M0.5 -1.000L1.5 -0.500L2.5 -0.500L3.5 -0.250", "L3.5 0.000L2.5 1.000L1.5 0.000L0.5 0.500Z"
    assert listener.browser.execute_async_script(draw, [left, right], 4) == above + below
    silent = "M0.5 0.000L1.5 0.000L1.5 0.000L0.5 0.000Z"
    assert listener.browser.execute_async_script(draw, [[0] * 4], 2) == silent
