"""Draw the first page and the attention check, wide and light beside narrow and dark, as docs/images/mushra-PAGE.png.

    python docs/scripts/draw_session_pages.py

Needs Chromium with its driver.
"""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium import webdriver

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from earmark.mushra_app.web import create_app  # noqa: E402
from tests.mushra_app.browsing import Listener, resize, serve  # noqa: E402
from tests.mushra_app.conftest import FLAGS, write_study  # noqa: E402

SESSION = """language = "en"
title = "Speech and music compared"
instructions = "Please take your time: the differences are sometimes small."
attention = ["instructed"]
"""
SIZES = ((1280, "light"), (320, "dark"))
GAP = 24


def pair(browser: webdriver.Chrome, page: str) -> None:
    """Draw the page that is open in both sizes."""
    shots = []
    for width, scheme in SIZES:
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
        size = {"width": width, "height": 600, "deviceScaleFactor": 1, "mobile": width < 700}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        for _ in range(8):  # margins grow with the window
            height = browser.execute_script("return document.documentElement.scrollHeight")
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**size, "height": height})
        shots.append(Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB"))
    wide, narrow = shots
    both = Image.new("RGB", (wide.width + GAP + narrow.width, max(wide.height, narrow.height)), "white")
    both.paste(wide, (0, 0))
    both.paste(narrow, (wide.width + GAP, 0))
    both.quantize(128, dither=Image.Dither.NONE).save(ROOT / "docs" / "images" / f"mushra-{page}.png", optimize=True)


def main() -> None:
    """Take part until the attention check."""
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options)
    try:
        with tempfile.TemporaryDirectory() as folder:
            write_study(Path(folder), seconds=2.0, trials=2)
            (Path(folder) / "session.toml").write_text(SESSION, encoding="utf-8")
            app = create_app(Path(folder))
            for url in serve(app):
                listener = Listener(browser, app, url)
                browser.get(url)
                pair(browser, "welcome")
                resize(browser, 1280, 800)
                listener.begin()
                for position in (1, 2):  # the check follows one of them
                    listener.wait_for_trial(position)
                    listener.rate_all([92, 15, 50, 71])
                    listener.click("#next")
                    if listener.wait(".trial, .level").get_attribute("class") == "level":
                        break
                pair(browser, "attention")
                browser.get("about:blank")
    finally:
        browser.quit()


if __name__ == "__main__":
    main()
