"""Spoken sentences by eSpeak NG, a formant synthesiser for many languages, from the wheel `espeakng-loader`.

eSpeak NG is licensed under GPL-3.0-or-later; it is an optional extra and runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from earmark.codec.audio import Audio, resample
from earmark.codec.errors import UserError
from earmark.codec.extras import missing
from earmark.eval.demo.espeak_process import SAMPLE_RATE


@dataclass(frozen=True)
class Sentence:
    """A text and how to speak it.

    Args:
        voice: eSpeak NG language and variant, "de+m3".
        words_per_minute: speed, 80 to 450.
        pitch: 0 to 99; 50 is the default of the voice.
    """

    text: str
    voice: str
    words_per_minute: int
    pitch: int


ENGLISH = Sentence(
    "Before the harvest fair, Miriam painted eleven wooden chairs. Two of them were wet when the judges sat down.",
    voice="en-us+f2",
    words_per_minute=165,
    pitch=55,
)
GERMAN = Sentence(
    "Hinter der alten Mühle steht ein Kirschbaum. Im Frühling hört man dort die Bienen, noch bevor man sie sieht.",
    voice="de+m3",
    words_per_minute=155,
    pitch=42,
)
FRENCH = Sentence(
    "À six heures, le phare s'éteint. Alors les mouettes reviennent, et toute la plage change de voix.",
    voice="fr+f4",
    words_per_minute=150,
    pitch=50,
)


def speak(sentence: Sentence, sample_rate: int, rng: np.random.Generator) -> Audio:
    """Say a sentence.

    Args:
        sample_rate: sample rate of the result in Hz; the voice has no content above 11 kHz.
        rng: seeds the breath noise of some voices.

    Returns:
        [1, time], at the voice's own level.

    Raises:
        UserError: eSpeak NG is not installed or does not run here.
    """
    if reason := missing("espeakng_loader", extra="demo"):
        raise UserError(reason)
    script = Path(__file__).with_name("espeak_process.py")
    arguments = (sentence.voice, sentence.words_per_minute, sentence.pitch, rng.integers(2**31))
    process = subprocess.run(
        [sys.executable, "-P", str(script), *map(str, arguments)],
        input=sentence.text.encode(),
        capture_output=True,
        check=False,
    )
    if process.returncode != 0 or not process.stdout:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"it ended with status {process.returncode} and no sound"
        raise UserError(f"eSpeak NG cannot speak here ({reason}); reinstall the package espeakng-loader")
    samples = np.frombuffer(process.stdout, np.int16).astype(np.float32) / np.float32(32768)
    return resample(samples[np.newaxis], SAMPLE_RATE, sample_rate)
