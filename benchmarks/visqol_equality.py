"""Equality of ViSQOL by our kernels and by the library, on real clips in six systems and both modes, to the last bit.

    python benchmarks/visqol_equality.py [RECORDINGS] [--clips NAME,...] [--pairs TESTDATA]

Compares the score, the band means of all patches and their times. --pairs takes the folder `testdata` of the C++
program's repository, with its published conformance pairs: decoded files beside their reference, in names like
guitar48_stereo.wav and guitar48_stereo_64kbps_aac.wav, or CA01_01.wav and transcoded_CA01_01.wav.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import numpy as np
from numpy.typing import NDArray
from visqol.audio_utils import AudioSignal
from visqol.visqol_core import SimilarityResult
from visqol.visqol_manager import VisqolManager

from earmark.baselines.registry import family_of
from earmark.baselines.systems import parse_list
from earmark.baselines.transcode import transcode
from earmark.codec import audio
from earmark.eval.comparison.machine import processor
from earmark.eval.metrics import visqol

SYSTEMS = "opus@6,opus@24,mp3@64,encodec_24khz@3,encodec_24khz@12,anchor@3.5k"
RATES = {"audio": visqol.AUDIO_RATE, "speech": visqol.SPEECH_RATE}
CLIPS = Path(__file__).resolve().parents[2] / "shared" / "audio"
TRANSCODED = "transcoded_"  # begins the names of decoded files of clean speech


class Case(NamedTuple):
    """Two signals [time] at `rate` Hz, and their names."""

    names: tuple[str, str]
    reference: NDArray[np.float32]
    decoded: NDArray[np.float32]
    rate: int


def coded(folder: Path, wanted: list[str]) -> Iterator[Case]:
    """Recordings of a folder through all systems, channels averaged."""
    systems = parse_list(SYSTEMS)
    for path in sorted(folder.iterdir()):
        if path.suffix not in audio.SUFFIXES or (wanted and path.stem not in wanted):
            continue
        recording = audio.read(path)
        for system in systems:
            codec = family_of(system).open(system, recording.sample_rate, recording.channels)
            decoded = transcode(codec, recording.samples, recording.sample_rate).audio
            signals = recording.samples.mean(axis=0), decoded.mean(axis=0)
            yield Case((path.name, system.text), *signals, recording.sample_rate)


def published(folder: Path) -> Iterator[Case]:
    """The pairs of a folder and its sub-folders."""
    for path in sorted(folder.rglob("*.wav")):
        for other in sorted(path.parent.glob("*.wav")):
            if path.stem.startswith(f"{other.stem}_") or path.stem == f"{TRANSCODED}{other.stem}":
                reference, decoded = audio.read(other), audio.read(path)
                rate = reference.sample_rate
                samples = audio.resample(decoded.samples, decoded.sample_rate, rate)
                yield Case((other.name, path.name), reference.samples.mean(axis=0), samples.mean(axis=0), rate)


def managers(mode: str) -> tuple[VisqolManager, VisqolManager]:
    """The library with a cache of the reference's spectrograms, and the kernels."""
    with mock.patch.object(visqol, "_kernels", return_value=None):
        library = visqol._manager.__wrapped__(mode)
    return library, visqol._manager.__wrapped__(mode)


def numbers(result: SimilarityResult) -> list[float]:
    """The score and what it was computed from."""
    values = [result.moslqo, result.vnsim, *np.concatenate([result.fvnsim, result.fstdnsim, result.fvdegenergy])]
    for patch in result.patch_sims:
        values += [patch.similarity, patch.ref_patch_start_time, patch.deg_patch_start_time, *patch.freq_band_means]
    return [float(value) for value in values]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="?", default=CLIPS, help="default: the shared clips")
    parser.add_argument("--clips", metavar="NAME,...", default="", help="only these, without suffix; default: all")
    parser.add_argument("--pairs", type=Path, metavar="TESTDATA", help="pairs of files in place of recordings")
    options = parser.parse_args()
    by_mode = {mode: managers(mode) for mode in RATES}
    wanted = list(filter(None, options.clips.split(",")))
    cases = published(options.pairs) if options.pairs else coded(options.recordings, wanted)
    equal = count = 0
    print(f"{processor()}; systems: {SYSTEMS}")
    for case in cases:
        for mode, rate in RATES.items():
            signals = [
                AudioSignal(audio.resample(signal, case.rate, rate), rate) for signal in (case.reference, case.decoded)
            ]
            results = [numbers(manager.run_from_signals(*signals)) for manager in by_mode[mode]]
            same = results[0] == results[1]
            count, equal = count + 1, equal + same
            verdict = "equal" if same else f"NOT EQUAL, {results[0][0]!r} by the library"
            print(f"{' '.join(case.names)} {mode}: {results[1][0]!r} {verdict}", flush=True)
    print(f"{equal} of {count} cases equal to the last bit")


if __name__ == "__main__":
    main()
