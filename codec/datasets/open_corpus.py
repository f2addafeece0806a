"""The open corpus: recordings that anyone may fetch from Debian's archive and two public repositories."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from earmark.codec.datasets.indexing import Candidate
from earmark.codec.datasets.layout_files import audio_files
from earmark.codec.datasets.manifest import Category, Split, split_of

HELD_OUT = 0.05  # share of the files, or of the creators, in each of the splits "valid" and "test"


@dataclass(frozen=True)
class Source:
    """One part of the corpus. corpora/open_corpus.toml documents the fields."""

    name: str
    category: Category
    licence: str
    files: str
    package: str | None = None
    repository: str | None = None
    folder: str = ""
    creator: str | None = None
    together: Literal["file", "creator"] = "file"
    test_creators: tuple[str, ...] = ()
    prepare: str | None = None

    @property
    def subfolder(self) -> str:
        """The folder below the corpus's root that its files are extracted to."""
        return self.package or self.name


def sources() -> list[Source]:
    """The parts of the open corpus."""
    text = resources.files("earmark.codec.datasets").joinpath("corpora/open_corpus.toml").read_text(encoding="utf-8")
    return [
        Source(**{**table, "test_creators": tuple(table.get("test_creators", ()))})
        for table in tomllib.loads(text)["source"]
    ]


def recordings(source: Source, root: Path) -> Iterator[Candidate]:
    """The recordings of one part below `root`; none if the part was not fetched."""
    folder = root / source.subfolder / source.folder
    wanted = re.compile(source.files)
    for file in audio_files(folder):
        path = file.relative_to(folder).as_posix()
        if wanted.search(path):
            match = re.search(source.creator, path) if source.creator else None
            creator = match and next((group for group in match.groups() if group), None)
            yield Candidate(file, source.name, source.category, _split(source, path, creator), creator, source.licence)


def _split(source: Source, path: str, creator: str | None) -> Split:
    if creator in source.test_creators:
        return "test"
    name = creator if creator and source.together == "creator" else path.rpartition(".")[0]
    return split_of(f"{source.name}/{name}", valid=HELD_OUT, test=HELD_OUT)
