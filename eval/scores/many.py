"""Scores of many pairs: a run of systems that are given by their decoded audio, in a folder that may be temporary."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from earmark.codec.cores import usable_cores
from earmark.codec.remote_paths import path_or_url
from earmark.eval.comparison import runner
from earmark.eval.comparison.corpus import SPEECH_PATTERNS, ReferenceFormat, Source, find
from earmark.eval.comparison.decoded.folders import DecodedSystem, Location
from earmark.eval.comparison.decoded.options import given_systems
from earmark.eval.scores.pairs import ListedPair, as_systems

FEW = 2  # pairs that are scored in this process
SPEECH = {"auto": SPEECH_PATTERNS, "speech": ("*",), "audio": ()}  # mode -> patterns of the speech categories


@dataclass(frozen=True)
class Work:
    """The pairs to score.

    Args:
        audio: folder of references, corpus file, or list of pairs.
        systems: the decoded audio.
        sources: the references, if a list names them.
    """

    audio: Path
    systems: tuple[DecodedSystem, ...]
    sources: tuple[Source, ...] | None = None


def of_folders(reference: Path, decoded: Sequence[str]) -> Work:
    """Decoded folders, or what --decoded of `earmark compare` takes, against a folder of references.

    Raises:
        UserError: see `given_systems`.
    """
    return Work(reference, given_systems(reference, [_named(one) for one in decoded]))


def of_pairs(pairs: Sequence[ListedPair], where: Path) -> Work:
    """A list of pairs.

    Raises:
        UserError: see `as_systems`.
    """
    sources, systems = as_systems(pairs, where)
    return Work(where, systems, sources)


def without_reference(folder: Path) -> Work:
    """Decoded audio alone, each file beside itself.

    Raises:
        UserError: there are no recordings.
    """
    sources = find(folder)
    (system,) = given_systems(folder, [_named(str(folder))])
    files = {source.file: source.path for source in sources}
    return Work(folder, (DecodedSystem(system.system, Location(folder, files=files)),), tuple(sources))


def _named(value: str) -> str:
    """A folder with the name of its system in front, without the characters that such a name cannot have."""
    if any(character in value for character in "=*{"):
        return value
    return f"{system_name(path_or_url(value))}={value}"


def system_name(path: Path) -> str:
    """The name of a file or folder as the name of a system."""
    name = path.name if path.name not in ("", ".", "..") else path.resolve().name
    return re.sub(r"[^\w.+@-]", "_", name) or "decoded"


def score_many(
    work: Work, metrics: Sequence[str], mode: str, jobs: int | None, out: Path | None, command: str, keep_going: bool
) -> runner.Result:
    """Score all pairs, in worker processes.

    Args:
        mode: "auto", "speech" or "audio", for `visqol`.
        jobs: worker processes; None for one per core, or none for so few pairs that starting them takes longer.
        out: folder that keeps the run; None for none.
        command: the command line, for run.json.

    Raises:
        UserError, WriteError: see `earmark.eval.comparison.runner.run`.
    """
    with _folder(out) as run:
        plan = runner.Plan(
            audio_dir=work.audio, systems=(), metrics=tuple(metrics), run=run, format=ReferenceFormat(),
            speech=SPEECH[mode], jobs=_jobs(work) if jobs is None else jobs, command=command, keep_going=keep_going,
            decoded=work.systems, sources=work.sources,
        )  # fmt: skip
        return runner.run(plan)


def _jobs(work: Work) -> int:
    """Worker processes for the pairs of a list; 0 for few."""
    pairs = [len(one.audio.files) for one in work.systems if one.audio.files is not None]
    few = len(pairs) == len(work.systems) and sum(pairs) <= FEW
    return 0 if few else usable_cores()


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    if out is not None:
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="earmark-") as name:
        yield Path(name)
