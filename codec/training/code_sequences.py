"""Codes of the recordings in shards, made once by a codec and kept in a folder, to train a language model on.

FOLDER/run.json         of what codec and recordings they are
FOLDER/codes.jsonl      one stretch of a recording a line: split, and where its codes lie
FOLDER/codes.u16        codes, all codebooks of a step before the next step, as unsigned 16-bit little-endian integers
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.codec.datasets.manifest import Split
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.codec.training.examples import batches as data
from earmark.codec.training.examples.shards import Shards, Stored
from earmark.codec.training.folder import open_folder

SPLITS: tuple[Split, ...] = ("train", "valid")
STRETCH_SECONDS = 60.0  # coded in one go: memory does not grow with a recording's length
BYTES = 2  # of a code
NOTES, CODES = "codes.jsonl", "codes.u16"
SAME = {
    "codec": "another codec",
    "codebooks": "another codec",
    "data": "other data",
    "validation": "other recordings to validate on",
    "hours": "other --hours",
}  # of `source`, in the words of codec.training.folder
UNKNOWN = -1  # in the place of codes after the end of a sequence


@dataclass(frozen=True)
class CodeSequence:
    """Consecutive codes: `steps` latent steps from step `start` of the file on; `last` ends its recording."""

    split: Split
    start: int
    steps: int
    last: bool


class CodeSequences:
    """Sequences drawn from the codes in a folder.

    Args:
        folder: that `write` filled.
        codebooks: of each step.

    Raises:
        UserError: there are fewer codes than noted.
    """

    def __init__(self, folder: Path, codebooks: int) -> None:
        self._sequences = _noted(folder, codebooks)
        self._codes: NDArray[np.uint16] = np.memmap(folder / CODES, "<u2", "r").reshape(-1, codebooks)

    def steps(self, split: Split) -> int:
        """Latent steps in a split."""
        return sum(sequence.steps for sequence in self._of(split))

    def draw(self, rng: np.random.Generator, batch: int, steps: int) -> Tensor:
        """Codes of the split "train", [batch, codebooks, steps], every step as likely as any other.

        Sequences that are shorter end in UNKNOWN.
        """
        sequences = self._of("train")
        ends = np.cumsum([sequence.steps for sequence in sequences])
        drawn = []
        for chosen in np.searchsorted(ends, rng.integers(ends[-1], size=batch), side="right"):
            sequence = sequences[chosen]
            first = int(rng.integers(max(1, sequence.steps - steps + 1)))
            drawn.append(self._read(sequence, first, steps))
        return torch.stack(drawn)

    def excerpts(self, split: Split, count: int, steps: int) -> list[Tensor]:
        """The same at every call: [codebooks, up to steps] each, from sequences all over the split."""
        sequences = self._of(split)
        chosen = [sequences[index * len(sequences) // count] for index in range(min(count, len(sequences)))]
        return [self._read(sequence, 0, min(steps, sequence.steps)) for sequence in chosen]

    def _of(self, split: Split) -> list[CodeSequence]:
        return [sequence for sequence in self._sequences if sequence.split == split]

    def _read(self, sequence: CodeSequence, first: int, steps: int) -> Tensor:
        end = min(first + steps, sequence.steps)
        codes = torch.full((self._codes.shape[1], steps), UNKNOWN)
        codes[:, : end - first] = torch.from_numpy(
            self._codes[sequence.start + first : sequence.start + end].T.astype(np.int64)
        )
        return codes


def source(config: EncodecConfig, identity: str, shards: Sequence[Shards], hours: float | None) -> dict[str, Any]:
    """What codes are made of, which tells them from others.

    Args:
        identity: SHA-256 of the weights.
        hours: see `write`.

    Raises:
        UserError: no recordings to train on, or none to validate with.
    """
    for split in SPLITS:
        if not any(stored.entry.split == split for part in shards for stored in part.recordings):
            raise UserError(f"--data: no recordings of the split {split}; index more of them")
    train, valid = (data.identity(shards, split) for split in SPLITS)
    return {
        "codec": identity, "codebooks": config.codebooks(), "data": train, "validation": valid, "hours": hours,
    }  # fmt: skip


def write(
    model: EncodecModel, identity: str, shards: Sequence[Shards], folder: Path, hours: float | None = None
) -> None:  # fmt: skip
    """Code recordings by all codebooks of a model; goes on where an interrupted call stopped.

    Args:
        model: in evaluation mode.
        identity: SHA-256 of its weights.
        hours: of each split, at most; all of it for None. Shards begin with a fair sample.

    Raises:
        UserError: no recordings to train on, or none to validate with; the folder holds other codes, or has lost some.
    """
    about = source(model.config, identity, shards, hours)
    codebooks = model.config.codebooks()
    noted = _noted(folder, codebooks)
    open_folder(folder, about, SAME, resume=True)
    recordings = list(_chosen(shards, hours))
    # Sequences of a recording that was not finished are made again.
    while noted and not noted[-1].last:
        noted.pop()
    done = sum(sequence.last for sequence in noted)
    position = noted[-1].start + noted[-1].steps if noted else 0
    with (
        (folder / CODES).open("ab") as codes,
        (folder / NOTES).open("w", encoding="utf-8") as notes,
        progress("codes", len(recordings) - done) as advance,
    ):
        codes.truncate(position * codebooks * BYTES)
        notes.writelines(json.dumps(asdict(sequence)) + "\n" for sequence in noted)
        for part, stored in recordings[done:]:
            pieces = list(_coded(model, part, stored))
            for index, piece in enumerate(pieces):
                codes.write(piece.T.astype("<u2").tobytes())
                sequence = CodeSequence(stored.entry.split, position, piece.shape[1], index == len(pieces) - 1)
                position += sequence.steps
                codes.flush()
                notes.write(json.dumps(asdict(sequence)) + "\n")
            notes.flush()
            advance(stored.entry.path)


def _chosen(shards: Sequence[Shards], hours: float | None) -> Iterator[tuple[Shards, Stored]]:
    seconds = dict.fromkeys(SPLITS, 0.0)
    for part in shards:
        for stored in part.recordings:
            split = stored.entry.split
            if split in seconds and (hours is None or seconds[split] < 3600 * hours):
                seconds[split] += stored.frames / part.sample_rate
                yield part, stored


def _coded(model: EncodecModel, shards: Shards, stored: Stored) -> Iterator[NDArray[np.int64]]:
    """[codebooks, steps] of each stretch, or of each segment of a model that has segments."""
    stretch = round(STRETCH_SECONDS * shards.sample_rate)
    for start in range(0, stored.frames, stretch):
        audio = shards.read(stored, start, min(stretch, stored.frames - start))
        for segment in model.encode(torch.from_numpy(audio)).segments:
            yield segment.codes[0].cpu().numpy()


def _noted(folder: Path, codebooks: int) -> list[CodeSequence]:
    """Sequences of which the codes are there; the last line may be incomplete."""
    path = folder / NOTES
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    noted = [CodeSequence(**json.loads(line)) for line in lines if line.endswith("\n")]
    steps = noted[-1].start + noted[-1].steps if noted else 0
    codes = folder / CODES
    if steps and (not codes.exists() or codes.stat().st_size < steps * codebooks * BYTES):
        raise UserError(f"{codes}: shorter than {NOTES} says; delete the folder {folder} to have the codes made again")
    return noted
