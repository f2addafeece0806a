"""Where a run is not what a table of the paper is about: other weights than the paper's, other rates or channels."""

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
    """What weights an EnCodec of ours has where they are not the paper's; None where they are, or for other codecs.

    Args:
        system: its string; it need not be one that can run here.
    """
    family = re.split("[@:]", system)[0]
    if not isinstance(families().get(family), Encodec):
        return None
    given = re.search(r":checkpoint=([^:]+)", system)
    if given is not None:
        return None if given[1] == OFFICIAL else f"those of {given[1]}"
    path = bundled(family)
    if path is None:  # without any, the official ones are taken
        return None
    return f"those that come with Earmark, {filters(path)} channels wide where the paper's are {PAPER_FILTERS}"


def weights_note(systems: Iterable[str]) -> str | None:
    """Names the systems that are marked, and their weights."""
    found: dict[str, list[str]] = {}
    for system in dict.fromkeys(systems):
        if (weights := other_weights(system)) is not None:
            found.setdefault(weights, []).append(system)
    if not found:
        return None
    listed = "; ".join(f"{', '.join(names)}: {weights}" for weights, names in found.items())
    return f"{DOUBLE_DAGGER} Not the paper's weights. {listed}. `:checkpoint={OFFICIAL}` takes the paper's."


def condition_note(condition: Condition | None, info: Mapping[str, Any]) -> str | None:
    """Says where the recordings, as they were judged, differ from the table's in sample rate or channels.

    Args:
        condition: None where any will do.
        info: content of run.json.
    """
    judged = [entry for entry in info["recordings"] if not entry["error"]]
    rates = sorted({entry["sample_rate"] for entry in judged})
    channels = sorted({entry["channels"] for entry in judged})
    if condition is None or not judged or (rates == [condition.sample_rate] and channels == [condition.channels]):
        return None
    remedy = f"--rate {condition.sample_rate}{' --mono' if condition.channels == 1 else ', and stereo recordings'}"
    heard = (CHANNELS.get(count, f"{count} channels") for count in channels)
    return (
        f"Not the paper's condition, which is {condition.sample_rate / 1000:g} kHz {CHANNELS[condition.channels]}: "
        f"judged at {' and '.join(f'{rate / 1000:g}' for rate in rates)} kHz, {' and '.join(heard)}; take "
        f"`earmark compare` with {remedy}."
    )
