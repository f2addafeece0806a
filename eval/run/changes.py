"""Dropping parts of a run, and merging runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

from earmark.codec.errors import UserError, WriteError
from earmark.codec.files import written_whole
from earmark.codec.progress import progress
from earmark.codec.remote_paths import is_remote
from earmark.codec.suggestions import choose
from earmark.codec.text import counted
from earmark.eval.comparison import accumulation, records
from earmark.eval.comparison.accumulation import UNIONS, Content
from earmark.eval.comparison.run_folder import REFERENCE, audio_path, read_info, read_scores, written_by_one

CELL = ["file", "system", "metric"]
REMEDY = "leave one out by `earmark run drop`"


def dropped(
    content: Content, *, systems: Collection[str] = (), metrics: Collection[str] = (), files: Collection[str] = ()
) -> Content:
    """The content of a run without some systems, metrics and recordings.

    Raises:
        UserError: the run does not have one of them, or nothing would be left.
    """
    scores, info = content.scores, content.info
    gone = {
        "system": {choose(name, info["systems"], option="--systems") for name in systems},
        "metric": {choose(name, info["metrics"], option="--metrics") for name in metrics},
        "file": {choose(name, [one["file"] for one in info["recordings"]], option="--recordings") for name in files},
    }
    for column, names in gone.items():
        scores = scores[~scores[column].isin(list(names))]
    if scores.empty:
        raise UserError("nothing would be left of the run; delete its folder instead")
    left = {
        **info,
        "systems": [name for name in info["systems"] if name not in gone["system"]],
        "metrics": [name for name in info["metrics"] if name not in gone["metric"]],
        "recordings": [one for one in info["recordings"] if one["file"] not in gone["file"]],
        "notes": [note for note in info["notes"] if not _is_about(note, gone["system"], gone["file"])],
    }
    for key in UNIONS:
        if key in info:
            unwanted = {f"{name}{mode}" for name in gone["metric"] for mode in ("", "_speech", "_audio")} | gone[
                "system"
            ]
            left[key] = {name: value for name, value in info[key].items() if name not in unwanted}
    return Content(scores.reset_index(drop=True), left)


def _is_about(note: str, systems: Iterable[str], files: Iterable[str]) -> bool:
    return note.startswith(tuple(f"{name}: " for name in (*systems, *files))) or any(
        f": {name} is " in note for name in systems
    )


def drop(
    run: Path, *, systems: Collection[str] = (), metrics: Collection[str] = (), files: Collection[str] = ()
) -> int:  # fmt: skip
    """Remove systems, metrics and recordings from a run, and the decoded audio that no score refers to afterwards.

    Returns:
        Number of audio files deleted.

    Raises:
        UserError: see `dropped`; or there is no finished run.
        WriteError: the folder cannot be written.
    """
    with written_by_one(run):
        before = Content(read_scores(run), read_info(run))
        after = dropped(before, systems=systems, metrics=metrics, files=files)
        accumulation.write(after, run)
        unused = _audio(run, before) - _audio(run, after)
        for path in unused:
            _delete(path, run)
    return len(unused)


def _audio(run: Path, content: Content) -> set[Path]:
    """The audio files that scores refer to, and the sources of their recordings, as far as they exist."""
    pairs = set(zip(content.scores["file"], content.scores["system"], strict=True))
    pairs |= {(file, REFERENCE) for file, _ in pairs}
    return {path for file, system in pairs if (path := audio_path(run, str(system), str(file))).is_file()}


def _delete(path: Path, run: Path) -> None:
    """Delete an audio file, and its folders if they are empty."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: cannot be deleted: {error.strerror or error}") from error
    for folder in path.parents:
        if folder == run:
            break
        with suppress(OSError):
            folder.rmdir()


def merge(runs: Sequence[Path], out: Path, command: str) -> None:
    """Make a run that has everything of several ones; audio files are linked if they can be, otherwise copied.

    Raises:
        UserError: one is not a finished run, or they do not fit together; the message says why.
        WriteError: the folder cannot be written or the disk is full.
    """
    contents = [Content(read_scores(run), read_info(run)) for run in runs]
    joined = joined_content(runs, contents)
    joined.info["command"] = command
    joined.info["history"] = [entry for one in contents for entry in accumulation.history(one.info)]
    with progress("merge", sum(len(_audio(run, one)) for run, one in zip(runs, contents, strict=True))) as advance:
        for number, (run, content) in enumerate(zip(runs, contents, strict=True)):
            for path in sorted(_audio(run, content)):
                _take(path, out / path.relative_to(run))
                advance(path.name)
            _take_records(run, out, number)
    with written_by_one(out):
        accumulation.write(joined, out)


def joined_content(runs: Sequence[Path], contents: Sequence[Content]) -> Content:
    """The content of several runs in one.

    Raises:
        UserError: they do not fit together, or differ in a score that both have.
    """
    joined = contents[0]
    for run, content in zip(runs[1:], contents[1:], strict=True):
        rows = joined.scores
        theirs = pd.MultiIndex.from_frame(content.scores[CELL])
        ours = pd.MultiIndex.from_frame(rows[CELL])
        _require_same(rows[ours.isin(theirs)], content.scores[theirs.isin(ours)], runs[0], run)
        stay = rows[~ours.isin(theirs)]
        accumulation.check(joined, stay, content.info, run, remedy=REMEDY)
        notes = _other_versions(joined.info, content.info, runs[0], run)
        joined = accumulation.merged(joined, content, stay)
        joined = Content(joined.scores, {**joined.info, "notes": sorted({*joined.info["notes"], *notes})})
    return joined


def _require_same(ours: pd.DataFrame, theirs: pd.DataFrame, run: Path, other: Path) -> None:
    """Check that cells that two runs have are equal."""
    both = ours.merge(theirs, on=CELL, suffixes=("", "_other"))
    same = (both["value"] == both["value_other"]) | (both["value"].isna() & both["value_other"].isna())
    different = both[~same | (both["status"] != both["status_other"])]
    if not different.empty:
        row = different.iloc[0]
        raise UserError(
            f"{other}: {row['metric']} of {row['file']} in {row['system']} is {row['value_other']:g}, and "
            f"{row['value']:g} in {run} ({counted(len(different), 'score')} differ); {REMEDY}"
        )


def _other_versions(ours: dict[str, Any], theirs: dict[str, Any], run: Path, other: Path) -> list[str]:
    """Notes on codecs that the runs have in different versions."""
    return [
        f"{name}: {ours['versions'][name]} in {run}, {theirs['versions'][name]} in {other}"
        for name in ours["systems"]
        if name in theirs["systems"] and ours["versions"].get(name) != theirs["versions"].get(name)
    ]


def _take(path: Path, target: Path) -> None:
    """Link a file, or copy it to another disk or a URL."""
    if target.exists():
        return
    if not is_remote(path) and not is_remote(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
        except OSError:  # another disk, or a file system without links
            pass
        else:
            return
    with written_whole(target) as aside, path.open("rb") as source, aside.open("wb") as copy:
        shutil.copyfileobj(source, copy)


def _take_records(run: Path, out: Path, number: int) -> None:
    """Copy the files of records under names that follow those of the runs before."""
    taken = len(list((out / records.FOLDER).glob("*.parquet"))) if (out / records.FOLDER).exists() else 0
    for index, path in enumerate(sorted((run / records.FOLDER).glob("*.parquet")), taken + 1):
        _take(path, out / records.FOLDER / f"{index:08}-merged-{number}.parquet")
