"""What each metric costs: its first call in a process, and then its time per second of mono audio.

The metrics take turns, so that a busy moment of the machine hits them all, and the median counts. One thread each, as
in a worker of `earmark compare`; a metric's resampling from 48 kHz is part of its time.

    python benchmarks/metric_cost.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Metric
from earmark.eval.metrics.registry import registered

SECONDS, RATE = 10, 48000


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A voice-like signal with pauses and the same with noise, [1, time] each; others for each seed.

    So that nothing that a metric remembers of a signal shortens the next score.
    """
    moments = np.arange(SECONDS * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * moments + k * k) / k for k in range(1, 60))
    syllables = np.clip(np.sin(2 * np.pi * 4 * moments), 0, None) * (moments % 2 < 1.5)
    noise = np.random.default_rng(seed).standard_normal((2, moments.size))
    reference = 0.1 * voice * syllables + 1e-4 * noise[0]
    return reference[None].astype(np.float32), (reference + 1e-3 * noise[1])[None].astype(np.float32)


def timed(metric: Metric, reference: np.ndarray, decoded: np.ndarray) -> float:
    """Seconds for one score."""
    start = time.perf_counter()
    evaluate(metric, reference, decoded, RATE)
    return time.perf_counter() - start


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    metrics = {name: metric for name, metric in registered().items() if metric.available() is None}
    first = {name: timed(metric, *pair(0)) for name, metric in metrics.items()}
    took: dict[str, list[float]] = {name: [] for name in metrics}
    for round_ in range(1, rounds + 1):
        reference, decoded = pair(round_)
        for name, metric in metrics.items():
            took[name].append(timed(metric, reference, decoded))
    print(f"median of {rounds} scores of {SECONDS} s of audio")
    print(f"{'metric':<16}{'first call':>12}{'later':>10}{'x real time':>14}")
    for name, seconds in took.items():
        median = statistics.median(seconds)
        print(f"{name:<16}{first[name]:>10.2f} s{median:>8.3f} s{median / SECONDS:>14.4f}")
    for name, metric in registered().items():
        if name not in metrics:
            print(f"{name:<16}{metric.available()}")


if __name__ == "__main__":
    main()
