"""The recordings, lists and programs that the pages of the documentation take for granted, small enough for a test."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent
RATE = 24000
SECONDS = 2.5
FOLDERS = ("speech", "music")  # two recordings in each
STAND_INS = {  # commands whose names the pages make up: a codec that copies, and a metric that prints a number
    "my-enc": 'while [ $# -gt 2 ]; do shift; done; cp "$1" "$2"',  # its last two arguments
    "my-dec": 'cp "$1" "$2"',
    "polqa": 'echo "MOS-LQO: 3.5"',
}


def place(folder: Path) -> None:
    """Write all files into `folder`."""
    for name in ("recordings", "audio"):
        recordings(folder / name)
    recordings(folder / "clips", ("speech",), 4)  # enough for a test of one mode of ViSQOL
    shutil.copyfile(folder / "recordings" / "speech" / "speech0.wav", folder / "speech.wav")
    soundfile.write(folder / "music.wav", np.stack([voice(7), voice(8)], axis=1), RATE)
    shutil.copyfile(folder / "speech.wav", folder / "talk.mp4")  # FFmpeg goes by the content
    shutil.copyfile(folder / "speech.wav", folder / "clip.wav")
    soundfile.write(folder / "decoded.wav", decoded(voice(0), 0), RATE)
    decoded_folders(folder)
    lists(folder)
    stimuli(folder / "wavs")


def voice(number: int) -> np.ndarray:
    """A buzz with the rhythm of syllables and some noise, float64 [time]: content up to 12 kHz, and pauses."""
    random = np.random.default_rng(number)
    time = np.arange(int(SECONDS * RATE)) / RATE
    pitch = 110 * 2 ** (number / 7)
    buzz = sum(np.sin(2 * np.pi * pitch * partial * time) / partial for partial in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time + number), 0, 1) ** 2
    return 0.1 * (buzz + 0.2 * random.standard_normal(len(time))) * syllables


def decoded(samples: np.ndarray, number: int) -> np.ndarray:
    return samples + 0.01 * np.random.default_rng(100 + number).standard_normal(len(samples))


def recordings(folder: Path, categories: tuple[str, ...] = FOLDERS, count: int = 2) -> None:
    for at, category in enumerate(categories):
        for number in range(count):
            write(folder / category / f"{category}{number}.wav", voice(2 * at + number))


def decoded_folders(folder: Path) -> None:
    """`dec/A` and `dec/B` by the paths of the recordings and by other names; `bits/A` with files of bits."""
    for at, category in enumerate(FOLDERS):
        for number in range(2):
            stem = f"{category}{number}"
            for system, other in (("A", f"{stem}_decoded"), ("B", f"{stem}_dec")):
                for name in (f"{category}/{stem}", other):
                    write(folder / "dec" / system / f"{name}.wav", decoded(voice(2 * at + number), ord(system)))
            bits = folder / "bits" / "A" / category / f"{stem}.bin"
            bits.parent.mkdir(parents=True, exist_ok=True)
            bits.write_bytes(bytes(1500))


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


def lists(folder: Path) -> None:
    (folder / "pairs.csv").write_text(
        "reference,decoded,system,category\n"
        "recordings/speech/speech0.wav,dec/A/speech/speech0.wav,A@6,speech\n"
        "recordings/speech/speech0.wav,dec/B/speech0_dec.wav,B,speech\n"
    )
    (folder / "ref.scp").write_text("one recordings/speech/speech0.wav\n")
    (folder / "decoded.scp").write_text("one dec/A/speech/speech0.wav\n")
    pages = [
        {"type": "mushra", "id": str(n), "name": str(n), "reference": f"wavs/clean/{n}.wav",
         "stimuli": {"a": f"wavs/model_a/{n}.wav", "b": f"wavs/model_b/{n}.wav"}}
        for n in range(2)
    ]  # fmt: skip
    (folder / "config.yaml").write_text(json.dumps({"testname": "Two models", "testId": "t", "pages": pages}))
    (folder / "paper.csv").write_text(
        "system,kbps,metric,mean,interval,n,source,category\n"
        'theirs@3,3,si_snr,2.31,2.25 to 2.37,100,"Example et al. 2025, Table 2",speech\n'
    )
    rows = ["listener,item,condition,score"]
    marks = {"reference": 95, "opus12": 71, "mp3": 55, "anchor35": 22}
    for who, shift in (("anna", 0), ("ben", 4), ("carla", -3), ("dan", 1)):
        rows += [
            f"{who},{item},{name},{mark + shift}" for item in ("a", "b", "practice") for name, mark in marks.items()
        ]
    (folder / "data").mkdir()
    survey = [row.replace(",", "@", 1).replace(",", "-", 1).replace("@", ",") for row in rows[1:]]  # ITEM-CONDITION
    (folder / "data" / "a.csv").write_text("\n".join(["participant,stimulus,response", *survey]) + "\n")
    for path in ("ratings.csv", "webmushra.csv", "monday/a.csv", "tuesday/b.csv"):
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text("\n".join(rows) + "\n")


def stimuli(folder: Path) -> None:
    """An item with a reference and two conditions, for `study build --stimuli`."""
    for condition, noise in (("clean", 0.0), ("model_a", 0.003), ("model_b", 0.01)):
        (folder / condition).mkdir(parents=True)
        for number in range(2):
            error = noise * np.random.default_rng(number).standard_normal(int(SECONDS * RATE))
            soundfile.write(folder / condition / f"{number}.wav", voice(number) + error, RATE)


def programs(folder: Path) -> None:
    """Stand-ins as shell scripts, the `earmark` of this environment, and the EVS stand-in of its own tests."""
    folder.mkdir()
    scripts = {name: f"#!/bin/sh\n{body}\n" for name, body in STAND_INS.items()}
    if shutil.which("ffmpeg") is None:
        scripts["ffmpeg"] = "#!/bin/sh\ncat speech.wav\n"
    scripts["earmark"] = f'#!/bin/sh\nexec "{sys.executable}" -m earmark "$@"\n'
    evs = (HERE / "baselines" / "evs_stand_in.py").read_text()
    scripts |= dict.fromkeys(("EVS_cod", "EVS_dec"), f"#!{sys.executable}\n{evs}")
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
