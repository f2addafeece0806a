"""Layouts of studio-quality data sets that the paper does not use: LibriTTS, VCTK, DAPS, MUSDB18-HQ.

A data set's own splits are kept. If it has none, the hash of the speaker's name decides, as in layouts.py.
"""

from __future__ import annotations

import re
from pathlib import Path

from earmark.codec.datasets.indexing import Candidate
from earmark.codec.datasets.layout_files import audio_files, first_folder
from earmark.codec.datasets.manifest import Split, split_of
from earmark.codec.errors import UserError

LIBRITTS_SPLITS: dict[str, Split] = {"train": "train", "dev": "valid", "test": "test"}


def libritts(root: Path) -> list[Candidate]:
    """LibriTTS: its own splits, train-*, dev-* and test-*.

    Args:
        root: holds train-clean-100/, dev-clean/, test-other/ or other parts, each with SPEAKER/CHAPTER/*.wav.
    """
    parts = [
        (folder, LIBRITTS_SPLITS[match[1]])
        for folder in sorted(root.iterdir())
        if folder.is_dir() and (match := re.fullmatch(r"(train|dev|test)-(?:clean|other).*", folder.name))
    ]
    if not parts:
        raise UserError(f"{root}: no folder train-clean-100, dev-clean or the like in it; is this the data set's root?")
    return [
        Candidate(file, "libritts", "speech", split, f"librivox-{file.relative_to(folder).parts[0]}", "CC-BY-4.0")
        for folder, split in parts
        for file in audio_files(folder)
    ]


def vctk(root: Path) -> list[Candidate]:
    """VCTK: 90 % of the speakers for training, 5 % each for validation and test; first microphone only.

    Args:
        root: holds wav48_silence_trimmed/ (version 0.92) or wav48/, with a folder per speaker.
    """
    folder = first_folder(root, "wav48_silence_trimmed", "wav48")
    return [
        Candidate(file, "vctk", "speech", _by_creator(speaker), speaker, "CC-BY-4.0")
        for file in audio_files(folder)
        if not file.stem.endswith("_mic2") and (speaker := f"vctk-{file.parent.name}")
    ]


def daps(root: Path) -> list[Candidate]:
    """DAPS, studio recordings only: 90 % of the speakers for training, 5 % each for validation and test.

    Args:
        root: holds clean/ with f1_script1_clean.wav and so on, or daps/clean/ as its archive does.
    """
    folder = first_folder(root, "clean", "daps/clean")
    return [
        Candidate(file, "daps", "speech", _by_creator(speaker), speaker, "CC-BY-NC-4.0")
        for file in audio_files(folder)
        if (speaker := f"daps-{file.name.partition('_')[0]}")
    ]


def musdb(root: Path) -> list[Candidate]:
    """MUSDB18-HQ, mixtures only: its own test set; 10 % of the artists of its training set for validation.

    Args:
        root: holds train/ and test/, each with one folder "ARTIST - TITLE" per track that holds mixture.wav.
    """
    if not any(root.glob("*/*/mixture.wav")):
        raise UserError(f"{root}: no train/ARTIST - TITLE/mixture.wav in it; is this the root of MUSDB18-HQ?")
    recordings = []
    for part in ("train", "test"):
        for file in sorted((root / part).glob("*/mixture.wav")):
            artist = file.parent.name.partition(" - ")[0]
            split: Split = "test" if part == "test" else split_of(f"musdb/{artist}", valid=0.1, test=0.0)
            recordings.append(Candidate(file, "musdb", "music", split, artist, "various, most of them non-commercial"))
    return recordings


def _by_creator(creator: str) -> Split:
    return split_of(creator, valid=0.05, test=0.05)
