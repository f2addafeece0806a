"""Chromium, which opens reports."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

LISTEN_IN = """
const Native = window.AudioContext;
window.AudioContext = class extends Native {
  constructor(...options) {
    super(...options);
    window.analyser = new AnalyserNode(this, { fftSize: 8192, smoothingTimeConstant: 0 });
  }
};
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) connect.call(this, window.analyser);
  return connect.call(this, target, ...rest);
};
window.heard = () => { // frequency of the strongest partial in Hz, 0 for silence
  const spectrum = new Float32Array(window.analyser.frequencyBinCount);
  window.analyser.getFloatFrequencyData(spectrum);
  const peak = spectrum.indexOf(Math.max(...spectrum));
  return spectrum[peak] > -60 ? (peak * window.analyser.context.sampleRate) / window.analyser.fftSize : 0;
};
"""


@pytest.fixture
def browser() -> Iterator[Any]:
    """Chromium, in which heard() returns the pitch of what the page plays."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no Chromium with chromedriver here")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--window-size=1200,900",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chromium = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        chromium.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": LISTEN_IN})
        yield chromium
    finally:
        chromium.quit()
