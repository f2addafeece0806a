"""Codes of recordings in a folder: made once by a codec, then used to train a language model.

FOLDER/run.json         identifies the codec and the recordings
FOLDER/codes.jsonl      one line per stretch of a recording: its split, and the position of its codes
FOLDER/codes.u16        codes as unsigned 16-bit little-endian integers, all codebooks of a step before the next step
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
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
from earmark.codec.training.examples.batches import identity as data_identity
from earmark.codec.training.examples.shards import Shards, Stored
from earmark.codec.training.folder import check_run, write_metadata

SPLITS: tuple[Split, ...] = ("train", "valid")
STRETCH_SECONDS = 60.0  # coded at once, so that memory does not grow with the length of a recording
BYTES = 2  # per code
INDEX, CODES = "codes.jsonl", "codes.u16"
LABELS = {
    "codec": "another codec",
    "codebooks": "another codec",
    "data": "other data",
    "validation": "other recordings to validate on",
    "hours": "other --hours",
}  # of the keys of source(), for check_run()
UNKNOWN = -1  # pads codes beyond the end of a sequence


@dataclass(frozen=True)
class CodeSequence:
    """Consecutive codes: `steps` steps from step `start` of the file. `last` marks the end of a recording."""

    split: Split
    start: int
    steps: int
    last: bool


class CodeSequences:
    """Sequences drawn from the codes in a folder.

    Args:
        folder: folder filled by write().
        codebooks: codes per step.

    Raises:
        UserError: codes are missing.
    """

    def __init__(self, folder: Path, codebooks: int) -> None:
        self._sequences = _read_index(folder, codebooks)
        self._codes: NDArray[np.uint16] = np.memmap(folder / CODES, "<u2", "r").reshape(-1, codebooks)

    def steps(self, split: Split) -> int:
        """Number of steps in a split."""
        return sum(sequence.steps for sequence in self._of(split))

    def draw(self, rng: np.random.Generator, batch: int, steps: int) -> Tensor:
        """Draw codes of the split "train", [batch, codebooks, steps]. Every step is equally likely.

        Shorter sequences are padded with UNKNOWN.
        """
        sequences = self._of("train")
        ends = np.cumsum([sequence.steps for sequence in sequences])
        drawn = []
        for index in np.searchsorted(ends, rng.integers(ends[-1], size=batch), side="right"):
            sequence = sequences[index]
            first = int(rng.integers(max(1, sequence.steps - steps + 1)))
            drawn.append(self._read(sequence, first, steps))
        return torch.stack(drawn)

    def excerpts(self, split: Split, count: int, steps: int) -> list[Tensor]:
        """Up to `count` excerpts, [codebooks, up to steps] each, spread over the split and the same at every call."""
        sequences = self._of(split)
        spread = [sequences[index * len(sequences) // count] for index in range(min(count, len(sequences)))]
        return [self._read(sequence, 0, min(steps, sequence.steps)) for sequence in spread]

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
    """Metadata that identifies codes: the codec and the recordings.

    Args:
        config: config of the codec.
        identity: SHA-256 of its encoder and codebooks.
        shards: recordings.
        hours: see write().

    Raises:
        UserError: a split has no recordings.
    """
    for split in SPLITS:
        if not any(stored.entry.split == split for part in shards for stored in part.recordings):
            raise UserError(f"--data: no recordings of the split {split}; index more of them")
    train, valid = (data_identity(shards, split) for split in SPLITS)
    return {
        "codec": identity, "codebooks": config.codebooks(), "data": train, "validation": valid, "hours": hours,
    }  # fmt: skip


def upgrades(accepted: Sequence[str]) -> dict[str, Callable[[Any], Any]]:
    """For check_run(): codes that an earlier version named by the identity of all weights are those of the codec."""
    return {"codec": lambda earlier: accepted[0] if earlier in accepted else earlier}


def write(
    model: EncodecModel, accepted: Sequence[str], shards: Sequence[Shards], folder: Path, hours: float | None = None
) -> None:  # fmt: skip
    """Code recordings with all codebooks of a model. Continues where an interrupted call stopped.

    Args:
        model: codec in evaluation mode.
        accepted: identities of its codes (`identities.accepted_identities`).
        shards: recordings.
        folder: folder for the codes.
        hours: most hours per split. Any beginning of the shards is a fair sample. Default: all.

    Raises:
        UserError: a split has no recordings; or the folder holds other codes, or lacks some of its own.
    """
    metadata = source(model.config, accepted[0], shards, hours)
    codebooks = model.config.codebooks()
    sequences = _finished(_read_index(folder, codebooks))
    if not check_run(folder, metadata, LABELS, resume=True, upgrades=upgrades(accepted)):
        write_metadata(folder, metadata)
    recordings = list(_select_recordings(shards, hours))
    done = sum(sequence.last for sequence in sequences)
    position = sequences[-1].start + sequences[-1].steps if sequences else 0
    with (
        (folder / CODES).open("ab") as codes,
        (folder / INDEX).open("w", encoding="utf-8") as index,
        progress("codes", len(recordings) - done) as advance,
    ):
        codes.truncate(position * codebooks * BYTES)
        index.writelines(json.dumps(asdict(sequence)) + "\n" for sequence in sequences)
        for part, stored in recordings[done:]:
            pieces = list(_encode(model, part, stored))
            for number, piece in enumerate(pieces):
                codes.write(piece.T.astype("<u2").tobytes())
                sequence = CodeSequence(stored.entry.split, position, piece.shape[1], number == len(pieces) - 1)
                position += sequence.steps
                codes.flush()
                index.write(json.dumps(asdict(sequence)) + "\n")
            index.flush()
            advance(stored.entry.path)


def _finished(sequences: list[CodeSequence]) -> list[CodeSequence]:
    """The sequences without those of a last recording that was not finished, which are made again."""
    end = max((number + 1 for number, sequence in enumerate(sequences) if sequence.last), default=0)
    return sequences[:end]


def _select_recordings(shards: Sequence[Shards], hours: float | None) -> Iterator[tuple[Shards, Stored]]:
    """The recordings of both splits, up to `hours` of each."""
    seconds = dict.fromkeys(SPLITS, 0.0)
    for part in shards:
        for stored in part.recordings:
            split = stored.entry.split
            if split in seconds and (hours is None or seconds[split] < 3600 * hours):
                seconds[split] += stored.frames / part.sample_rate
                yield part, stored


def _encode(model: EncodecModel, shards: Shards, stored: Stored) -> Iterator[NDArray[np.int64]]:
    """Codes, [codebooks, steps], of each stretch of a recording, or of each of its segments if the model has any."""
    stretch = round(STRETCH_SECONDS * shards.sample_rate)
    for start in range(0, stored.frames, stretch):
        audio = shards.read(stored, start, min(stretch, stored.frames - start))
        for segment in model.encode(torch.from_numpy(audio)).segments:
            yield segment.codes[0].cpu().numpy()


def _read_index(folder: Path, codebooks: int) -> list[CodeSequence]:
    """Read codes.jsonl and check that the codes exist. An incomplete last line is ignored."""
    path = folder / INDEX
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    sequences = [CodeSequence(**json.loads(line)) for line in lines if line.endswith("\n")]
    steps = sequences[-1].start + sequences[-1].steps if sequences else 0
    codes = folder / CODES
    if steps and (not codes.exists() or codes.stat().st_size < steps * codebooks * BYTES):
        raise UserError(f"{codes}: shorter than {INDEX} says; delete the folder {folder} to make the codes again")
    return sequences
