"""The .ecdc container: version 0, bit-exact with the public reference, and Earmark's version 1, which detects damage.

Version 1, the default, adds 12 bytes to every chunk (one segment, or 2 s for a model without segments: 3.2 % at
1.5 kbps, 0.2 % at 24 kbps) and twice 84 bytes to the file; bit rates never include them. records.py describes its
layout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from earmark.codec.audio.lookahead import Lookahead, name_of
from earmark.codec.ecdc.checked import CheckedReader, find_header
from earmark.codec.ecdc.checked_writer import CheckedWriter
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
    """Begin a file whose codes are written piece by piece.

    Args:
        sink: binary file object; it need not be seekable.
        config: shape of the model that makes the codes.
        samples: length of the signal, None to give it to `close`; the format "reference" needs it here.
        model_identity: SHA-256 of the model's encoder and codebooks (`codes_identity`) in hexadecimal; the first 16
            digits are stored.
        language_model: code with a language model, by `coder`.
        chunk_seconds: length of a chunk for a model without segments: one damaged bit costs as much, and a reader on a
            pipe waits as long.

    Raises:
        UserError: `language_model` without its coder, the format "reference" without the length, or a model that
            normalises a signal as a whole, whose scale a piece of it cannot have.
    """
    if config.normalize and config.segment is None:
        raise UserError(
            f"{config.name}: normalises without segments, and .ecdc files store one scale for each segment; give the "
            "model segments, or train it without normalisation"
        )
    with_model = Entropy.PUBLIC_MODEL if format == "reference" else Entropy.PORTABLE_MODEL
    entropy = with_model if language_model else Entropy.RAW
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
    """Open a file of either format for reading.

    Args:
        file: binary file object or pipe; a damaged header is replaced by its copy at the end if the file is seekable.
        config: shape of the model that will decode the codes, to check it against the header. Files in the format
            "reference" need it if the model is not one of the presets.
        coder: coder with the language model, or a function that loads it; called only if the file needs one.

    Raises:
        UserError: not an .ecdc file, its header is damaged, or it needs another model or another language model.
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


def _is_audio(start: bytes) -> bool:
    return start.startswith((b"RIFF", b"fLaC", b"OggS", b"ID3", b"FORM"))


def _read_header(source: Lookahead, config: EncodecConfig | None) -> tuple[Header, list[Damage]]:
    start = source.peek(10)
    # Byte 9 is the "{" of the JSON in version 0, and the first byte of the sample rate in version 1: a damaged version
    # number does not mislead.
    if start.startswith(MAGIC) and start[9:] in (b"", b"{"):
        return read_public_header(source, config), []
    header_and_damage = find_header(source)
    if header_and_damage is None:
        if start.startswith(MAGIC[:4]):
            raise UserError(
                f"{source.name}: its header is damaged, or of a version of .ecdc newer than 1; copy it again"
            )
        hint = "; it is audio, which `earmark encode` codes" if _is_audio(start) else ""
        raise UserError(f"{source.name}: not an .ecdc file{hint}")
    if config is not None:
        try:
            header_and_damage[0].require_model(config)
        except UserError as error:
            raise UserError(f"{source.name}: {error}") from error
    return header_and_damage


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
        Bytes of codes and scales, which give the bit rate.

    Raises:
        UserError: a batch of several signals, no samples, a code that is not the number of a codeword, segments that do
            not fit the length of the signal, or see `open_writer`.
    """
    from earmark.codec.encodec.checks import checked_samples

    if not codes.segments:
        raise UserError(f"{config.name}: a signal without samples; there is nothing to write")
    if codes.segments[0].codes.shape[0] != 1:
        raise UserError(f"{config.name}: an .ecdc file holds one signal; write those of a batch one by one")
    samples = checked_samples(codes, config)
    writer = open_writer(
        sink, config, codes.segments[0].codes.shape[1], samples, format=format, model_identity=model_identity,
        language_model=language_model, coder=coder,
    )  # fmt: skip
    for segment in codes.segments:
        writer.write(*segment.to_numpy())
    writer.close()
    return writer.payload_bytes


@dataclass(frozen=True)
class Contents:
    """The contents of a file.

    Args:
        codes: codes for `model.decode`; lost ones are replaced, so that all others keep their positions.
        damage: defects of the file, empty for an intact one.
    """

    header: Header
    codes: Codes
    damage: tuple[Damage, ...]

    @property
    def lost(self) -> tuple[tuple[int, int], ...]:
        """Stretches of samples to mute after decoding: the first sample of each, and the sample after its last one.

        Lost segments with a scale decode to silence, and cross-fade with their neighbours.
        """
        return tuple(damage.samples for damage in self.damage if damage.samples is not None)


def read(
    file: BinaryIO,
    config: EncodecConfig | None = None,
    *,
    coder: SegmentCoder | Callable[[Header], SegmentCoder] | None = None,
) -> Contents:
    """Read a whole file; see `open_reader`.

    Raises:
        UserError: see `open_reader`; or a file in the format "reference" is truncated; or no chunk of the file is left.
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
    """Everything about a file except its codes, as `earmark inspect` prints it.

    `kbps` is 8 x payload bytes / seconds, without the container; for a damaged file, it covers the intact parts.
    `codes_sha256` (see CodesDigest) is None if codes are lost. If the file needs a language model and `coder` is None,
    only the header is read, and values that depend on the payload are None.

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
    about = {} if reader.facts is None else reader.facts.describe()
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
        **about,
    }
