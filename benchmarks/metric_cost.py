"""CPU time of each metric: its first call in a process, then its time per second of mono audio.

    python benchmarks/metric_cost.py [ROUNDS]

The metrics take turns; the table shows medians. Each has one thread, as in a worker of `earmark compare`. The time
includes resampling from 48 kHz.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.interface import Metric
from earmark.eval.metrics.registry import registered

SECONDS, RATE = 10, 48000


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A voice-like signal with pauses and the same with noise, each [1, time].

    Each seed gives other signals, so that a metric's cache does not shorten the next score.
    """
    moments = np.arange(SECONDS * RATE) / RATE
    voice = sum(np.sin(2 * np.pi * 120 * k * moments + k * k) / k for k in range(1, 60))
    syllables = np.clip(np.sin(2 * np.pi * 4 * moments), 0, None) * (moments % 2 < 1.5)
    noise = np.random.default_rng(seed).standard_normal((2, moments.size))
    reference = 0.1 * voice * syllables + 1e-4 * noise[0]
    return reference[None].astype(np.float32), (reference + 1e-3 * noise[1])[None].astype(np.float32)


def timed(metric: Metric, reference: np.ndarray, decoded: np.ndarray) -> float:
    """CPU seconds that one score takes."""
    start = time.process_time()
    evaluate(metric, reference, decoded, RATE)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rounds", type=int, nargs="?", default=5, help="default: 5")
    rounds = parser.parse_args().rounds
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
