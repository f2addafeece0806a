"""Draw the admin page of a study with simulated listeners, wide and light, narrow and dark, as mushra-admin.png.

    python docs/scripts/draw_admin_page.py

Needs Chromium with its driver.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from unittest import mock

from PIL import Image
from selenium import webdriver

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from earmark.mushra_app.database import admin_access  # noqa: E402
from earmark.mushra_app.database.store import Store  # noqa: E402
from earmark.mushra_app.database.submissions import Answer  # noqa: E402
from earmark.mushra_app.database.tables import Trial  # noqa: E402
from earmark.mushra_app.study import study as studies  # noqa: E402
from earmark.mushra_app.study.study import Condition, Item  # noqa: E402
from earmark.mushra_app.web import Options, create_app  # noqa: E402
from tests.mushra_app.browsing import resize, serve  # noqa: E402
from tests.mushra_app.conftest import FLAGS, write_study  # noqa: E402

QUALITY = {"reference": 99, "opus@12": 80, "aac@24": 65, "opus@6": 57, "mp3@32": 52, "anchor@3.5k": 24}
ROLES = {"reference": "hidden reference", "anchor@3.5k": "low anchor"}
ITEMS, FINISHED, TRIALS = 12, 20, 6
SIZES = ((1280, 1240), (320, 1240))
GAP = 24
COLOURS = 64


class Simulation:
    """Listeners who rate one after the other, by a clock that runs as fast as they are simulated."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rng = random.Random(0)
        self.now = time.time() - 20 * 3600
        self.tastes = {item.id: self.rng.gauss(0, 8) for item in store.study.items}

    def clock(self) -> float:
        """The time of the simulation, in place of `time.time`."""
        return self.now

    def take_part(self, key: str, trials: int, careless: bool = False) -> None:
        """Begin a session and rate its first `trials` trials."""
        self.store.enrol(key)
        self.store.begin(key)
        for step in self.store.listener(key).steps:
            if step.trial_id is None:
                self.store.complete(key, step.key, None)
        for trial in self.store.enrol(key).trials[:trials]:
            self._rate(key, self.store.serve_trial(trial.id), careless)

    def _rate(self, key: str, trial: Trial, careless: bool) -> None:
        for stimulus in trial.stimuli:
            self.store.stimulus(key, stimulus.token)
        seconds = self.rng.lognormvariate(4.4, 0.3)
        self.now += seconds
        scores = {
            stimulus.token: self._score(stimulus.condition, trial.item, careless) for stimulus in trial.conditions
        }
        self.store.submit(key, trial.key, {token: Answer(score) for token, score in scores.items()}, seconds)

    def _score(self, condition: str, item: str, careless: bool) -> int:
        if careless:
            return self.rng.randint(30, 90)
        if condition == "reference":
            return self.rng.choice([97, 98, 99, 100, 100, 100])
        return max(0, min(100, round(QUALITY[condition] + self.tastes[item] + self.rng.gauss(0, 8))))


def prepare(folder: Path) -> None:
    """Write the study, with the names of items and conditions that a real one has."""
    conditions = tuple(Condition(name, ROLES.get(name, "system")) for name in QUALITY)
    study = write_study(folder, items=ITEMS, annotations=10, trials=TRIALS, seconds=1.0, conditions=conditions)
    items = tuple(_named(item, number) for number, item in enumerate(study.items))
    studies.save(replace(study, name="low rates", items=items), folder)


def _named(item: Item, number: int) -> Item:
    category = "music" if number < ITEMS // 2 else "speech"
    return replace(item, id=f"{category}-{number + 1:03d}", category=category)


def simulate(store: Store) -> None:
    """Fill the database: finished sessions, every seventh careless, one ended early, one deserted, two at work."""
    simulation, begun = Simulation(store), time.time()
    with mock.patch.object(time, "time", simulation.clock):
        for number in range(FINISHED):
            simulation.now += 900
            simulation.take_part(f"listener {number}", TRIALS, careless=number % 7 == 3)
        simulation.take_part("left", 2)
        store.leave("left")
        simulation.take_part("stopped", 1)
        simulation.now = begun - 300
        for number in range(2):
            simulation.take_part(f"at work {number}", 2)
        store.screen_ended_sessions()


def screenshots(browser: webdriver.Chrome) -> list[Image.Image]:
    """The page at each of SIZES: the first light, the second dark."""
    shots = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        app = create_app(Path(folder), Options(rule="bs1534"))
        store = app.extensions["earmark"].store
        simulate(store)
        for url in serve(app):
            browser.get(url + "admin/")
            browser.find_element("name", "password").send_keys(admin_access.new_password(store) + "\n")
            for size, scheme in zip(SIZES, ("light", "dark"), strict=True):
                resize(browser, *size)
                media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
                shots.append(Image.open(BytesIO(browser.get_screenshot_as_png())).convert("RGB"))
            browser.get("about:blank")
    return shots


def main() -> None:
    """Draw both pages side by side."""
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options)
    try:
        shots = screenshots(browser)
    finally:
        browser.quit()
    whole = Image.new("RGB", (sum(shot.width for shot in shots) + GAP, shots[0].height), "white")
    left = 0
    for shot in shots:
        whole.paste(shot, (left, 0))
        left += shot.width + GAP
    picture = whole.quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(ROOT / "docs" / "images" / "mushra-admin.png", optimize=True)


if __name__ == "__main__":
    main()
