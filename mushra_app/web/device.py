"""The listener's browser and device, coarsely: what rules of entry and reports need, and nothing that identifies.

The browser's name and major version, the system and the type of device come from the header User-Agent, whose full
text is not stored. features.js adds the pointer that pressed Start and the sample rate of the sound output.
"""

from __future__ import annotations

import json
import re
from typing import Any

from earmark.mushra_app.study.entry import HIGHEST_RATE, LOWEST_RATE

# In this order: most browsers also carry the names of those after them.
BROWSERS = (
    ("Edge", r"Edg(?:A|iOS)?/(\d+)"), ("Opera", r"OPR/(\d+)"), ("Samsung Internet", r"SamsungBrowser/(\d+)"),
    ("Firefox", r"(?:Firefox|FxiOS)/(\d+)"), ("Chrome", r"(?:Chrome|CriOS|Chromium)/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* (?:Mobile/\w+ )?Safari/"),
)  # fmt: skip
SYSTEMS = (
    ("iOS", "iPhone|iPod|iPad"), ("Android", "Android"), ("Windows", "Windows"), ("ChromeOS", "CrOS"),
    ("macOS", "Macintosh"), ("Linux", "Linux|X11"),
)  # fmt: skip
POINTERS = ("mouse", "touch", "pen")


def describe(agent: str, sent: str) -> dict[str, Any]:
    """Describe a browser and its device.

    Args:
        agent: header User-Agent.
        sent: JSON from the field "device" of the first page: {"pointer", "sample_rate", "touch_points"}. Wrong or
            missing values are left out.

    Returns:
        browser ("Firefox 121"), system ("Windows"), type ("computer", "tablet" or "phone"), pointer ("mouse", "touch"
        or "pen") and sample_rate (Hz), as far as they are known.
    """
    browser = next((f"{name} {found[1]}" for name, mark in BROWSERS if (found := re.search(mark, agent))), "")
    system = next((name for name, mark in SYSTEMS if re.search(mark, agent)), "")
    given = _read(sent)
    touch_points = given.get("touch_points")
    is_ipad = system == "macOS" and isinstance(touch_points, int) and touch_points > 1  # it claims to be a Mac
    if is_ipad:
        system = "iOS"
    device: dict[str, Any] = {"browser": browser, "system": system, "type": _type(agent, system, is_ipad=is_ipad)}
    if given.get("pointer") in POINTERS:
        device["pointer"] = given["pointer"]
    rate = given.get("sample_rate")
    if isinstance(rate, int) and not isinstance(rate, bool) and LOWEST_RATE <= rate <= HIGHEST_RATE:
        device["sample_rate"] = rate
    return {name: value for name, value in device.items() if value != ""}


def _type(agent: str, system: str, *, is_ipad: bool) -> str:
    if is_ipad or "iPad" in agent or (system == "Android" and "Mobile" not in agent):
        return "tablet"
    return "phone" if system in ("iOS", "Android") or "Mobile" in agent else "computer"


def _read(sent: str) -> dict[str, Any]:
    try:
        given = json.loads(sent[:500])
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}
