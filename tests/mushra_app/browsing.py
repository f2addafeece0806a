"""A listener who uses a real browser, for tests of the pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pandas as pd
from flask import Flask
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait
from werkzeug.serving import make_server

from earmark.mushra_app.database.tables import Stimulus


class Listener:
    """A listener who clicks, presses keys and reads the page."""

    def __init__(self, browser: webdriver.Chrome, app: Flask, url: str) -> None:
        self.browser, self.app, self.url = browser, app, url

    @property
    def hand(self) -> ActionChains:
        return ActionChains(self.browser, duration=0)  # milliseconds per pointer movement

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    @property
    def focused(self) -> WebElement:
        return self.browser.switch_to.active_element

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, *keys: str) -> None:
        self.hand.send_keys(*keys).perform()

    def tab_to(self, selector: str) -> None:
        """Press Tab until this element has the focus."""
        for _ in range(30):
            if self.focused == self.find(selector):
                return
            self.press(Keys.TAB)
        raise AssertionError(f"Tab does not lead to {selector}")

    def wait(self, selector: str) -> WebElement:
        """Wait for a visible element that matches."""

        def shown(browser: webdriver.Chrome) -> WebElement | None:
            elements = browser.find_elements(By.CSS_SELECTOR, selector)
            return next((element for element in elements if element.is_displayed()), None)

        changing = [StaleElementReferenceException]  # another page has come between the two questions
        return WebDriverWait(self.browser, 20, 0.02, ignored_exceptions=changing).until(shown, selector)

    def until(self, script: str) -> object:
        """Wait for a script to return something true, and return that."""
        return WebDriverWait(self.browser, 20, poll_frequency=0.02).until(lambda b: b.execute_script(script), script)

    def begin(self) -> None:
        """Go from the welcome page to the first trial."""
        self.browser.get(self.url)
        self.click("[name=consent]")
        self.click("button.primary")
        self.wait("#toggle:enabled").click()
        self.wait("#go:enabled").click()
        self.wait_for_trial(1)

    def wait_for_trial(self, position: int) -> None:
        WebDriverWait(self.browser, 20, poll_frequency=0.02).until(lambda b: b.title.startswith(f"Trial {position} of"))
        self.wait('.trial[data-state="ready"]')

    def play(self, number: int) -> None:
        self.stimuli[number - 1].find_element(By.CSS_SELECTOR, ".play").click()
        self.wait(f".condition:nth-child({number}).playing")

    def click_scale(self, number: int, score: float) -> None:
        """Click at `score` on the scale. At either end, half the length of the thumb, 16 px, is out of reach."""
        slider = self.slider(number)
        width, height = slider.size["width"], slider.size["height"]
        along = (score / 100 - 0.5) * (max(width, height) - 16)
        x, y = (0, -along) if height > width else (along, 0)
        self.hand.move_to_element_with_offset(slider, round(x), round(y)).click().perform()

    def rate_all(self, scores: list[int]) -> None:
        """Play the reference, and play and rate every stimulus."""
        self.click("#reference")
        for number, score in enumerate(scores, start=1):
            self.play(number)
            self.click_scale(number, score)

    def slider(self, number: int) -> WebElement:
        return self.stimuli[number - 1].find_element(By.CSS_SELECTOR, "input")

    @property
    def stimuli(self) -> list[WebElement]:
        return self.all(".condition")

    @property
    def shown(self) -> list[str]:
        """The scores that the page shows; "" for unrated stimuli."""
        return [element.text for element in self.all(".score")]

    @property
    def order(self) -> list[str | None]:
        return [element.get_attribute("data-stimulus") for element in self.stimuli]

    @property
    def stored(self) -> pd.DataFrame:
        served = self.app.extensions["earmark"]
        return served.store.ratings()

    def scores_by_condition(self) -> dict[tuple[int, str], int]:
        """Stored scores, by position of the trial and condition."""
        return {(row.position, row.condition): row.score for row in self.stored.itertuples()}

    def conditions(self) -> list[str]:
        """Conditions of the sliders from left to right, which only the server knows."""
        with self.app.extensions["earmark"].store.reading() as session:
            return [session.get_one(Stimulus, token).condition for token in self.order]

    def complaints(self) -> list[str]:
        """Messages that the browser logged: script errors, refused resources."""
        return [entry["message"] for entry in self.browser.get_log("browser")]


def serve(app: Flask, port: int = 0) -> Iterator[str]:
    """Serve the app and yield its address; port 0 takes any free one."""
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))  # polling interval in seconds
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def network(browser: webdriver.Chrome, *, online: bool = True, bytes_per_second: int = -1) -> None:
    """Set the browser's connection; -1 means no limit."""
    conditions = {"latency": 0, "downloadThroughput": bytes_per_second, "uploadThroughput": bytes_per_second}
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": not online, **conditions})


def resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def touch_screen(browser: webdriver.Chrome, width: int, height: int) -> None:
    """Turn the browser into a phone or tablet of this size."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})


def no_touch_screen(browser: webdriver.Chrome) -> None:
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    resize(browser, 1280, 800)


def touch(browser: webdriver.Chrome, *points: tuple[float, float]) -> None:
    """Put a finger on the first point of the window, move it over the others, and lift it."""
    for index, (x, y) in enumerate(points):
        event = {"type": "touchMove" if index else "touchStart", "touchPoints": [{"x": x, "y": y}]}
        browser.execute_cdp_cmd("Input.dispatchTouchEvent", event)
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
