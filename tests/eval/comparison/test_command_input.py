"""The word length of what a command gets to read."""

from __future__ import annotations

import numpy as np

from earmark.baselines.commands import read_command
from earmark.baselines.systems import parse
from earmark.codec import audio
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat

COPY = "mine=cp {input} {bitstream} && cp {bitstream} {output}"


def test_a_recording_of_more_than_16_bits_is_noted_where_the_command_gets_16(tmp_path):
    noise = (0.1 * np.random.default_rng(0).standard_normal((1, 1600))).astype(np.float32)

    def notes(command: str) -> str:
        plan = runner.Plan(
            audio_dir=tmp_path / "audio", systems=(parse("mine", {"mine": read_command(command)}),),
            metrics=("si_snr",), run=tmp_path / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0,
            command="earmark compare",
        )  # fmt: skip
        return " ".join(runner.run(plan).info["notes"])

    audio.write(tmp_path / "audio" / "a.wav", noise, 16000, "PCM_16")
    audio.write(tmp_path / "audio" / "b.wav", np.round(noise * 2**15) / 2**15, 16000, "FLOAT")  # holds 16 bits
    assert "16-bit" not in notes(COPY)
    audio.write(tmp_path / "audio" / "b.wav", noise, 16000, "PCM_24")
    assert "mine: {input} is a 16-bit file" in notes(COPY)
    assert "16-bit" not in notes(COPY.replace("{input}", "{input24}"))
