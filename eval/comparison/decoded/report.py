"""Report on decoded audio before a run starts: matches, formats, bit rates, replaced files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from earmark.codec.audio.native_messages import silenced
from earmark.codec.text import counted
from earmark.eval.comparison.decoded.folders import DecodedSystem
from earmark.eval.comparison.decoded.loading import format_text
from earmark.eval.comparison.decoded.matching import Match, some

FORMATS = 3  # formats that a line names
SAMPLE_TYPES = {"FLOAT": "float", "DOUBLE": "float", "PCM_S8": "8-bit", "PCM_U8": "8-bit"}


def match_line(system: DecodedSystem, match: Match, bitstreams: Match | None) -> str:
    """ "A@6: 6 of 8 recordings matched in dec/A, 24 kHz mono 16-bit; missing a.wav; bit rate 6 kbps as named"."""
    total = len(match.files) + len(match.missing)
    parts = [
        f"{system.system.text}: {len(match.files)} of {counted(total, 'recording')} matched in {system.audio}"
        f"{_formats(match.files.values())}"
    ]
    if match.missing:
        parts.append(f"missing {some(match.missing)}")
    if match.left:
        verb = "matches" if len(match.left) == 1 else "match"
        parts.append(f"{counted(len(match.left), 'file')} {verb} no recording: {some(match.left)}")
    parts.append(_bit_rate(system, match, bitstreams))
    return "; ".join(parts)


def _bit_rate(system: DecodedSystem, match: Match, bitstreams: Match | None) -> str:
    if bitstreams is not None:
        measured = sum(file in bitstreams.files for file in match.files)
        return f"bit rate measured from {measured} of {counted(len(match.files), 'bitstream')}"
    rate = system.system.rate
    return "bit rate unknown" if rate is None else f"bit rate {rate} kbps as named"


def _formats(paths: Iterable[Path]) -> str:
    """ ", 24 kHz mono 16-bit", or with counts if there are several formats; "" if no header can be read."""
    counts = Counter(text for path in paths if (text := _format(path)))
    if len(counts) == 1:
        return f", {next(iter(counts))}"
    listed = [f"{text} ({count})" for text, count in counts.most_common(FORMATS)]
    return "".join(f", {text}" for text in listed) + (" and others" if len(counts) > FORMATS else "")


def _format(path: Path) -> str:
    try:
        with silenced(), path.open("rb") as file:
            info = soundfile.info(file)
    except (OSError, RuntimeError, ValueError):  # the run says what is wrong with the file
        return ""
    kind = SAMPLE_TYPES.get(info.subtype, info.subtype)
    kind = f"{kind.removeprefix('PCM_')}-bit" if kind.startswith("PCM_") else kind
    return f"{format_text(info.samplerate, info.channels)} {kind}"


def changes(system: str, location: str, sha256: Mapping[str, str], before: Mapping[str, Any] | None) -> Iterator[str]:
    """Say what differs from the decoded audio of the same name in the run so far.

    Args:
        sha256: recording -> hash of its decoded file.
        before: the system's entry in run.json; None if the run does not have it.
    """
    if before is None:
        return
    if before["location"] != location:
        yield f"{system}: its files are now {location}, before {before['location']}"
    known = before["sha256"]
    if replaced := [file for file, digest in sha256.items() if known.get(file, digest) != digest]:
        yield f"{system}: {counted(len(replaced), 'file')} changed since the last run, scored again: {some(replaced)}"
    if added := [file for file in sha256 if file not in known]:
        yield f"{system}: {counted(len(added), 'file')} added since the last run: {some(added)}"


def missing_notes(matches: Mapping[str, Match]) -> Sequence[str]:
    """For the report: the recordings that a system has no decoded audio of."""
    return [
        f"{text}: no decoded audio of {counted(len(match.missing), 'recording')}: {some(match.missing)}"
        for text, match in matches.items()
        if match.missing
    ]
