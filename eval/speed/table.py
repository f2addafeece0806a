"""The table of `earmark bench`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from earmark.codec.audio import Recording
from earmark.codec.text import counted
from earmark.eval.comparison.machine import machine
from earmark.eval.speed.timing import Timing
from earmark.eval.tables.grid import Grid
from earmark.eval.tables.numbers import DASH

HEADINGS = (
    "System", "encoding, × real time", "decoding, × real time", "latency, ms", "memory, MB",
    "parameters, M", "weights, MB", "encoding, GFLOP/s", "decoding, GFLOP/s",
)  # fmt: skip


def speed_grid(
    timings: Sequence[Timing], failed: Mapping[str, str], recording: Recording, repeats: int, threads: int
) -> Grid:
    """Table of measurements, one row per system.

    Args:
        timings, failed: from `earmark.eval.speed.timing.measure`.
    """
    return Grid(
        "Speed",
        HEADINGS,
        (*map(_row, timings), *((text, *[DASH] * (len(HEADINGS) - 1)) for text in failed)),
        (
            "Real-time factor: audio duration over processing time, higher is faster; median and quartiles of "
            f"{counted(repeats, 'turn')} over {recording.seconds:g} s at {recording.sample_rate} Hz, "
            f"{counted(threads, 'thread')}, each system in a process of its own, in turns, on {machine()}. "
            "Resampling to the codec's own rate is not included. Latency: delay of the method, without computation. "
            "Memory: peak of the process, including Python and its libraries. GFLOP/s: per second of audio; a "
            "multiplication and an addition count as two.",
            *(f"{text}: {reason}" for text, reason in failed.items()),
        ),
    )


def _row(timing: Timing) -> tuple[str, ...]:
    cost = timing.cost
    return (
        timing.system,
        timing.encode.text,
        timing.decode.text,
        f"{1000 * timing.latency:.1f}" if timing.latency is not None else DASH,
        f"{timing.peak_bytes / 1e6:,.0f}" if timing.peak_bytes is not None else DASH,
        f"{cost.parameters / 1e6:.2f}" if cost else DASH,
        f"{cost.weight_bytes / 1e6:.1f}" if cost else DASH,
        f"{cost.encode_flops / 1e9:.2f}" if cost else DASH,
        f"{cost.decode_flops / 1e9:.2f}" if cost else DASH,
    )
