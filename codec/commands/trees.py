"""Work on all files of a folder, whose results mirror it: targets, worker processes, one file's failure, the total."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from earmark.codec.cores import usable_cores
from earmark.codec.errors import UserError, WriteError
from earmark.codec.parallel import in_processes
from earmark.codec.progress import progress
from earmark.codec.text import printable


@dataclass(frozen=True)
class Pair:
    """A file of the folder, and the file that is made from it."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """Outcome of one file.

    Args:
        kind: "there" if its target was there already, and equal; "damaged" if only a part of it could be used.
        lines: notes, or why it failed, in one line each.
    """

    kind: Literal["done", "there", "damaged", "failed"]
    lines: tuple[str, ...] = ()


def mirrored(tree: Path, out: Path, suffixes: Sequence[str], suffix: str) -> list[Pair]:
    """The files of a folder and its sub-folders that have one of `suffixes`, with their targets in `out`.

    Hidden files and folders are skipped, and `out` if it lies in `tree`. a/b.wav gets the target a/b.ecdc; where two
    files would share it, as a/b.wav and a/b.flac, each keeps its whole name: a/b.wav.ecdc.

    Args:
        suffixes: in lower case.
        suffix: of the targets.

    Raises:
        UserError: there is no such file.
    """
    files = sorted(_files(tree, suffixes, out.resolve()))
    if not files:
        kinds = ", ".join(one[1:] for one in suffixes)
        raise UserError(f"{tree}: no files to work on in it; it takes {kinds}")
    whole = {file: file.with_name(file.name + suffix) for file in files}
    targets = {file: file.with_suffix(suffix) for file in files}
    while shared := {target for target, count in Counter(targets.values()).items() if count > 1}:
        targets = {file: whole[file] if target in shared else target for file, target in targets.items()}
    return [Pair(tree / file, out / target) for file, target in targets.items()]


def _files(tree: Path, suffixes: Sequence[str], out: Path) -> Iterator[Path]:
    for parent, names, files in os.walk(tree):
        inside = Path(parent)
        names[:] = [name for name in names if not name.startswith(".") and (inside / name).resolve() != out]
        for name in files:
            path = inside / name
            if path.suffix.lower() in suffixes and not name.startswith(".") and path.is_file():
                yield path.relative_to(tree)


def run(label: str, work: Callable[[Pair], Outcome], pairs: Sequence[Pair], jobs: int) -> Counter[str]:
    """Do the work on each pair, in `jobs` processes, and report what failed on one line each.

    Args:
        label: in front of the progress.
        work: function of a module, or a partial of one, which is sent to the processes.

    Returns:
        Number of files of each kind of outcome.

    Raises:
        WriteError: nothing can be stored; the rest was not tried.
    """
    counts: Counter[str] = Counter()
    guarded = _Guarded(work)
    alone = ((pair, guarded(pair)) for pair in pairs)
    results: Iterable[tuple[Pair, Outcome]] = alone if jobs == 1 else in_processes(guarded, pairs, jobs, _died)
    with progress(label, len(pairs)) as advance:
        for pair, outcome in results:
            counts[outcome.kind] += 1
            prefix = {"failed": "failed: ", "damaged": "damaged: "}.get(outcome.kind, "note: ")
            for line in outcome.lines:
                click.echo(printable(prefix + line), err=True)
            advance(pair.source.name)
    return counts


def _died(pair: Pair) -> Outcome:
    return Outcome("failed", (f"{pair.source}: the process that worked on it was killed; is the memory full?",))


@dataclass(frozen=True)
class _Guarded:
    """The work, of which no file's failure ends the others."""

    work: Callable[[Pair], Outcome]

    def __call__(self, pair: Pair) -> Outcome:
        try:
            return self.work(pair)
        except WriteError:
            raise
        except UserError as error:
            return Outcome("failed", (str(error),))
        except (RuntimeError, MemoryError, OSError) as error:  # of a library: out of memory, a file that vanished
            return Outcome("failed", (f"{pair.source}: {type(error).__name__}: {' '.join(str(error).split())}",))


def processes(jobs: int | None, pairs: Sequence[Pair]) -> int:
    """Number of processes for the option --jobs: all cores by default, and no more than files."""
    return min(jobs or usable_cores(), len(pairs))


def show_total(counts: Counter[str]) -> int:
    """Print the total and return the exit status."""
    parts = [f"{counts['done']} done", f"{counts['there']} already there"]
    parts += [f"{counts['damaged']} damaged"] if counts["damaged"] else []
    click.echo(", ".join([*parts, f"{counts['failed']} failed"]))
    return 1 if counts["failed"] or counts["damaged"] else 0
