"""Send every test signal through one system and keep what came back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from earmark.baselines.interface import System
from earmark.baselines.systems import family_of
from earmark.codec.audio import Audio
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.eval.probe import signals
from earmark.eval.probe.coder import Call, Coder, Format, coder_apart
from earmark.eval.probe.formats import ASKED, Accepted, accepted_formats, short_signals

Start = Callable[[System], AbstractContextManager[Coder]]
LONG = 2  # how many times longer the long noise is than the short one


@dataclass(frozen=True)
class Passage:
    """A test signal, and what came back for it; `call` is None if the codec failed, and `failure` says why."""

    source: Audio
    call: Call | None
    failure: str | None = None


@dataclass(frozen=True)
class Session:
    """Everything that was sent and what came back.

    Args:
        kbps: nominal bit rate; None if the codec states none.
        asked: format of the sources; own: format in which the codec works, and of all signals.
        passages: name of the test signal -> what came back; without those of `repeats`.
        first: speech, as the first call of a process.
        repeats: the same speech in another process: three times, then once more after noise at full scale.
        short: length in samples of very short recordings -> why the codec fails on them.
        stereo: two channels that differ; None if the codec has no stereo format of its own at this sample rate.
    """

    system: str
    kbps: float | None
    coded: bool
    asked: Format
    own: Format
    formats: dict[Format, Accepted]
    passages: dict[str, Passage]
    first: Passage
    repeats: tuple[Passage, ...]
    short: dict[int, str | None]
    stereo: Passage | None = None


def run(system: System, sample_rate: int | None = None, start: Start = coder_apart) -> Session:
    """Probe a system.

    Args:
        sample_rate: of the sources, in Hz; default: the highest common one that the codec accepts.
        start: opens a coder in a fresh process.

    Raises:
        UserError: the codec accepts no format.
    """
    with progress("probe", len(ASKED) + 14) as advance:
        with start(system) as coder:
            formats = accepted_formats(coder, advance)
            asked = _format(system, formats, sample_rate)
            own = coder.open(asked)
        test = _test_signals(own)
        with start(system) as coder:
            first = _pass(coder, asked, test["speech"])
            advance("fresh process")
        with start(system) as coder:
            repeats = []
            for name in ("speech", "speech", "speech", "noise at full scale", "speech"):
                repeats.append(_pass(coder, asked, test[name]))
                advance(name)
            passages = {"speech": repeats[0], "noise at full scale": repeats.pop(3)}
            for name, source in test.items():
                if name not in passages:
                    passages[name] = _pass(coder, asked, source)
                    advance(name)
            short = short_signals(coder, asked, own)
            stereo = _stereo(coder, formats, own)
    family = family_of(system)
    return Session(
        system.text, family.kbps(system), family.coded, asked, own, formats, passages, first, tuple(repeats), short,
        stereo,
    )  # fmt: skip


def _stereo(coder: Coder, formats: dict[Format, Accepted], own: Format) -> Passage | None:
    """Two channels that differ, at the sample rate of the other signals."""
    two = Format(own.sample_rate, 2)
    if not any(result.own == two and result.failure is None for result in formats.values()):
        return None
    asked = next(one for one, result in formats.items() if result.own == two and result.failure is None)
    return _pass(coder, asked, signals.two_voices(own.sample_rate))


def _format(system: System, formats: dict[Format, Accepted], sample_rate: int | None) -> Format:
    """The mono format of the sources, or stereo if the codec has no mono."""
    if sample_rate is not None:
        return Format(sample_rate, 1)
    able = [asked for asked, result in formats.items() if result.failure is None]
    if not able:
        reason = next(result.failure for result in reversed(formats.values()))
        raise UserError(f"{system.text}: it codes no format ({reason})")
    channels = min(asked.channels for asked in able)
    return max((asked for asked in able if asked.channels == channels), key=lambda asked: asked.sample_rate)


def _test_signals(own: Format) -> dict[str, Audio]:
    """Name -> signal in the codec's own format, [channels, time]."""
    rate = own.sample_rate
    speech, noise = signals.speech(rate), signals.noise(rate)
    mono = {
        "speech": speech, "noise at full scale": signals.at_full_scale(noise), "noise": noise,
        "long noise": signals.noise(rate, LONG * signals.SECONDS), "sweep": signals.sweep(rate),
        "clicks": signals.clicks(rate), "speech at full scale": signals.at_full_scale(speech),
        "silence": signals.silence(rate),
    }  # fmt: skip
    return {name: np.repeat(audio, own.channels, axis=0) for name, audio in mono.items()}


def _pass(coder: Coder, asked: Format, source: Audio) -> Passage:
    try:
        return Passage(source, coder.code(asked, source))
    except UserError as error:
        return Passage(source, None, str(error))
