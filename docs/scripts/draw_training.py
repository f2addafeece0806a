"""Draw the learning curve of the bundled model as trained-model.png, from the logs in docs/trained-model/.

python docs/scripts/draw_training.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

DOCS = Path(__file__).resolve().parents[1]
LEGS = ("legs-1-and-2", "leg-3", "leg-4", "leg-5", "leg-6", "leg-7", "leg-8")
OTHER_EXCERPTS = "leg-7"  # from here on, other recordings are validated, so that the curves begin again
PANELS = (("si_snr", "SI-SNR (dB), validation"), ("visqol", "ViSQOL (MOS-LQO), validation"))
CURVES = (
    ("3", "speech", "C0", "-"),
    ("6", "speech", "C1", "-"),
    ("3", "music", "C0", "--"),
    ("6", "music", "C1", "--"),
)
DISCRIMINATORS = (4200, 4514)  # updates in which they took part, grey


def legs() -> Iterator[tuple[str, int, list[dict[str, Any]]]]:
    """Name, updates before, and log of each leg."""
    before = 0
    for leg in LEGS:
        file = DOCS / "trained-model" / f"{leg}.jsonl"
        log = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        yield leg, before, log
        before += log[-1]["update"]


def main() -> None:
    mpl.rcParams["font.size"] = 9
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.9), layout="constrained")
    for axis, (metric, label) in zip(axes, PANELS, strict=False):
        axis.set_ylabel(label)
        for kbps, category, colour, style in CURVES:
            draw_scores(axis, f"{metric}@{kbps} {category}", colour, style, f"{kbps} kbps, {category}")
    axes[2].set_ylabel("log mel distance, training")
    for _, before, log in legs():
        rows = [(before + row["update"], row["log_mel"]) for row in log if "log_mel" in row]
        axes[2].plot(*zip(*rows, strict=True), color="C2", linewidth=1)
    axes[2].set_ylim(0.28, 0.6)
    for axis in axes:
        axis.set_xlabel("updates")
        axis.axvspan(*DISCRIMINATORS, color="0.9")
        for leg, before, _ in legs():
            if before:
                axis.axvline(before, color="0.6", linestyle="-" if leg == OTHER_EXCERPTS else ":", linewidth=1)
    axes[0].legend(fontsize=8)
    figure.savefig(DOCS / "images" / "trained-model.png", dpi=110)


def draw_scores(axis: plt.Axes, name: str, colour: str, style: str, label: str) -> None:
    """Draw one score over the updates, in two parts if the validated excerpts changed."""
    parts: list[list[tuple[int, float]]] = [[]]
    for leg, before, log in legs():
        if leg == OTHER_EXCERPTS:
            parts.append([])
        parts[-1] += [
            (before + row["update"], row["validation"][name]) for row in log if name in row.get("validation", {})
        ]
    for part, shown in zip(parts, (label, None), strict=True):
        axis.plot(*zip(*part, strict=True), color=colour, linestyle=style, label=shown, linewidth=1.3)


if __name__ == "__main__":
    main()
