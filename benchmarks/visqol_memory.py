"""CPU time that ViSQOL saves by caching the reference's spectrograms: several systems against one reference, in turns.

python benchmarks/visqol_memory.py [RECORDING]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from visqol.gammatone import GammatoneSpectrogramBuilder

from earmark.codec import audio
from earmark.eval.metrics import visqol
from earmark.eval.metrics.evaluation import evaluate
from earmark.eval.metrics.registry import find
from earmark.eval.metrics.visqol_spectrograms import CachingBuilder
from earmark.eval.speed.timing import swelling_chord

SYSTEMS, ROUNDS = 8, 3
BANDS = {"speech": 21, "audio": 32}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path, nargs="?", help="audio file; default: a synthetic chord of 10 s")
    file = parser.parse_args().recording
    recording = swelling_chord(10.0, 48000) if file is None else audio.read(file)
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(recording.samples.shape).astype(np.float32) for _ in range(SYSTEMS)]
    decoded = [recording.samples + np.float32(0.001 * 1.5**index) * one for index, one in enumerate(noise)]
    for mode, bands in BANDS.items():
        metric, manager = find(f"visqol_{mode}"), visqol._manager("speech" if mode == "speech" else "audio")
        evaluate(metric, recording.samples, decoded[0], recording.sample_rate)  # the first call compiles
        took: dict[str, list[float]] = {"caching": [], "plain": []}
        scores: dict[str, list[float | None]] = {}
        for _ in range(ROUNDS):
            for name, builder in (("caching", CachingBuilder), ("plain", GammatoneSpectrogramBuilder)):
                manager.spect_builder = builder(bands, 50.0, speech_mode=mode == "speech")
                began = time.process_time()
                scores[name] = [
                    evaluate(metric, recording.samples, one, recording.sample_rate).value for one in decoded
                ]  # fmt: skip
                took[name].append((time.process_time() - began) / len(decoded))
        same = "bit-identical" if scores["caching"] == scores["plain"] else "NOT EQUAL"
        medians = {name: statistics.median(times) for name, times in took.items()}
        print(
            f"{metric.name}: {medians['plain']:.3f} s per score, with the cache {medians['caching']:.3f} s "
            f"({1 - medians['caching'] / medians['plain']:.0%} less), scores {same}"
        )


if __name__ == "__main__":
    main()
