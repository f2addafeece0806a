"""The files of a study's stimuli: nothing about them may tell the conditions apart."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import soundfile

from earmark.codec.errors import UserError
from earmark.mushra_app.study.study import Item, Study, stimulus_path


def check_files(study: Study, folder: Path) -> None:
    """Check that the stimuli of each item exist and have the same size, length and format.

    Raises:
        UserError: if not; names the item.
    """
    for item in study.items:
        needed = (study.hidden_reference,) if study.items_vary else study.conditions
        missing = [condition.name for condition in needed if condition.name not in item.stimuli]
        if missing:
            raise UserError(f"{folder}: item {item.id} has no {missing[0]}; build the study again")
        _check_item(item, folder)


def _check_item(item: Item, folder: Path) -> None:
    paths = [stimulus_path(folder, one.audio) for one in item.stimuli.values()]
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: missing, item {item.id} needs it; copy the whole study or build it again")
    if len({path.stat().st_size for path in paths}) > 1:
        raise UserError(
            f"{folder}: the files of item {item.id} differ in size, which would tell the conditions apart; "
            "build the study again"
        )
    if len({_format(path) for path in paths}) > 1:
        raise UserError(
            f"{folder}: the files of item {item.id} differ in format, length or header, which would tell the "
            "conditions apart; build the study again"
        )


def _format(path: Path) -> tuple[int, int, int, str, bytes]:
    """Samples, rate, channels, coding, and all bytes before the samples.

    Raises:
        UserError: if it is not an uncompressed WAV file.
    """
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise UserError(f"{path}: not readable as audio ({error}); build the study again") from error
    with path.open("rb") as file:
        start = file.read(4096)
    data = start.find(b"data")
    if info.format not in ("WAV", "WAVEX") or not info.subtype.startswith("PCM") or data < 0:
        raise UserError(f"{path}: stimuli are uncompressed WAV files; build the study again")
    return info.frames, info.samplerate, info.channels, info.subtype, start[: data + 8]


def preload(paths: list[Path]) -> None:
    """Ask the operating system to read all stimuli of a trial into memory before the first is requested.

    The hidden reference is the same file as the open one. Without this, it alone would come from memory, and faster.
    """
    if hasattr(os, "posix_fadvise"):
        for path in paths:
            with suppress(OSError):  # reported when the stimulus is requested
                descriptor = os.open(path, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
                os.close(descriptor)
