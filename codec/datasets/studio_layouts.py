"""Data sets beside the paper's, whose recordings were made or cut with care: LibriTTS, VCTK, DAPS, MUSDB18-HQ.

Where a data set has splits of its own they hold; else a speaker's hash decides, as in codec/training/layouts.py.
"""

from __future__ import annotations

import re
from pathlib import Path

from earmark.codec.datasets.indexing import Found
from earmark.codec.datasets.layout_files import audio_files, first_folder
from earmark.codec.datasets.manifest import Split, split_of
from earmark.codec.errors import UserError

LIBRITTS_SPLITS: dict[str, Split] = {"train": "train", "dev": "valid", "test": "test"}


def libritts(root: Path) -> list[Found]:
    """LibriTTS: its own splits, train-*, dev-* and test-*.

    Args:
        root: holds train-clean-100/, dev-clean/, test-other/ or others of its parts, each SPEAKER/CHAPTER/*.wav.
    """
    parts = [
        (folder, LIBRITTS_SPLITS[match[1]])
        for folder in sorted(root.iterdir())
        if folder.is_dir() and (match := re.fullmatch(r"(train|dev|test)-(?:clean|other).*", folder.name))
    ]
    if not parts:
        raise UserError(f"{root}: no folder train-clean-100, dev-clean or the like in it; is this the data set's root?")
    return [
        Found(file, "libritts", "speech", split, f"librivox-{file.relative_to(folder).parts[0]}", "CC-BY-4.0")
        for folder, split in parts
        for file in audio_files(folder)
    ]


def vctk(root: Path) -> list[Found]:
    """VCTK: 90 % of the speakers for training, 5 % each for validation and test; of two microphones the first.

    Args:
        root: holds wav48_silence_trimmed/ (0.92) or wav48/, each with a folder for each speaker.
    """
    folder = first_folder(root, "wav48_silence_trimmed", "wav48")
    return [
        Found(file, "vctk", "speech", _by_creator(speaker), speaker, "CC-BY-4.0")
        for file in audio_files(folder)
        if not file.stem.endswith("_mic2") and (speaker := f"vctk-{file.parent.name}")
    ]


def daps(root: Path) -> list[Found]:
    """DAPS: the studio recordings alone; 90 % of the speakers for training, 5 % each for validation and test.

    Args:
        root: holds clean/ with f1_script1_clean.wav and so on, or daps/clean/ as its archive does.
    """
    folder = first_folder(root, "clean", "daps/clean")
    return [
        Found(file, "daps", "speech", _by_creator(speaker), speaker, "CC-BY-NC-4.0")
        for file in audio_files(folder)
        if (speaker := f"daps-{file.name.partition('_')[0]}")
    ]


def musdb(root: Path) -> list[Found]:
    """MUSDB18-HQ: the mixtures; its own test set, and of its training set 10 % of the artists for validation.

    Args:
        root: holds train/ and test/, each with a folder "ARTIST - TITLE" for each track, with mixture.wav in it.
    """
    if not any(root.glob("*/*/mixture.wav")):
        raise UserError(f"{root}: no train/ARTIST - TITLE/mixture.wav in it; is this the root of MUSDB18-HQ?")
    recordings = []
    for part in ("train", "test"):
        for file in sorted((root / part).glob("*/mixture.wav")):
            artist = file.parent.name.partition(" - ")[0]
            split: Split = "test" if part == "test" else split_of(f"musdb/{artist}", valid=0.1, test=0.0)
            recordings.append(Found(file, "musdb", "music", split, artist, "various, most of them non-commercial"))
    return recordings


def _by_creator(creator: str) -> Split:
    return split_of(creator, valid=0.05, test=0.05)
