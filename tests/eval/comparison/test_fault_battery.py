"""A noisy codec with every fault, through the whole of a comparison: no score is wrong without a mark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from earmark.baselines.interface import Encoded
from earmark.baselines.systems import as_system
from earmark.codec import audio
from earmark.codec.audio import Audio
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat
from tests.eval.alignment.signals import FAULTS, RATE, STEREO_FAULTS, clip, coded

SAME = {"si_snr": 0.3, "visqol": 0.05}  # dB, MOS-LQO
MONO, STEREO = ("speech", "music", "tone", "noise", "silence"), ("stereo",)


class Faulty:
    """White noise 30 dB below the source, then a fault; [channels, time] at 24 kHz."""

    sample_rate, version = RATE, "1"

    def __init__(self, fault: str, channels: int) -> None:
        self.name, self.fault, self.channels = _system(fault), fault, channels

    def encode(self, samples: Audio) -> Encoded:
        return Encoded((samples.tobytes(),), samples.shape[1])

    def decode(self, encoded: Encoded) -> Audio:
        samples = np.frombuffer(encoded.packets[0], np.float32).reshape(self.channels, -1)
        return np.ascontiguousarray({**FAULTS, **STEREO_FAULTS}[self.fault][0](coded(samples)))


def _system(fault: str) -> str:
    return "f" + "".join(letter if letter.isalnum() else "_" for letter in fault)


def compared(folder: Path, clips: tuple[str, ...], faults: list[str], metrics: tuple[str, ...]) -> pd.DataFrame:
    """Scores of all faults on clips, [file, fault] -> one column per metric, and marks."""
    channels = len(clip(clips[0]))
    for name in clips:
        audio.write(folder / "audio" / name / f"{name}.wav", clip(name), RATE)
    plan = runner.Plan(
        audio_dir=folder / "audio", systems=tuple(as_system(Faulty(fault, channels)) for fault in faults),
        metrics=metrics, run=folder / "run", format=ReferenceFormat(), speech=SPEECH_PATTERNS, jobs=0,
        command="earmark compare",
    )  # fmt: skip
    scores = runner.run(plan).scores
    assert not (scores["status"] == "error").any()
    table = scores.pivot(index=["category", "system"], columns="metric", values="value")
    return table.join(scores.drop_duplicates(["category", "system"]).set_index(["category", "system"])["marks"])


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Every fault on every clip; the stereo clip by SI-SNR alone."""
    mono = compared(tmp_path_factory.mktemp("mono"), MONO, list(FAULTS), ("si_snr", "visqol"))
    stereo = compared(tmp_path_factory.mktemp("stereo"), STEREO, [*FAULTS, *STEREO_FAULTS], ("si_snr",))
    return pd.concat([mono, stereo])


def test_no_score_is_wrong_without_the_correct_mark(outcomes):
    """Each cell has the scores of the codec without faults and no mark, or a mark that names the fault."""
    same, marked, missed = 0, 0, []
    for (signal, system), row in outcomes.iterrows():
        fault = next(name for name in {**FAULTS, **STEREO_FAULTS} if _system(name) == system)
        expected = {**FAULTS, **STEREO_FAULTS}[fault][1]
        without = outcomes.loc[signal, _system("0 samples late")]
        names = {text.partition(" (")[0] for text in row["marks"].split("; ") if text}
        is_same = all(
            abs(row[metric] - without[metric]) <= most or (np.isnan(row[metric]) and np.isnan(without[metric]))
            for metric, most in SAME.items()  # silence has no scores
        )
        if names & set(expected):
            marked += 1
        elif is_same and (not expected or signal == "silence" or (signal == "tone" and "inverted" in fault)):
            same += 1  # a tone is inverted by half a period
            if not names <= {"ambiguous"} and signal != "silence":
                missed.append((signal, fault, "false mark", row.to_dict()))
        else:
            missed.append((signal, fault, row.to_dict()))
    print(f"{same} cells with the score of the unaltered codec, {marked} marked, {len(missed)} silent misses")
    assert missed == []
    assert same + marked == len(FAULTS) * 5 + len({**FAULTS, **STEREO_FAULTS}) >= 200


def test_the_codec_without_faults_has_no_marks(outcomes):
    assert (outcomes.xs(_system("0 samples late"), level="system")["marks"] == "").all()
