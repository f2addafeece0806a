"""The two ends of a file of version 1, read without the codes between them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

from earmark.codec.audio.lookahead import Lookahead
from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.records import HeaderRecord, next_header, parse_header
from earmark.codec.ecdc.source_facts import MOST_RECORDS, SourceFacts, unpack_facts
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError


def read_ends(path: Path, config: EncodecConfig | None = None) -> tuple[Header, SourceFacts | None]:
    """The header of a file, with the length of its signal, and the facts about its source.

    Args:
        config: the model, to check the header against it.

    Raises:
        UserError: not a file of version 1, made by another model, or its beginning or end is damaged.
    """
    try:
        with path.open("rb") as file:
            record = next_header(Lookahead(file))
            first = None if record is None else parse_header(record)
            if record is None or first is None:
                raise UserError(f"{path}: not a file of codes that Earmark wrote, or its header is damaged")
            if config is not None:
                first.header.require_model(config)
            size = file.seek(0, io.SEEK_END)
            facts: list[bytes] = []
            for number in range(1, MOST_RECORDS + 2):
                file.seek(max(0, size - number * len(record)))
                last = _parsed(file.read(len(record)), first)
                if last is None:
                    break
                if last.digest is not None:
                    return last.header, unpack_facts(facts)
                if last.facts is not None:
                    facts.append(last.facts)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    raise UserError(f"{path}: its end is damaged or missing")


def _parsed(data: bytes, first: HeaderRecord) -> HeaderRecord | None:
    """The record if it is whole and belongs to the same file."""
    record = next_header(Lookahead(io.BytesIO(data)))
    parsed = None if record is None else parse_header(record)
    if parsed is None or replace(parsed.header, samples=None) != replace(first.header, samples=None):
        return None
    return parsed
