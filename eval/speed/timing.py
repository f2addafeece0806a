"""Real-time factors, latency and memory of codecs, as in Tables 5 and A.3 of the EnCodec paper.

Each system runs in a process of its own with a fixed number of threads. The systems take turns, so that other load on
the machine affects all alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from earmark.baselines.interface import System
from earmark.baselines.systems import family_of
from earmark.codec.audio import Recording
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.eval.speed.model_cost import ModelCost, language_model_cost, model_cost
from earmark.eval.speed.worker import Worker, started
from earmark.eval.tables.numbers import factor_text

SEED = 5


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of real-time factors: audio duration over processing time, higher is faster."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, seconds: float, times: Sequence[float]) -> Spread:
        """Factors of `seconds` of audio that took `times` seconds to process."""
        low, median, high = np.quantile(seconds / np.array(times), [0.25, 0.5, 0.75])
        return cls(float(median), float(low), float(high))

    @property
    def text(self) -> str:
        return f"{factor_text(self.median)} ({factor_text(self.low)} to {factor_text(self.high)})"


@dataclass(frozen=True)
class Timing:
    """Measurements of one system.

    Args:
        latency: seconds between input and output of a sample, not counting computation; None if the codec does not
            state it.
        peak_bytes: peak memory of its process; None if the operating system does not report it.
        cost: cost of its network including a language model; None for codecs without a network.
    """

    system: str
    encode: Spread
    decode: Spread
    latency: float | None
    peak_bytes: int | None
    cost: ModelCost | None


def swelling_chord(seconds: float, sample_rate: int = 24000) -> Recording:
    """A chord with noise that swells and fades, mono and seeded: neither silent nor trivial for any codec."""
    rng = np.random.default_rng(SEED)
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    chord = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220.0, 277.2, 329.6, 1108.7, 2637.0))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 1.5 * time)
    noise = rng.standard_normal(time.size)
    return Recording((0.05 * (chord + swell * noise))[None].astype(np.float32), sample_rate)


def measure(
    systems: Sequence[System], recording: Recording, *, repeats: int, warm_up: int, threads: int
) -> tuple[list[Timing], dict[str, str]]:
    """Encode and decode a recording with each system in turn, `repeats` times.

    Args:
        warm_up: turns of each system that do not count.
        threads: threads per system.

    Returns:
        The measurements of the systems that completed all turns; and a mapping from each other system to the reason
        why it cannot run here or failed.

    Raises:
        UserError: no system completed all turns.
    """
    failed = {one.text: reason for one in systems if (reason := family_of(one).unavailable(one)) is not None}
    able = [system for system in systems if system.text not in failed]
    with started(able, recording, threads) as workers:
        times = _take_turns(workers, failed, repeats, warm_up)
        measured = [system for system in able if system.text not in failed]
        facts = {system.text: workers[system.text].ask("facts") for system in measured}
    if not measured:
        raise UserError(next(f"{text}: {reason}" for text, reason in failed.items()))
    timings = [
        Timing(
            system.text,
            Spread.of(recording.seconds, [encoding for encoding, _ in times[system.text]]),
            Spread.of(recording.seconds, [decoding for _, decoding in times[system.text]]),
            facts[system.text]["latency"],
            facts[system.text]["peak_bytes"],
            _cost(system),
        )
        for system in measured
    ]
    return timings, failed


def _take_turns(
    workers: Mapping[str, Worker], failed: dict[str, str], repeats: int, warm_up: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds of encoding and decoding per system and counted turn, in random order within each turn.

    Args:
        failed: gets the reason of each system that fails.
    """
    rng = np.random.default_rng(SEED)
    names = list(workers)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    with progress("bench", len(names) * repeats) as advance:
        for turn in range(-1, warm_up + repeats):
            for index in rng.permutation(len(names)):
                name = names[index]
                if name not in failed:
                    try:  # in turn -1 a worker says that it is ready
                        seconds = workers[name].answer() if turn < 0 else workers[name].ask("turn")
                    except UserError as error:
                        failed[name] = str(error)
                        workers[name].end()
                    else:
                        if turn >= warm_up:
                            times[name].append(seconds)
                if turn >= warm_up:
                    advance(name)
    return times


def _cost(system: System) -> ModelCost | None:
    from earmark.baselines.encodec import Encodec

    family = family_of(system)
    if not isinstance(family, Encodec):
        return None
    source, kbps = family.source(system), family.kbps(system) or 0.0
    cost = model_cost(source, kbps)
    if "lm" in system.options:
        cost += language_model_cost(family.language_model(system), source, kbps)
    return cost
