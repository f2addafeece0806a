"""Sample rates and channel counts that a codec accepts, and the formats in which it works."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from earmark.codec.errors import UserError
from earmark.eval.probe import signals
from earmark.eval.probe.coder import Call, Coder, Format

RATES = (8000, 16000, 24000, 32000, 44100, 48000)
ASKED = tuple(Format(rate, channels) for channels in (1, 2) for rate in RATES)
SECONDS = 0.25


@dataclass(frozen=True)
class Accepted:
    """A codec's treatment of a source of one format.

    Args:
        own: format in which the codec worked.
        failure: why it failed; None if it returned audio.
    """

    own: Format | None
    failure: str | None


def accepted_formats(coder: Coder, advance: Callable[[str], None]) -> dict[Format, Accepted]:
    """Code a short noise of each common format; those that the codec converts to the same one are coded once."""
    found: dict[Format, Accepted] = {}
    done: dict[Format, str | None] = {}
    for asked in ASKED:
        own = None
        try:
            own = coder.open(asked)
            if own not in done:
                done[own] = None
                coder.code(asked, signals.noise(own.sample_rate, SECONDS, own.channels))
        except UserError as error:
            if own is not None:
                done[own] = str(error)
            found[asked] = Accepted(own, str(error))
        else:
            found[asked] = Accepted(own, done[own])
        advance(f"{asked.sample_rate / 1000:g} kHz, {asked.channels} ch")
    return found


def short_signals(coder: Coder, asked: Format, own: Format) -> dict[int, str | None]:
    """Length in samples of very short recordings -> why the codec fails on them, None if it does not."""
    results: dict[int, str | None] = {}
    for length in (1, round(0.01 * own.sample_rate), round(0.1 * own.sample_rate)):
        audio = signals.noise(own.sample_rate, SECONDS, own.channels)[:, :length]
        try:
            call: Call = coder.code(asked, audio)
            results[length] = None if call.decoded.shape[-1] else "it returned no samples"
        except UserError as error:
            results[length] = re.sub(r"\S*/earmark-\w+/", "", str(error))  # the folder of a command
    return results
