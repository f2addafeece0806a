"""Wall time, CPU time and memory of a whole `earmark compare` against another checkout, in turns.

    python benchmarks/compare_speed.py RECORDINGS --before CHECKOUT [--rounds 5]

CHECKOUT is a folder with another commit of Earmark, set up by `make` (`git worktree add ../before COMMIT; make -C
../before`). Each round runs the command of this checkout and of the other, into new folders, with two jobs, on the same
 excerpts of the recordings. Medians over the rounds are printed. CPU time includes all processes; memory is that
of the largest one. Needs Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from earmark.codec import audio
from earmark.eval.comparison.machine import machine

CLIPS, SECONDS = 8, 38.0  # seconds in all
SYSTEMS, METRICS = "opus@12,mp3@64,encodec_24khz@3,anchor@3.5k", "si_snr,visqol,pesq,stoi"
MARK = 1.6
ROOT = Path(__file__).resolve().parents[1]
# Runs a command and adopts the processes that it leaves behind (Linux), so that its figures are those of all of them.
WAITING = """if True:
    import ctypes, json, os, resource, subprocess, sys
    ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
    status = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
    try:
        while True:
            os.wait()
    except ChildProcessError:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(json.dumps([status, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


def excerpts(recordings: Path, folder: Path) -> None:
    """Write excerpts of the first clips, of equal length, as far as each is long enough."""
    files = sorted(path for path in recordings.iterdir() if path.suffix in (".wav", ".flac", ".ogg"))
    for path in files[-CLIPS:]:
        recording = audio.read(path)
        samples = recording.samples[:, : round(SECONDS / CLIPS * recording.sample_rate)]
        audio.write(folder / f"{path.stem}.wav", samples, recording.sample_rate)


def timed(checkout: Path, corpus: Path, run: Path) -> tuple[float, float, float]:
    """Seconds, CPU seconds, and the memory in MB of the largest process, of a whole command in a new process."""
    command = [
        checkout / ".venv" / "bin" / "python", "-m", "earmark", "compare", corpus, "--systems", SYSTEMS,
        "--metrics", METRICS, "--out", run, "--jobs", "2", "--quiet",
    ]  # fmt: skip
    began = time.perf_counter()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", WAITING, *map(str, command)], stdout=subprocess.PIPE, check=True, cwd=run.parent,
        env=environment, text=True,
    )  # fmt: skip
    took = time.perf_counter() - began
    status, cpu, memory = json.loads(result.stdout)
    if status:
        raise SystemExit(f"{checkout}: earmark compare ended with status {status}")
    return took, cpu, memory / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, help="folder of at least eight audio files")
    parser.add_argument("--before", type=Path, required=True, help="checkout of another commit, with its .venv")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    options = parser.parse_args()
    figures: dict[str, list[tuple[float, float, float]]] = {"before": [], "now": []}
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "recordings"
        corpus.mkdir()
        excerpts(options.recordings, corpus)
        for round_ in range(options.rounds):
            order = [("before", options.before.resolve()), ("now", ROOT)]
            for name, checkout in order if round_ % 2 else reversed(order):
                figures[name].append(timed(checkout, corpus, Path(folder) / f"{name} {round_}"))
        scores = [pd.read_parquet(Path(folder) / f"{name} 0" / "scores.parquet") for name in figures]
    print(f"{machine()}; medians of {options.rounds} runs in turns")
    print(f"{'':<8}{'wall, s':>10}{'CPU, s':>10}{'memory, MB':>12}")
    for name, runs in figures.items():
        wall, cpu, memory = (statistics.median(values) for values in zip(*runs, strict=True))
        print(f"{name:<8}{wall:>10.1f}{cpu:>10.1f}{memory:>12.0f}")
    for index, (name, mark) in enumerate((("wall time", f", mark {MARK}"), ("CPU time", ""))):
        pairs = zip(figures["before"], figures["now"], strict=True)
        print(f"{name}: {statistics.median(b[index] / n[index] for b, n in pairs):.2f} times as fast{mark}")
    equal = scores[0]["value"].equals(scores[1]["value"])
    print(f"scores: {'bit-identical' if equal else 'NOT EQUAL'}")


if __name__ == "__main__":
    main()
