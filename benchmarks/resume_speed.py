"""CPU time of `earmark compare` of a run that is finished already, by default 12,000 pairs of recording and system.

    python benchmarks/resume_speed.py [RECORDINGS] [--profile N]

Records and decoded files are made by the same functions as in a real run, with made-up scores and short audio, as
neither the length of a recording nor the value of its scores matters to a command that computes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import cProfile
import io
import pstats
import tempfile
import time
from pathlib import Path

import numpy as np

from earmark.baselines.systems import parse_list
from earmark.codec import audio
from earmark.eval.alignment.result import Alignment
from earmark.eval.comparison import records, runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from earmark.eval.comparison.records import Record
from earmark.eval.comparison.stamps import stamp
from earmark.eval.comparison.work import Task, cell
from earmark.eval.metrics.interface import Score
from earmark.eval.report.results import refresh

SYSTEMS = parse_list("opus@6,opus@12,opus@24,opus@48,mp3@32,mp3@64,anchor@3.5k,anchor@7k")
METRICS = ("si_snr", "stoi", "pesq", "visqol")
RATE, SAMPLES = 24000, 12000


def write_recordings(folder: Path, count: int) -> None:
    """Write recordings of different content."""
    for number in range(count):
        samples = np.random.default_rng(number).normal(0, 0.1, (1, SAMPLES)).astype(np.float32)
        audio.write(folder / ("speech", "music")[number % 2] / f"{number:06}.wav", samples, RATE)


def finished(task: Task, number: int) -> Record:
    """Write the decoded file of a task and return a record of it with made-up scores."""
    audio.write(task.audio_path, np.full((1, SAMPLES), number % 100 / 200, np.float32), RATE)
    alignment = Alignment(RATE, "documented", delay=0.1, gain_db=-0.2, peak=0.9, clear=True, true_peak_db=-3.0)
    scores = {cell(task.find(name)): Score(number % 97 / 30) for name in task.metrics.values()}
    rate = None if task.system.family in ("anchor", "reference") else 375.0
    return Record(
        RATE, 1, SAMPLES / RATE, rate and rate * 8 / 500, 0, 0.1, 0.05, stamp(task.audio_path), [], scores, 0.1,
        alignment, rate, rate and 0.5, None if rate is None else False,
    )  # fmt: skip


def fill(plan: runner.Plan) -> None:
    """Finish all tasks of a run."""
    work = runner._prepared(plan)
    with records.appended(plan.run) as remember:
        for number, task in enumerate(work.tasks.to_do(work.digests, work.stamps, work.tally, lambda step: None)):
            record = finished(task, number)
            remember(task.key, record)
            work.stamps.remember(task.source.file, task.system.text, record.audio_stamp)
    work.digests.save()
    work.stamps.save()


def again(plan: runner.Plan) -> runner.Result:
    """The steps of `earmark compare`."""
    result = runner.run(plan)
    refresh(plan.run, if_missing=not result.changed)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=int, nargs="?", default=1500, help="8 pairs each; default: 1500")
    parser.add_argument("--profile", type=int, metavar="N", help="show the N functions that take longest")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stderr(io.StringIO()):
        folder = Path(name)
        write_recordings(folder / "clips", options.recordings)
        plan = runner.Plan(
            audio_dir=folder / "clips", systems=tuple(SYSTEMS), metrics=METRICS, run=folder / "run",
            format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=1, command="earmark compare",
        )  # fmt: skip
        fill(plan)
        for step in ("first table", "again"):
            profile = cProfile.Profile()
            start = time.process_time()
            result = profile.runcall(again, plan) if options.profile and step == "again" else again(plan)
            print(f"{step}: {result.computed} computed, {time.process_time() - start:.1f} s of CPU", flush=True)
        if options.profile:
            pstats.Stats(profile).sort_stats("cumulative").print_stats(options.profile)
            pstats.Stats(profile).sort_stats("tottime").print_stats(options.profile)


if __name__ == "__main__":
    main()
