"""Reading a decoded file as the counterpart of its recording."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from earmark.baselines import containers
from earmark.codec.audio import Recording, read
from earmark.codec.audio.files import seconds as length_of
from earmark.codec.errors import UserError
from earmark.codec.remote_paths import local_copy
from earmark.eval.comparison.corpus import Source
from earmark.eval.comparison.pair import Pair

MOST_CHANNELS = 64
CHANNELS = {1: "mono", 2: "stereo"}


@dataclass(frozen=True)
class DecodedFile:
    """The decoded audio of one recording.

    Args:
        sha256: hash of the file, which identifies its content.
        bits: payload of the coded file; None if it is not known.
        seconds: coded duration; None if it is that of the source.
        file_bytes: whether the payload is the whole file, as its format is not known.
    """

    path: Path
    sha256: str
    bits: int | None = None
    seconds: float | None = None
    file_bytes: bool = False


def with_bitstream(file: DecodedFile, coded: Path) -> DecodedFile:
    """The decoded file with the payload of its bitstream.

    Raises:
        UserError: the bitstream cannot be read.
    """
    try:
        content = coded.read_bytes()
    except OSError as error:
        raise UserError(f"{coded}: {error.strerror or error}") from error
    found = containers.payload(content)
    if found is None:
        return replace(file, bits=8 * len(content), file_bytes=True)
    return replace(file, bits=found.bits, seconds=found.seconds)


def load(file: DecodedFile, source: Source, reference: Recording) -> Recording:
    """Read a decoded file, in its own format.

    If the recording is scored in part, the decoded audio may be of the part or of the whole recording, whichever its
    length is nearer to; the same part of the whole is returned.

    Raises:
        UserError: it cannot be read.
    """
    with local_copy(file.path) as path:
        decoded = read(path, MOST_CHANNELS)
    if source.excerpt is None:
        return decoded
    with local_copy(source.path) as path:
        seconds = length_of(path)
    if abs(decoded.seconds - reference.seconds) <= abs(decoded.seconds - seconds):
        return decoded
    first, length = (round(value * decoded.sample_rate) for value in source.excerpt)
    return Recording(decoded.samples[:, first : first + length], decoded.sample_rate)


def notes(system: str, source: Source, reference: Recording, decoded: Recording, pair: Pair) -> list[str]:
    """Remarks for the report: a conversion, once per format; a length that differs by more than 100 ms."""
    result = []
    given, scored = (format_text(one.sample_rate, one.channels) for one in (decoded, reference))
    if given != scored:
        result.append(f"{system}: decoded audio in {given} is converted to the format of its recording")
    if not pair.length_fits:
        change = "longer than the recording; its end was cut"
        if pair.longer < 0:
            change = "shorter than the recording, and scored where it is there"
        result.append(f"{source.file}: {system} is {abs(pair.longer):.2f} s {change}")
    return result


def format_text(sample_rate: int, channels: int) -> str:
    """ "24 kHz mono"."""
    return f"{sample_rate / 1000:g} kHz {CHANNELS.get(channels, f'with {channels} channels')}"
