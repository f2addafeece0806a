"""Time and memory of a large run apart from coding and scoring: its records, table, means, report and hashes.

    python benchmarks/run_at_scale.py [CLIPS]

Simulates CLIPS recordings x 10 systems x 2 metrics. Each step runs in its own process, to measure its peak memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from earmark.baselines.registry import family_of
from earmark.baselines.systems import parse_list
from earmark.eval.comparison import records
from earmark.eval.comparison.corpus import Source, sha256
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.run_folder import read_scores
from earmark.eval.comparison.tally import Tally
from earmark.eval.comparison.work import cell
from earmark.eval.metrics.interface import Score
from earmark.eval.metrics.registry import find
from earmark.eval.report.page import write_report
from earmark.eval.speed.worker import peak_bytes
from earmark.eval.statistics.aggregate import summarise

SYSTEMS = parse_list("opus@6,opus@12,opus@24,mp3@32,mp3@64,aac@32,aac@64,anchor@3.5k,anchor@7k,reference")
METRICS = {"si_snr": "si_snr", "stoi": "stoi"}


def record(number: int, coded: bool = True) -> Record:
    """A record with made-up scores; a system without a bitstream has no bit rate."""
    scores = {cell(find(name)): Score(number / 7) for name in METRICS}
    kbps = 6.0 if coded else None
    return Record(24000, 1, 5.0, kbps, 0, 0.1, 0.05, f"480044 {number:032x}", [], scores, 0.1)


def add_records(folder: Path, clips: int) -> None:
    """Append records one by one, as a run does."""
    with records.appended(folder) as add:
        for number in range(clips * len(SYSTEMS)):
            add(f"{number:064x}", record(number))


def read_records(folder: Path, clips: int) -> None:
    """Read the records as a resumed run does, and look up one in a hundred."""
    known = records.read(folder)
    for number in range(0, len(known), 100):
        known[f"{number:064x}"]


def make_table(folder: Path, clips: int) -> None:
    """Collect the scores of all recordings and write scores.parquet."""
    sources = [Source(f"speech/{number:06}.wav", folder, "speech") for number in range(clips)]
    tally = Tally(sources, SYSTEMS, tuple(METRICS), lambda system, category: METRICS)
    for number, source in enumerate(sources):
        for system in SYSTEMS:
            tally.add(source.file, system.text, record(number, family_of(system).coded))
    tally.table().to_parquet(folder / "scores.parquet", index=False)


def make_means(folder: Path, clips: int) -> None:
    """Compute the mean scores of all systems."""
    summarise(read_scores(folder))


def make_report(folder: Path, clips: int) -> None:
    """Write the report without audio players, whose number does not depend on the size of the run."""
    names = [f"speech/{number:06}.wav" for number in range(clips)]
    form = {
        "category": "speech",
        "sha256": "0" * 64,
        "error": None,
        "sample_rate": 24000,
        "channels": 1,
        "seconds": 5.0,
    }
    info = {
        "earmark": "0", "created": "2026-01-01T00:00:00", "command": "earmark compare", "audio_dir": "audio",
        "systems": [system.text for system in SYSTEMS], "metrics": list(METRICS), "speech_categories": ["speech"],
        "sample_rate": 24000, "mono": True, "versions": {}, "metric_versions": {}, "notes": [],
        "recordings": [{"file": name, **form} for name in names],
    }  # fmt: skip
    write_report(folder, read_scores(folder), info)


def hash_files(folder: Path, clips: int) -> None:
    """Hash 1 GB in files of 480 kB (5 s with 16 bits at 48 kHz) from the file system's cache."""
    file = folder / "clip"
    file.write_bytes(os.urandom(480_000))
    for _ in range(2083):
        sha256(file)


def nothing(folder: Path, clips: int) -> None:
    """Start Python and import the libraries."""


def _measured(step: Callable[[Path, int], None], folder: Path, clips: int) -> None:
    start = time.perf_counter()
    step(folder, clips)
    print(f"{step.__name__:<14}{time.perf_counter() - start:>10.1f} s{(peak_bytes() or 0) / 1e6:>10.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=int, nargs="?", default=100_000, help="number of recordings; default: 100000")
    clips = parser.parse_args().clips
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for step in (nothing, add_records, read_records, make_table, make_means, make_report, hash_files):
            process = context.Process(target=_measured, args=(step, Path(folder), clips))
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(f"{step.__name__} ended with status {process.exitcode}")


if __name__ == "__main__":
    main()
