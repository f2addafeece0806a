"""Bits that the language model saves, by the length of the chunks at whose beginnings its context starts again.

    python benchmarks/entropy_context.py FOLDER [--kbps 3]

Encodes every recording of FOLDER (its first 20 s) with `earmark encode --lm --chunk SECONDS` and prints payload bits
per second of audio, the mean over the recordings, and the saving relative to the codes without the model. The codes are
the same for all lengths.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from earmark.codec import audio
from earmark.codec.ecdc.file import inspect
from earmark.codec.model_choice import ModelChoice
from earmark.eval.comparison.corpus import audio_files

CHUNKS = (0.1, 0.5, 1, 2, 3.5, 5, 10)  # seconds; 10 is the longest that `encode` accepts
SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kbps", type=float, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips"
        for number, path in enumerate(audio_files(arguments.folder)):
            recording = audio.read(path)
            samples = recording.samples[:, : SECONDS * recording.sample_rate]
            audio.write(clips / f"{number}.wav", samples, recording.sample_rate)
        plain = mean_kbps(clips, arguments.kbps, CHUNKS[-1], [])
        print(f"{len(list(clips.iterdir()))} recordings; without the model {plain:.3f} kbps")
        for chunk in CHUNKS:
            rate = mean_kbps(clips, arguments.kbps, chunk, ["--lm"])
            print(f"{chunk:>5g} s: {rate:.3f} kbps, saves {100 * (1 - rate / plain):.1f} %")


def mean_kbps(clips: Path, kbps: float, chunk: float, options: list[str]) -> float:
    """Payload of all recordings of a folder in kbit/s, the mean over the recordings."""
    with tempfile.TemporaryDirectory() as folder:
        coded = Path(folder) / "coded"
        command = [
            "earmark",
            "encode",
            str(clips),
            str(coded),
            "--kbps",
            f"{kbps:g}",
            "--chunk",
            f"{chunk:g}",
            "--quiet",
        ]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        about = [inspect(path, coder=ModelChoice().coder_of) for path in coded.iterdir()]
        return sum(8e-3 * one["payload_bytes"] / one["seconds"] for one in about) / len(about)


if __name__ == "__main__":
    main()
