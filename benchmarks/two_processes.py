"""Speed-up of a run by two local processes instead of one, timed in turns. Needs two idle cores.

python benchmarks/two_processes.py [CLIPS] [ROUNDS]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.speed.timing import swelling_chord

SYSTEMS, METRICS, SECONDS = "opus@12,mp3@64,anchor@3.5k", ("si_snr", "stoi", "visqol"), 5.0


def timed(corpus: Path, run: Path, jobs: int) -> float:
    """Seconds that a whole run into a new folder takes."""
    plan = runner.Plan(
        audio_dir=corpus, systems=tuple(parse_list(SYSTEMS)), metrics=METRICS, run=run, format=ReferenceFormat(),
        speech=SPEECH_PATTERNS, jobs=jobs, command="benchmarks/two_processes.py",
    )  # fmt: skip
    began = time.perf_counter()
    result = runner.run(plan)
    assert not result.failures, result.failures
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=int, nargs="?", default=24, help="number of recordings; default: 24")
    parser.add_argument("rounds", type=int, nargs="?", default=3, help="default: 3")
    arguments = parser.parse_args()
    clips, rounds = arguments.clips, arguments.rounds
    took: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "music"
        recording = swelling_chord(clips + SECONDS, 48000)
        for clip in range(clips):
            start = clip * recording.sample_rate
            samples = recording.samples[:, start : start + round(SECONDS * recording.sample_rate)]
            audio.write(corpus / f"{clip:03}.wav", samples.copy(), recording.sample_rate)
        print(f"load average at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        for round_ in range(rounds):
            for jobs in took:
                took[jobs].append(timed(corpus, Path(folder) / f"run-{round_}-{jobs}", jobs))
    one, two = (statistics.median(took[jobs]) for jobs in took)
    print(f"{clips} clips of {SECONDS:g} s, {SYSTEMS}:")
    print(f"{one:.1f} s with one process, {two:.1f} s with two: {one / two:.2f} x")


if __name__ == "__main__":
    main()
