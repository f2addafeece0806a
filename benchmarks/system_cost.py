"""Time and memory that a system adds to a run: once per worker, and per second of mono audio at 24 kHz.

    python benchmarks/system_cost.py [SYSTEM ...]

Each system runs in its own process with one thread, as in a worker of `earmark compare`. The time per worker is that
from the start of Python until the codec has coded half a second. The time per second is the median of five times 5 s,
encoded and decoded, including resampling.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import time

from earmark.eval.comparison.pool import ONE_THREAD
from earmark.eval.speed.timing import swelling_chord
from earmark.eval.speed.worker import peak_bytes

SYSTEMS = (
    "opus@12", "mp3@64", "aac@64", "amr_wb@12.65", "codec2@3.2", "lyra@6", "anchor@3.5k", "encodec_24khz@6",
    "encodec_24khz@6:lm",
)  # fmt: skip
SECONDS, TURNS, RATE = 5.0, 5, 24_000


def _measured(text: str, began: float) -> None:
    from earmark.baselines.systems import family_of, parse
    from earmark.baselines.transcode import transcode

    system = parse(text)
    family = family_of(system)
    if reason := family.unavailable(system):
        print(f"{text:<22}{reason}", flush=True)
        return
    codec = family.open(system, RATE, 1)
    transcode(codec, swelling_chord(0.5, RATE).samples, RATE)
    once = time.time() - began
    samples = swelling_chord(SECONDS, RATE).samples
    took = []
    for _ in range(TURNS):
        start = time.perf_counter()
        transcode(codec, samples, RATE)
        took.append(time.perf_counter() - start)
    each = statistics.median(took) / SECONDS
    print(f"{text:<22}{once:>8.1f} s{each:>12.4f} s per s{(peak_bytes() or 0) / 1e6:>8.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("systems", nargs="*", default=SYSTEMS, help=f"default: {' '.join(SYSTEMS)}")
    systems = parser.parse_args().systems
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))  # for the processes, which load their libraries later
    context = multiprocessing.get_context("spawn")
    for text in systems:
        process = context.Process(target=_measured, args=(text, time.time()))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
