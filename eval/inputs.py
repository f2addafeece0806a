"""Arguments that must be a run or audio: anything else is recognised, and the message names the command for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from earmark.codec.audio import SUFFIXES
from earmark.eval.comparison.run_folder import INFO, SCORES
from earmark.eval.options import PathOrURL

STUDY = "study.json"


def _is_run(path: Path) -> bool:
    return path.is_dir() and ((path / SCORES).exists() or (path / INFO).exists())


def _is_study(path: Path) -> bool:
    return path.is_dir() and (path / STUDY).exists()


def not_audio(path: Path) -> str | None:
    """Say what a path is that is no recording, and which command takes it; None if it may be recordings."""
    if path.is_file() and path.name in (SCORES, INFO) and _is_run(path.parent):
        return f"{path} belongs to a run; see the scores by `earmark tables {path.parent}`"
    if path.is_file() and path.suffix.lower() == ".ecdc":
        return f"{path} is one coded file; decode it by `earmark decode {path} {path.with_suffix('.wav').name}`"
    if _is_run(path):
        return f"{path} is a run, not recordings; see it by `earmark tables {path}`"
    if _is_study(path):
        return f"{path} is a listening test; see its results by `earmark study report {path}`"
    return None


class AudioPath(PathOrURL):
    """A folder of recordings, or a corpus file (TOML)."""

    def __init__(self) -> None:
        super().__init__(exists=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            self.fail(f"{path} is one recording; name its folder, e.g. earmark compare {path.parent}", param, ctx)
        if wrong := not_audio(path):
            self.fail(wrong, param, ctx)
        if path.is_file() and path.suffix.lower() != ".toml":
            self.fail(f"{path} is neither a folder of recordings nor a corpus file (TOML)", param, ctx)
        return path


class NewRunPath(PathOrURL):
    """The folder for a run: new, empty or a run, but neither a study nor a folder of recordings."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if _is_study(path):
            self.fail(f"{path} is a listening test; name another folder, e.g. {path.parent / 'run'}", param, ctx)
        if path.is_dir() and not _is_run(path) and any(inside.suffix.lower() in SUFFIXES for inside in path.iterdir()):
            self.fail(f"{path} has recordings; name another folder, e.g. {path / 'run'}", param, ctx)
        return path


class RunPath(PathOrURL):
    """The folder of a run; its scores.parquet stands for it."""

    def __init__(self) -> None:
        super().__init__(exists=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if path.name in (SCORES, INFO) and _is_run(path.parent):
            return path.parent
        if _is_study(path):
            self.fail(f"{path} is a listening test; see its results by `earmark study report {path}`", param, ctx)
        if path.is_file():
            self.fail(f"{path} is a file; name the folder that `earmark compare` wrote", param, ctx)
        if not _is_run(path) and _has_audio(path):
            self.fail(
                f"{path} has recordings but no scores; make a run by `earmark compare {path} -s opus@12 -o run/`",
                param, ctx,
            )  # fmt: skip
        return path


class FilePath(click.Path):
    """A file; a folder in its place is recognised.

    Args:
        what: what the file is, for the message.
        for_run: the command that takes a run, for a run in its place.
        exists: whether the file must exist.
    """

    def __init__(self, what: str, *, for_run: str = "earmark tables {}", exists: bool = True) -> None:
        super().__init__(exists=exists, path_type=Path)
        self._what, self._for_run = what, for_run

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if _is_run(path):
            self.fail(f"{path} is a run, not {self._what}; give it to `{self._for_run.format(path)}`", param, ctx)
        if _is_study(path):
            self.fail(f"{path} is a listening test, not {self._what}", param, ctx)
        if path.is_dir():
            self.fail(f"{path} is a folder; name {self._what}", param, ctx)
        return path


def _has_audio(folder: Path) -> bool:
    inside = [path for path in folder.iterdir() if not path.name.startswith(".")]
    files = [*inside, *(path for part in inside if part.is_dir() for path in part.iterdir())]
    return any(path.suffix.lower() in SUFFIXES for path in files)
