"""Division of a signal into chunks by version 1 of .ecdc: one per segment, or of a fixed length without segments."""

from __future__ import annotations

from dataclasses import replace

from earmark.codec.ecdc.header import Header
from earmark.codec.ecdc.records import LONGEST_PAYLOAD, MOST_STEPS
from earmark.codec.ecdc.segment_coders import SCALE
from earmark.codec.errors import UserError


def with_chunks(header: Header, seconds: float) -> Header:
    """A header with the length of its chunks: one segment, or `seconds` for a model without segments.

    Raises:
        UserError: a segment does not fit into a chunk.
    """
    payload = 8 * (LONGEST_PAYLOAD - SCALE.size) // (header.codebooks * header.bits)
    most = min(MOST_STEPS, payload)
    if header.segment is None:
        return replace(header, steps_per_chunk=max(1, min(most, round(seconds * header.sample_rate / header.hop))))
    steps = -(-header.segment // header.hop)
    if steps > most:
        raise UserError(
            f"{header.model}: segments of {steps} steps do not fit into .ecdc chunks of at most {most}; "
            "use --container reference"
        )
    return replace(header, steps_per_chunk=steps)


class Chunks:
    """Positions and lengths of the chunks of a signal. For a model with segments, each chunk is one segment."""

    def __init__(self, header: Header) -> None:
        assert header.steps_per_chunk is not None
        self._header = header
        self.steps = header.steps_per_chunk
        self._one_segment = header.segment is None

    def count(self, samples: int) -> int:
        """Number of chunks of a signal of `samples` samples."""
        if self._one_segment:
            return -(-samples // (self.steps * self._header.hop))
        return self._header.segments(samples)

    def steps_of(self, index: int, samples: int | None) -> int:
        """Steps of a chunk of a signal of `samples` samples; the maximum if the length is None."""
        if samples is None:
            return self.steps
        if self._one_segment:
            return min(self.steps, -(-samples // self._header.hop) - index * self.steps)
        return self._header.steps(index, samples) or 0

    def position(self, index: int) -> tuple[int, int]:
        """Number of a chunk's segment, and of the chunk's first step in that segment."""
        return (0, index * self.steps) if self._one_segment else (index, 0)

    def start(self, index: int) -> int:
        """First sample of a chunk."""
        return index * (self.steps * self._header.hop if self._one_segment else self._header.stride or 0)

    def end(self, index: int, steps: int) -> int:
        """Sample after the last one of a chunk of `steps` steps."""
        length = steps * self._header.hop
        return self.start(index) + min(length, self._header.segment or length)

    def first_reaching(self, sample: int) -> int:
        """The first chunk that ends after a sample."""
        if self._one_segment:
            return sample // (self.steps * self._header.hop)
        return self._header.first_segment_reaching(sample)
