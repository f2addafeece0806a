"""Draw the listener's pages in four languages, four widths, light and dark, as docs/images/listening-LANGUAGE.png.

    python docs/scripts/draw_listening_pages.py [FOLDER]

Needs Chromium with its driver, and fonts for Japanese and Arabic (on Debian fonts-noto-cjk and fonts-noto-core). FOLDER
receives every screenshot; the sheet of each language shows the first page and a trial of 12 conditions.
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
from tests.mushra_app.browsing import Listener, serve  # noqa: E402
from tests.mushra_app.conftest import FLAGS, write_study  # noqa: E402
from tests.mushra_app.web.test_phones import CONDITIONS  # noqa: E402

LANGUAGES = ("en", "de", "ja", "ar")
SCREENS = ((320, 640), (390, 844), (768, 1024), (1280, 800))
SCHEMES = ("light", "dark")
PAGES = ("welcome", "trial")
SCALE = 0.4  # of the sheets
COLOURS = 64
SCORES = (92, 15, 50, 71)


def screenshots(browser: webdriver.Chrome, language: str) -> dict[tuple[str, int, str], Image.Image]:
    """Screenshots by page, width and scheme."""
    shots = {}
    with tempfile.TemporaryDirectory() as folder:
        write_study(Path(folder), seconds=2.0, conditions=CONDITIONS)
        (Path(folder) / "session.toml").write_text(f'language = "{language}"\n', encoding="utf-8")
        app = create_app(Path(folder))
        for url in serve(app):
            listener = Listener(browser, app, url)
            browser.get(url)
            browser.delete_all_cookies()
            browser.get(url)
            shots |= _all_sizes(browser, "welcome")
            listener.click("[name=consent]")
            listener.click("button.primary")
            listener.wait("#toggle:enabled").click()
            listener.wait("#go:enabled").click()
            listener.wait('.trial[data-state="ready"]')
            _resize(browser, *SCREENS[-1])
            listener.rate_all(list(SCORES))
            shots |= _all_sizes(browser, "trial")
            browser.get("about:blank")
    return shots


def _all_sizes(browser: webdriver.Chrome, page: str) -> dict[tuple[str, int, str], Image.Image]:
    shots = {}
    for width, height in SCREENS:
        _resize(browser, width, height)
        for scheme in SCHEMES:
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            shots[page, width, scheme] = Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    return shots


def _resize(browser: webdriver.Chrome, width: int, height: int) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def sheet(shots: dict[tuple[str, int, str], Image.Image]) -> Image.Image:
    """Pages side by side: widths in columns, light above dark, one page below the other."""
    gap = 12
    columns = [round(width * SCALE) for width, _ in SCREENS]
    rows = [(page, scheme) for page in PAGES for scheme in SCHEMES]
    height = round(max(height for _, height in SCREENS) * SCALE)
    whole = Image.new("RGB", (sum(columns) + gap * (len(columns) + 1), (height + gap) * len(rows) + gap), "#8a9499")
    for row, (page, scheme) in enumerate(rows):
        left = gap
        for (width, _), column in zip(SCREENS, columns, strict=True):
            shot = shots[page, width, scheme]
            small = shot.resize((column, round(shot.height * SCALE)), Image.Resampling.LANCZOS)
            whole.paste(small, (left, gap + row * (height + gap)))
            left += column + gap
    return whole.quantize(COLOURS, dither=Image.Dither.NONE)


def main(folder: Path | None) -> None:
    """Draw all sheets, and keep the single screenshots if there is a folder for them."""
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options)
    try:
        for language in LANGUAGES:
            shots = screenshots(browser, language)
            for (page, width, scheme), shot in shots.items():
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    shot.save(folder / f"{page}-{language}-{width}-{scheme}.png")
            sheet(shots).save(ROOT / "docs" / "images" / f"listening-{language}.png", optimize=True)
    finally:
        browser.quit()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
