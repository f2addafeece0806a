"""File layouts of data sets, and their splits (EnCodec paper, appendix A.1).

The paper draws its splits at random. Here a hash of the file's or artist's name decides, so that everyone gets the same
splits, and adding a file moves no other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from earmark.codec.datasets.indexing import Candidate
from earmark.codec.datasets.layout_files import audio_files, file_key, first_folder, table_rows
from earmark.codec.datasets.manifest import Category, split_of
from earmark.codec.datasets.studio_layouts import daps, libritts, musdb, vctk
from earmark.codec.errors import UserError

Layout = Callable[[Path], list[Candidate]]


def dns_challenge_4(root: Path) -> list[Candidate]:
    """DNS Challenge 4, clean speech: 98 % of the files for training, 1 % each for validation and test.

    Args:
        root: holds clean_fullband/, or datasets_fullband/clean_fullband/ as the challenge's script leaves it.
    """
    folder = first_folder(root, "clean_fullband", "datasets_fullband/clean_fullband")
    return [
        Candidate(
            file=file,
            dataset="dns4",
            category="speech",
            split=split_of(file_key("dns4", file, folder), valid=0.01, test=0.01),
            creator=_dns_speaker(file.relative_to(folder)),
            licence="various: see the challenge's README",
        )
        for file in audio_files(folder)
    ]


def _dns_speaker(path: Path) -> str | None:
    """The speaker in LibriVox's file names and VCTK's folder names; None for the other parts, which name none."""
    if reader := re.search(r"reader_(\d+)", path.name):
        return f"librivox-{reader[1]}"
    if speaker := re.fullmatch(r"[ps]\d+", path.parent.name):
        return f"vctk-{speaker[0]}"
    return None


def common_voice(root: Path) -> list[Candidate]:
    """Common Voice: 99.5 % of the validated clips for training, 0.25 % for validation, the rest for test.

    Args:
        root: folder of one language, with clips/ and validated.tsv, or of a release, with a folder per language.
    """
    languages = [root] if (root / "validated.tsv").is_file() else sorted(p.parent for p in root.glob("*/validated.tsv"))
    if not languages:
        raise UserError(f"{root}: no validated.tsv here or one folder below; is this a release of Common Voice?")
    return [
        Candidate(
            file=language / "clips" / row["path"],
            dataset="common_voice",
            category="speech",
            split=split_of(f"common_voice/{Path(row['path']).stem}", valid=0.0025, test=0.0025),
            creator=row["client_id"],
            licence="CC0-1.0",
        )
        for language in languages
        for row in table_rows(language / "validated.tsv", "path", "client_id")
        if (language / "clips" / row["path"]).is_file()
    ]


def audioset(root: Path) -> list[Candidate]:
    """AudioSet: the unbalanced segments for training, half of the evaluation segments each for validation and test.

    Args:
        root: holds unbalanced_train_segments/ and eval_segments/, perhaps in audios/, or unbalanced_train/ and eval/.
    """
    return _training_and_evaluation(
        "audioset",
        first_folder(root, "unbalanced_train_segments", "audios/unbalanced_train_segments", "unbalanced_train"),
        first_folder(root, "eval_segments", "audios/eval_segments", "eval"),
        lambda file: (None, "not stated: YouTube"),
    )


def fsd50k(root: Path) -> list[Candidate]:
    """FSD50K: the development set for training, half of the evaluation set each for validation and test.

    Args:
        root: holds FSD50K.dev_audio/, FSD50K.eval_audio/ and, with each clip's uploader and licence, FSD50K.metadata/.
    """
    about: dict[str, tuple[str | None, str]] = {}
    for part in ("dev", "eval"):
        path = root / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json"
        if path.is_file():
            clips = json.loads(path.read_text(encoding="utf-8"))
            about |= {clip: (info.get("uploader"), info.get("license", "")) for clip, info in clips.items()}
    return _training_and_evaluation(
        "fsd50k",
        first_folder(root, "FSD50K.dev_audio"),
        first_folder(root, "FSD50K.eval_audio"),
        lambda file: about.get(file.stem, (None, "Creative Commons, each clip its own")),
    )


def jamendo(root: Path) -> list[Candidate]:
    """MTG-Jamendo: 96 % of the artists and all their tracks for training, 2 % each for validation and test.

    Args:
        root: holds the audio as NN/ID.mp3 or NN/ID.low.mp3, at any depth, and raw_30s.tsv or autotagging.tsv, directly
            or in data/ as in the data set's repository. audio_licenses.txt is read if present.
    """
    names = ("raw_30s.tsv", "autotagging.tsv", "data/raw_30s.tsv", "data/autotagging.tsv")
    table = next((root / name for name in names if (root / name).is_file()), None)
    if table is None:
        raise UserError(f"{root}: none of {', '.join(names)}, which name the artists; copy one from the repository")
    artists = {Path(row["PATH"]).stem: row["ARTIST_ID"] for row in table_rows(table, "PATH", "ARTIST_ID")}
    licences = _jamendo_licences(root)
    return [
        Candidate(
            file=file,
            dataset="jamendo",
            category="music",
            split=split_of(f"jamendo/{artists[track]}", valid=0.02, test=0.02),
            creator=artists[track],
            licence=licences.get(track, "Creative Commons, each track its own"),
        )
        for file in audio_files(root)
        if (track := file.name.split(".")[0]) in artists
    ]


def _jamendo_licences(root: Path) -> dict[str, str]:
    """Track number -> URL of its licence. A block of the file begins with a track's path and holds one URL."""
    path = root / "audio_licenses.txt"
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    matches = re.finditer(r"\b\d\d/(\d+)\.mp3\b.*?(https?://creativecommons\.org/\S+)", text, re.DOTALL)
    return {match[1]: match[2].rstrip(".,)") for match in matches}


LAYOUTS: dict[str, Layout] = {
    "dns4": dns_challenge_4,
    "common-voice": common_voice,
    "audioset": audioset,
    "fsd50k": fsd50k,
    "jamendo": jamendo,
    "libritts": libritts,
    "vctk": vctk,
    "daps": daps,
    "musdb": musdb,
}


def plain_folder(root: Path, category: Category, licence: str, creator: str | None = None) -> list[Candidate]:
    """Any folder of recordings: 90 % for training, 5 % each for validation and test, by file or by creator.

    Args:
        root: folder that is searched for audio files, subfolders included.
        category: category of all recordings.
        licence: licence of all recordings.
        creator: regular expression whose first group matches the speaker or artist in a file's path below `root`. All
            recordings of one creator are in the same split, and so are files whose names differ in the suffix only.

    Raises:
        UserError: `creator` is not a regular expression with a group.
    """
    pattern = _pattern(creator) if creator else None
    name = root.resolve().name
    recordings = []
    for file in audio_files(root):
        match = pattern.search(file.relative_to(root).as_posix()) if pattern else None
        who = match[1] if match else None
        key = f"{name}/{who}" if who else file_key(name, file, root)
        recordings.append(Candidate(file, name, category, split_of(key, valid=0.05, test=0.05), who, licence))
    return recordings


def _pattern(text: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UserError(f"creator {text!r}: not a regular expression ({error})") from error
    if not pattern.groups:
        raise UserError(f"creator {text!r}: needs a group that holds the name, e.g. '^([^/]+)/' for the first folder")
    return pattern


def _training_and_evaluation(
    dataset: str, training: Path, evaluation: Path, about: Callable[[Path], tuple[str | None, str]]
) -> list[Candidate]:
    """One folder for training, and one of which each half is for validation and test."""

    def candidates(files: Iterable[Path], root: Path, half: float) -> Iterator[Candidate]:
        for file in files:
            creator, licence = about(file)
            split = split_of(file_key(dataset, file, root), valid=half, test=half)
            yield Candidate(file, dataset, "sound", split, creator, licence)

    return [
        *candidates(audio_files(training), training, 0.0),
        *candidates(audio_files(evaluation), evaluation, 0.5),
    ]
