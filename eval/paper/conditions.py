"""Notes on how a run differs from a table of the paper: other weights, sample rates or channels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from earmark.baselines.encodec import Encodec
from earmark.baselines.registry import families
from earmark.codec.checkpoints.downloads import OFFICIAL, bundled
from earmark.codec.checkpoints.header import filters
from earmark.eval.paper.published_tables import Condition

DOUBLE_DAGGER = "‡"
PAPER_FILTERS = 32  # channels of the encoder's first layer (section 3.1)
CHANNELS = {1: "mono", 2: "stereo"}


def other_weights(system: str) -> str | None:
    """Describe the weights of an EnCodec system if they are not the paper's; None if they are, and for other codecs.

    Args:
        system: system string; the system need not be able to run here.
    """
    family = re.split("[@:]", system)[0]
    if not isinstance(families().get(family), Encodec):
        return None
    given = re.search(r":checkpoint=([^:]+)", system)
    if given is not None:
        return None if given[1] == OFFICIAL else f"those of {given[1]}"
    path = bundled(family)
    if path is None:  # without bundled weights the official ones are used
        return None
    return f"those that come with Earmark, {filters(path)} channels wide where the paper's are {PAPER_FILTERS}"


def weights_note(systems: Iterable[str]) -> str | None:
    """Name the marked systems and their weights; None if no system is marked."""
    marked: dict[str, list[str]] = {}
    for system in dict.fromkeys(systems):
        if (weights := other_weights(system)) is not None:
            marked.setdefault(weights, []).append(system)
    if not marked:
        return None
    listed = "; ".join(f"{', '.join(names)}: {weights}" for weights, names in marked.items())
    return f"{DOUBLE_DAGGER} Not the paper's weights. {listed}. `:checkpoint={OFFICIAL}` selects the paper's."


def condition_note(condition: Condition | None, info: Mapping[str, Any]) -> str | None:
    """Say how the run's recordings differ from the table's in sample rate or channels; None if they do not.

    Args:
        condition: None if the table has no fixed condition.
        info: content of run.json.
    """
    recordings = [recording for recording in info["recordings"] if not recording["error"]]
    rates = sorted({recording["sample_rate"] for recording in recordings})
    channels = sorted({recording["channels"] for recording in recordings})
    if condition is None or not recordings or (rates == [condition.sample_rate] and channels == [condition.channels]):
        return None
    remedy = f"--rate {condition.sample_rate}{' --mono' if condition.channels == 1 else ', and stereo recordings'}"
    layouts = (CHANNELS.get(count, f"{count} channels") for count in channels)
    return (
        f"Not the paper's condition, which is {condition.sample_rate / 1000:g} kHz {CHANNELS[condition.channels]}: "
        f"scored at {' and '.join(f'{rate / 1000:g}' for rate in rates)} kHz, {' and '.join(layouts)}; run "
        f"`earmark compare` with {remedy}."
    )
