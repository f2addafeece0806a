"""Speed of ViSQOL by our kernels as a multiple of the library's own, timed in turns; also checks equality.

    python benchmarks/visqol_speed.py [RECORDING] [--rounds 7]

Each round scores a new reference and then the same reference again with another system, by the library with a cache of
the reference's spectrograms (as Earmark used it before it had kernels) and by the kernels, in CPU time of one thread.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from pathlib import Path
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from visqol.audio_utils import AudioSignal
from visqol.visqol_manager import VisqolManager

from earmark.codec import audio
from earmark.eval.comparison.machine import processor
from earmark.eval.metrics import visqol
from earmark.eval.metrics.visqol_kernels import candidate_search, filter_bank
from earmark.eval.speed.timing import swelling_chord

SECONDS = 10.0
MARKS = {("audio", "known"): 2.3, ("speech", "known"): 1.6}
PACKED = {  # instructions on vectors of doubles: x86, ARM
    "filter bank": re.compile(r"\b(?:v?mulpd|fmul\s+v\d+\.2d)"),
    "candidate search": re.compile(r"\b(?:v?divpd|fdiv\s+v\d+\.2d)"),
}


def timed(manager: VisqolManager, pair: tuple[AudioSignal, AudioSignal]) -> tuple[float, float]:
    """CPU seconds that a score takes, and the score."""
    began = time.process_time()
    score = manager.run_from_signals(*pair).moslqo
    return time.process_time() - began, score


def scored(managers: dict[str, VisqolManager], mode: str, recording: NDArray[np.float32], rounds: int) -> None:
    """Print the ratios of a mode for a recording [time]."""
    rate = visqol.SPEECH_RATE if mode == "speech" else visqol.AUDIO_RATE
    rng = np.random.default_rng(0)
    took: dict[tuple[str, str], list[float]] = {}
    unequal = 0
    for round_ in range(rounds + 1):  # the first compiles
        reference = recording * np.float32(1 - 0.01 * round_)  # no cache knows it
        for known in ("new", "known"):
            noise = rng.standard_normal(reference.shape).astype(np.float32)
            pair = AudioSignal(reference, rate), AudioSignal(reference + np.float32(0.003) * noise, rate)
            scores = set()
            for name in sorted(managers, reverse=round_ % 2 == 0):
                seconds, score = timed(managers[name], pair)
                scores.add(score)
                if round_:
                    took.setdefault((name, known), []).append(seconds)
            unequal += len(scores) > 1
    for known in ("new", "known"):
        library, kernels = took["library", known], took["kernels", known]
        ratio = statistics.median(a / b for a, b in zip(library, kernels, strict=True))
        per_second = [statistics.median(times) / (recording.size / rate / 1000) for times in (library, kernels)]
        mark = f"  mark {MARKS[mode, known]}" if (mode, known) in MARKS else ""
        print(f"{mode:<7}{known:<6}{per_second[0]:>12.1f}{per_second[1]:>12.1f}{ratio:>8.2f}{mark}")
    print(f"{mode:<7}scores {'bit-identical' if not unequal else f'NOT EQUAL in {unequal} cases'}")


def vectorised() -> None:
    """Print how often the compiled kernels have the instructions that show vectors of doubles."""
    functions = {"filter bank": filter_bank._spectrogram, "candidate search": candidate_search._search}
    for name, function in functions.items():
        function.recompile()  # what comes from numba's cache has no assembly
        code = "\n".join(function.inspect_asm().values())
        count = len(PACKED[name].findall(code))
        print(f"{name}: {'vectorised' if count else 'NOT VECTORISED'}, {count} packed instructions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path, nargs="?", help="audio file; default: a synthetic chord of 10 s")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    options = parser.parse_args()
    if options.recording is None:
        recording = swelling_chord(SECONDS, visqol.AUDIO_RATE)
    else:
        recording = audio.read(options.recording)
    mono = recording.samples.mean(axis=0)[: round(SECONDS * recording.sample_rate)]
    print(f"{processor()}; median of {options.rounds} ratios, {SECONDS:.0f} s at most; ms of CPU per second of audio")
    print(f"{'mode':<7}{'ref.':<6}{'library':>12}{'kernels':>12}{'ratio':>8}")
    for mode in ("audio", "speech"):
        with mock.patch.object(visqol, "_kernels", return_value=None):
            library = visqol._manager.__wrapped__(mode)
        rate = visqol.SPEECH_RATE if mode == "speech" else visqol.AUDIO_RATE
        managers = {"library": library, "kernels": visqol._manager.__wrapped__(mode)}
        scored(managers, mode, audio.resample(mono, recording.sample_rate, rate), options.rounds)
    vectorised()


if __name__ == "__main__":
    main()
