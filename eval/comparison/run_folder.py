"""Layout of a run's folder: RUN/scores.parquet, RUN/run.json, RUN/audio/SYSTEM/FILE.wav, RUN/records/*.parquet."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.codec.audio import SUFFIXES
from earmark.codec.errors import UserError, WriteError
from earmark.codec.inside import inside
from earmark.codec.lock import locked
from earmark.codec.remote_paths import is_remote
from earmark.eval.metrics.remembered import remember

if TYPE_CHECKING:  # workers need only the paths
    import pandas as pd

REFERENCE = "reference"
AUDIO = "audio"
SCORES = "scores.parquet"
INFO = "run.json"
REPORT = "report.html"
LONGEST_NAME, LONGEST_KEPT = 243, 200  # bytes in the name of a decoded file, and of a longer name
EXCERPTS = "excerpts"  # folder of the audio of a report with --link-audio
STAMPS = "stamps.parquet"
OWN_FILES = (SCORES, INFO, REPORT, "table.md", "table.tex", "table.csv", "digests.json", STAMPS)
OWN_FOLDERS = ("records", AUDIO, EXCERPTS)


def audio_path(run: Path, system: str, file: str) -> Path:
    """Path of a decoded recording, or of the source as it was scored (system "reference"): float WAV.

    Raises:
        UserError: `file`, which may come from another person's run, leads out of the run's folder.
    """
    inside(run, AUDIO, run / INFO)
    return inside(run / AUDIO, audio_name(system, file), run / INFO)


def audio_name(system: str, file: str) -> str:
    """The path of `audio_path` relative to RUN/audio, with forward slashes; not checked."""
    plain = file.lower().endswith(".wav") and not file.lower()[: -len(".wav")].endswith(SUFFIXES)
    name = _short(file if plain else f"{file}.wav")  # keeps "a.ogg.wav" and "a.ogg" apart
    return f"{_folder(system)}/{name}"


@functools.lru_cache(maxsize=1024)
def _folder(system: str) -> str:
    return re.sub(r"[^\w.@=+-]", "_", system)


def _short(name: str) -> str:
    """A name that file systems take, with room for that of a temporary file; a longer one ends in its hash."""
    folder, slash, last = name.rpartition("/")
    encoded = last.encode()
    if len(encoded) <= LONGEST_NAME:
        return name
    kept = encoded[:LONGEST_KEPT].decode(errors="ignore")
    return f"{folder}{slash}{kept}~{hashlib.sha256(encoded).hexdigest()[:16]}.wav"


@contextmanager
def written_by_one(run: Path) -> Iterator[None]:
    """Let other commands that write scores or report of a run wait; at a URL there is no lock, and the last one counts.

    Raises:
        WriteError: the folder cannot be written.
    """
    with nullcontext() if is_remote(run) else locked(run, wait=True):
        yield


def discard(run: Path) -> None:
    """Delete what a run wrote into its folder; files of the user's stay.

    Raises:
        WriteError: a file cannot be deleted.
    """
    folders = [run / name for name in OWN_FOLDERS if (run / name).is_dir()]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"), key=lambda one: -len(one.parts))]
    try:
        for path in [*paths, *folders, *(run / name for name in OWN_FILES)]:
            if path.is_dir():
                path.rmdir()
            elif path.exists():
                path.unlink()
    except OSError as error:
        raise WriteError(f"{run}: cannot be emptied: {error.strerror or error}") from error


def read_scores(run: Path) -> pd.DataFrame:
    """Read the scores of a run, one row per file, system and metric.

    Raises:
        UserError: `run` is not a finished run.
    """
    import pandas as pd

    try:
        with (run / SCORES).open("rb") as file:
            return pd.read_parquet(file)
    except FileNotFoundError:
        raise UserError(f"{run}: no {SCORES} in it; make a run with `earmark compare AUDIO_DIR --out {run}`") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{run / SCORES}: not readable ({error}); run `earmark compare` again") from error


def read_info(run: Path) -> dict[str, Any]:
    """Read the run metadata: command, versions, systems, metrics, recordings.

    Metrics of the user's own that the run describes are known in this process afterwards, by their descriptions.

    Raises:
        UserError: `run` is not a finished run.
    """
    try:
        info: dict[str, Any] = json.loads((run / INFO).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{run}: no {INFO} in it; make a run with `earmark compare AUDIO_DIR --out {run}`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{run / INFO}: not readable ({error}); run `earmark compare` again") from error
    remember(info.get("own_metrics", {}), info.get("metric_versions", {}))
    return info
