"""The .ecdc container: reads and writes the public reference's version 0, bit for bit, and our checked version 1.

Version 1, the default, adds 12 bytes to every chunk (one segment, or 2 s of a model without segments: 3.2 % at
1.5 kbps, 0.2 % at 24 kbps) and twice 84 bytes to the file; bit rates never include them. Its layout is drawn in
codec/container/records.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from earmark.codec.audio.lookahead import Lookahead, name_of
from earmark.codec.ecdc.checked import CheckedReader, CheckedWriter, find_header
from earmark.codec.ecdc.chunks import with_chunks
from earmark.codec.ecdc.header import Format, Header, short_identity
from earmark.codec.ecdc.parts import CodesDigest, Damage, Part, PartReader, PartWriter
from earmark.codec.ecdc.public import MAGIC, PublicReader, PublicWriter, read_public_header
from earmark.codec.ecdc.segment_coders import CHUNK_SECONDS, Entropy, SegmentCoder, choose_coder, coded_by
from earmark.codec.encodec.codes import Codes, Segment
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError

__all__ = [
    "Contents", "Damage", "Header", "Part", "PartReader", "PartWriter", "SegmentCoder", "inspect", "open_reader",
    "open_writer", "read", "write",
]  # fmt: skip


def open_writer(
    sink: BinaryIO,
    config: EncodecConfig,
    codebooks: int,
    samples: int | None = None,
    *,
    format: Format = "earmark",
    model_identity: str = "",
    language_model: bool = False,
    coder: SegmentCoder | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
) -> PartWriter:
    """Begin a file whose codes come piece by piece.

    Args:
        sink: binary file object; it need not be seekable.
        config: of the model that makes the codes.
        samples: length of the signal, None if `close` will tell; the public format needs it here.
        model_identity: SHA-256 of the model's weights in hexadecimal, of which the first 16 digits are stored.
        language_model: code by a language model, for which `coder` stands.
        chunk_seconds: length of a chunk of a model without segments: what one damaged bit costs, and how long a
            reader on a pipe waits.

    Raises:
        UserError: what is asked for does not exist: the language model, or a public file of unknown length.
    """
    asked = Entropy.PUBLIC_MODEL if format == "reference" else Entropy.PORTABLE_MODEL
    entropy = asked if language_model else Entropy.RAW
    coder = choose_coder(
        entropy, coder, "--lm: needs a language model; give it by --language-model, or encode without --lm"
    )
    header = Header.of_model(config, format, codebooks, samples, entropy)
    if format == "reference":
        return PublicWriter(sink, header, coder)
    header = replace(
        header, model_identity=short_identity(model_identity), language_model_identity=short_identity(coder.identity)
    )
    return CheckedWriter(sink, with_chunks(header, chunk_seconds), coder)


def open_reader(
    file: BinaryIO,
    config: EncodecConfig | None = None,
    *,
    coder: SegmentCoder | Callable[[Header], SegmentCoder] | None = None,
) -> PartReader:
    """Begin to read a file of either format.

    Args:
        file: binary file object; a pipe will do, but a damaged header can only be replaced by its copy at the end
            where the file is seekable.
        config: the model at hand; not needed for the presets or for our format, but checked where given.
        coder: of the language model, or what loads it, asked only if the file needs one.

    Raises:
        UserError: no .ecdc file, its header is damaged, it needs another model, or a language model that is not here.
    """
    source = Lookahead(file)
    header, damage = _read_header(source, config)
    if coder is not None and not isinstance(coder, SegmentCoder):
        coder = None if header.entropy == Entropy.RAW else coder(header)
    chosen = choose_coder(header.entropy, coder, f"{source.name}: {coded_by(header.language_model_identity)}")
    if header.language_model_identity not in ("", short_identity(chosen.identity)):
        raise UserError(
            f"{source.name}: coded by the language model {header.language_model_identity}, not "
            f"{short_identity(chosen.identity)}; give that one by --language-model"
        )
    if header.format == "reference":
        return PublicReader(source, header, chosen)
    return CheckedReader(source, header, chosen, damage)


def _read_header(source: Lookahead, config: EncodecConfig | None) -> tuple[Header, list[Damage]]:
    start = source.peek(10)
    # Where a public file has its JSON, ours has the first byte of a sample rate.
    if start.startswith(MAGIC) and start[9:] in (b"", b"{"):
        return read_public_header(source, config), []
    found = find_header(source)
    if found is None:
        if start.startswith(MAGIC[:4]):
            raise UserError(
                f"{source.name}: its header is damaged, or of a version of .ecdc newer than 1; copy it again"
            )
        raise UserError(f"{source.name}: not an .ecdc file")
    if config is not None:
        try:
            found[0].require_model(config)
        except UserError as error:
            raise UserError(f"{source.name}: {error}") from error
    return found


def write(
    sink: BinaryIO,
    codes: Codes,
    config: EncodecConfig,
    *,
    format: Format = "earmark",
    model_identity: str = "",
    language_model: bool = False,
    coder: SegmentCoder | None = None,
) -> int:
    """Write a whole coded signal; see `open_writer`.

    Returns:
        Bytes of payload, codes and scales, from which the bit rate follows.

    Raises:
        UserError: a batch of several signals, or see `open_writer`.
    """
    if not codes.segments:
        raise UserError(f"{config.name}: a signal without samples; there is nothing to write")
    if codes.segments[0].codes.shape[0] != 1:
        raise UserError(f"{config.name}: an .ecdc file holds one signal; write those of a batch one by one")
    writer = open_writer(
        sink, config, codes.segments[0].codes.shape[1], codes.samples, format=format, model_identity=model_identity,
        language_model=language_model, coder=coder,
    )  # fmt: skip
    for segment in codes.segments:
        writer.write(*segment.to_numpy())
    writer.close()
    return writer.payload_bytes


@dataclass(frozen=True)
class Contents:
    """A file that was read.

    Args:
        codes: ready for `model.decode`; lost ones are filled up to keep everything else in its place.
        damage: all that is wrong with the file, nothing for a sound one.
    """

    header: Header
    codes: Codes
    damage: tuple[Damage, ...]

    @property
    def lost(self) -> tuple[tuple[int, int], ...]:
        """Stretches of samples to be muted after decoding, the first and the one after the last of each.

        Segments with a scale are silent already, and fade into their neighbours.
        """
        return tuple(damage.samples for damage in self.damage if damage.samples is not None)


def read(file: BinaryIO, config: EncodecConfig | None = None, *, coder: SegmentCoder | None = None) -> Contents:
    """Read a whole file; see `open_reader`.

    Raises:
        UserError: see `open_reader`; a public file that ends early; one of ours of which no chunk is left.
    """
    reader = open_reader(file, config, coder=coder)
    segments = []
    for _, group in groupby(reader, key=lambda part: part.segment):
        parts = list(group)
        segments.append(Segment.from_numpy(np.concatenate([part.codes for part in parts], axis=1), parts[0].scale))
    if reader.damage and not reader.payload_bytes:
        raise UserError(f"{name_of(file)}: damaged: no chunk of it is left; copy it again")
    return Contents(reader.header, Codes(tuple(segments), reader.samples), tuple(reader.damage))


def inspect(
    path: Path,
    config: EncodecConfig | None = None,
    *,
    coder: SegmentCoder | Callable[[Header], SegmentCoder] | None = None,
) -> dict[str, Any]:
    """What `earmark inspect` prints: everything about a file but its codes, of which it gives the SHA-256.

    `kbps` is 8 x payload bytes / seconds, container excluded, and for a damaged file that of what is left. The SHA-256
    (CodesDigest) is None where codes are lost. A file coded by a language model that is not here is not read beyond
    its header: what the payload would tell is None.

    Raises:
        UserError: see `read`.
    """
    try:
        with path.open("rb") as file:
            return _inspect(file, config, coder)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def _inspect(
    file: BinaryIO, config: EncodecConfig | None, coder: SegmentCoder | Callable[[Header], SegmentCoder] | None
) -> dict[str, Any]:
    header, _ = _read_header(Lookahead(file), config)
    facts: dict[str, Any] = {
        "format": header.format,
        "version": 0 if header.format == "reference" else 1,
        "model": header.model,
        "model_identity": header.model_identity or None,
        "entropy": header.entropy.name.lower(),
        "language_model_identity": header.language_model_identity or None,
        "sample_rate": header.sample_rate,
        "channels": header.channels,
        "samples": header.samples,
        "seconds": header.seconds,
        "codebooks": header.codebooks,
        "bits": header.bits,
    }
    counts = dict.fromkeys(("kbps", "payload_bytes", "segments", "chunks", "chunks_lost", "damage", "codes_sha256"))
    if header.entropy != Entropy.RAW and coder is None:
        return facts | counts
    file.seek(0)
    reader = open_reader(file, config, coder=coder)
    digest = CodesDigest()
    steps, lost_steps, lost = 0, 0, 0
    for part in reader:
        digest.update(part.codes)
        steps += part.steps
        lost_steps += part.steps * part.lost
        lost += part.lost
    seconds = reader.samples / header.sample_rate
    received = seconds * (1 - lost_steps / steps) if steps else 0
    return facts | {
        "samples": reader.samples,
        "seconds": seconds,
        "kbps": 8 * reader.payload_bytes / received / 1000 if received else None,
        "payload_bytes": reader.payload_bytes,
        "segments": header.segments(reader.samples),
        "chunks": reader.chunks,
        "chunks_lost": lost,
        "damage": [asdict(damage) for damage in reader.damage],
        "codes_sha256": digest.hexdigest() if reader.complete else None,
    }
