"""Codes of the recordings in shards, made once by a codec and kept in a folder, to train a language model on.

FOLDER/codes.jsonl      one stretch of a recording a line: split, and where its codes lie
FOLDER/codes.u16        codes, all codebooks of a step before the next step, as unsigned 16-bit little-endian integers
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codec.errors import UserError
from codec.model import EncodecModel
from codec.progress import progress
from codec.training.manifest import Split
from codec.training.shards import Shards, Stored

STRETCH_SECONDS = 60.0  # coded in one go: memory does not grow with a recording's length
BYTES = 2  # of a code
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
    """

    def __init__(self, folder: Path, codebooks: int) -> None:
        self._sequences = _noted(folder)
        self._codes: NDArray[np.uint16] = np.memmap(folder / "codes.u16", "<u2", "r").reshape(-1, codebooks)

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


def write(model: EncodecModel, shards: Sequence[Shards], folder: Path, hours: float | None = None) -> None:
    """Code recordings by all codebooks of a model; goes on where an interrupted call stopped.

    Args:
        model: in evaluation mode.
        hours: of each split, at most; all of it for None. Shards begin with a fair sample.

    Raises:
        UserError: no recordings to train on, or none to validate with.
    """
    folder.mkdir(parents=True, exist_ok=True)
    recordings = list(_chosen(shards, hours))
    for split in ("train", "valid"):
        if not any(stored.entry.split == split for _, stored in recordings):
            raise UserError(f"--data: no recordings of the split {split}; index more of them")
    # Sequences of a recording that was not finished are made again.
    noted = _noted(folder)
    while noted and not noted[-1].last:
        noted.pop()
    done = sum(sequence.last for sequence in noted)
    position = noted[-1].start + noted[-1].steps if noted else 0
    codebooks = model.config.codebooks()
    with (
        (folder / "codes.u16").open("ab") as codes,
        (folder / "codes.jsonl").open("w", encoding="utf-8") as notes,
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
    seconds = dict.fromkeys(("train", "valid"), 0.0)
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


def _noted(folder: Path) -> list[CodeSequence]:
    """Sequences of which the codes are there; the last line may be incomplete."""
    path = folder / "codes.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [CodeSequence(**json.loads(line)) for line in lines if line.endswith("\n")]
