"""Result of an alignment: `Alignment`, its marks, and the rule that it follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from earmark.codec.audio import Audio

Mode = Literal["search", "documented", "none", "given", "shared"]
MAX_LAG = 10  # samples around a documented delay; a longer search would hide a wrong one
CERTAIN = 0.3  # height of a waveform's peak that needs no second opinion
LONG_GAP = 0.050  # seconds of the source that may be missing at an end without a mark
LONG_EXTRA = 0.100  # seconds behind the end of the source without a mark: codecs pad to whole frames
LEAST_COVERED = 0.5  # part of the source that must be there to be scored

# Mark -> what it means, for the notes below tables and for the report. Their order is that of the notes.
MARKS = {
    "unaligned": "the signals correlate too little to find the delay; scores that need alignment mean nothing",
    "approximate": "the waveforms do not match, so SI-SNR and SI-SDR mean nothing; the delay comes from the "
    "spectral envelopes and is accurate to about 2 ms",
    "delay": "the delay differs from the documented, given or absent one; see the report",
    "outlier": "the delay differs from that of the other files; each was aligned by its own",
    "ambiguous": "the signal repeats itself, so that several delays fit",
    "inverted": "the polarity is inverted; corrected before scoring",
    "channel inverted": "some of the channels have inverted polarity; not corrected",
    "swapped": "the channels are swapped; not corrected",
    "folded": "different channels came back as one signal; not corrected",
    "channel lost": "a channel is silent; not corrected",
    "drift": "the clock drifts; not corrected",
    "jump": "the delay changes within the file; not corrected",
    "dropout": "the decoded signal is silent for a while where the source is not",
    "missing": "the beginning or end of the source is missing; scored without that part",
    "extra": "the decoded signal is longer than the source; its rest was cut",
    "gain": "the level differs from that of the source; not corrected",
    "offset": "the decoded signal has an offset (DC) that the source does not have; not corrected",
    "clipped": "the decoded signal is clipped",
    "converted": "the decoded signal had another sample rate or channel count, and was converted",
}


@dataclass(frozen=True)
class Rule:
    """How to align.

    Args:
        mode: "search" finds any delay. "documented" trusts that the delay is removed already, searches 10 samples
            around it, and compares with the search. "none" changes nothing. "given" removes `delay`. "shared" uses
            `delay`, on which most files of a run agree, unless this file clearly has another.
        delay: samples at the sample rate of the source; for "given" and "shared".
        sign: polarity on which most files agree, 1 or -1; for "shared".
    """

    mode: Mode = "search"
    delay: float | None = None
    sign: int = 1


SEARCH, DOCUMENTED = Rule("search"), Rule("documented")


@dataclass(frozen=True)
class Jump:
    """A change of delay: position in the source in seconds, and change in samples; positive if audio was inserted."""

    at: float
    samples: float


@dataclass(frozen=True)
class Mark:
    """A finding that a reader of the scores must know.

    Args:
        name: a key of MARKS.
        detail: its size, e.g. "50 ppm"; "" if the name says it all.
    """

    name: str
    detail: str = ""

    @property
    def text(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


@dataclass(frozen=True)
class Alignment:
    """The relation of a decoded signal to its source.

    Args:
        sample_rate: rate of the source, to which samples below refer.
        mode, agreed: rule that was followed, with its delay.
        removed: samples by which the decoded signal was late, and which were removed; whole, unless removing a
            fraction improves the match. Negative if it was early.
        delay: samples that the search found, or the refinement of a documented delay; None if there was no clear peak.
        sign: -1 if the polarity was inverted, and corrected; else 1.
        gain_db: level of the decoded signal relative to the source; None for silence.
        peak: height of the normalised cross-correlation at the removed delay, 0 to 1; None for silence.
        clear: whether the delay is beyond doubt, so that it can speak for other files.
        by_envelope: whether the delay comes from the spectral envelopes, because the waveforms do not match.
        drift_ppm: how much the decoded signal is slower than the source, in samples per million; None if unknown.
        jumps: changes of the delay within the file.
        missing_start, missing_end: samples of the source that the decoded signal lacks.
        extra: samples behind the end of the source, which were cut.
        true_peak_db: true peak of the decoded signal in dBTP (ITU-R BS.1770-5, annex 2).
        beyond_full_scale: samples whose magnitude exceeds 1.
        marks: findings that a reader of the scores must know.
    """

    sample_rate: int
    mode: Mode
    agreed: float | None = None
    removed: float = 0.0
    delay: float | None = None
    sign: int = 1
    gain_db: float | None = None
    peak: float | None = None
    clear: bool = False
    by_envelope: bool = False
    drift_ppm: float | None = None
    jumps: tuple[Jump, ...] = ()
    missing_start: int = 0
    missing_end: int = 0
    extra: int = 0
    true_peak_db: float | None = None
    beyond_full_scale: int = 0
    marks: tuple[Mark, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the marks."""
        return tuple(mark.name for mark in self.marks)

    @property
    def missing_seconds(self) -> float:
        return (self.missing_start + self.missing_end) / self.sample_rate

    def covered(self, length: int) -> slice:
        """The part of a source of `length` samples that is there, over which it is scored."""
        if self.mode == "documented":  # at most 10 samples are missing, and a codec that loses more should lose points
            return slice(0, length)
        return slice(min(self.missing_start, length), max(self.missing_start, length - self.missing_end))

    def covers_enough(self, length: int) -> bool:
        """Whether at least half of a source of `length` samples is there."""
        part = self.covered(length)
        return part.stop - part.start >= LEAST_COVERED * length


PLAIN_FIELDS: dict[str, type] = {
    "sample_rate": int, "mode": str, "agreed": float, "removed": float, "delay": float, "sign": int, "gain_db": float,
    "peak": float, "clear": bool, "by_envelope": bool, "drift_ppm": float, "missing_start": int, "missing_end": int,
    "extra": int, "true_peak_db": float, "beyond_full_scale": int,
}  # fmt: skip


def from_plain(values: Mapping[str, Any]) -> Alignment:
    """An alignment from the content of `dataclasses.asdict`."""
    plain = {name: value for name, value in values.items() if name in PLAIN_FIELDS}
    jumps = tuple(Jump(**jump) for jump in values["jumps"])
    return Alignment(**plain, jumps=jumps, marks=tuple(Mark(**mark) for mark in values["marks"]))


@dataclass(frozen=True)
class Aligned:
    """A decoded signal in the shape of its source, and how it got there.

    Args:
        audio: [channels, time] of the source's shape, zero where the decoded signal has nothing.
    """

    audio: Audio
    alignment: Alignment
