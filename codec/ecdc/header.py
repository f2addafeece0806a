"""The header of an .ecdc file, and the positions of its segments in the signal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from earmark.codec.ecdc.segment_coders import Entropy
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError

Format = Literal["earmark", "reference"]
LONGEST_SIGNAL = 1 << 62  # samples
IDENTITY_DIGITS = 16  # of a SHA-256 in hexadecimal: enough against mix-ups; files are not protected against forgery


@dataclass(frozen=True)
class Header:
    """Everything needed to read the codes and to identify the model that decodes them.

    Args:
        format: "earmark", the checked version 1, or "reference", version 0.
        model: name, e.g. "encodec_24khz".
        sample_rate: in Hz.
        channels: of the audio.
        samples: length of the signal; None in a stream whose end is not yet written.
        codebooks: codes per step.
        bits: bits per code.
        hop: samples per step.
        segment, stride: samples per segment, and from one segment to the next; None for a model without segments.
        scaled: every segment has a scale.
        entropy: coder that turned the codes into bytes.
        model_identity, language_model_identity: first 16 digits of a SHA-256 in hexadecimal, empty if unknown.
        steps_per_chunk: steps per chunk in version 1, None in version 0.
        signal_id: CRC-32 of the first chunk, which distinguishes files of the same model in version 1.
    """

    format: Format
    model: str
    sample_rate: int
    channels: int
    samples: int | None
    codebooks: int
    bits: int
    hop: int
    segment: int | None
    stride: int | None
    scaled: bool
    entropy: Entropy = Entropy.RAW
    model_identity: str = ""
    language_model_identity: str = ""
    steps_per_chunk: int | None = None
    signal_id: int = 0

    @classmethod
    def of_model(
        cls, config: EncodecConfig, format: Format, codebooks: int, samples: int | None, entropy: Entropy
    ) -> Header:
        """The header for codes of a model, without identities and chunk length."""
        return cls(
            format, config.name, config.sample_rate, config.channels, samples, codebooks,
            (config.codebook_size - 1).bit_length(), config.seanet.hop, config.segment_samples, config.stride_samples,
            config.normalize, entropy,
        )  # fmt: skip

    @property
    def seconds(self) -> float | None:
        return None if self.samples is None else self.samples / self.sample_rate

    def segments(self, samples: int) -> int:
        """Number of segments of a signal."""
        if self.stride is None:
            return int(samples > 0)
        return -(-samples // self.stride)

    def span(self, segment: int, samples: int | None) -> tuple[int, int | None]:
        """First sample of a segment, and the sample after its last one: None if the signal's length is unknown."""
        if self.stride is None or self.segment is None:
            return 0, samples
        start = segment * self.stride
        end = start + self.segment
        return start, end if samples is None else min(end, samples)

    def first_segment_reaching(self, sample: int) -> int:
        """The first segment that ends after a sample."""
        if self.stride is None or self.segment is None:
            return 0
        return max(0, (sample - self.segment) // self.stride + 1)

    def steps(self, segment: int, samples: int | None) -> int | None:
        """Latent steps of a segment; None if it is the whole signal, of unknown length."""
        start, end = self.span(segment, samples)
        return None if end is None else -(-(end - start) // self.hop)

    def require_model(self, config: EncodecConfig, accepted: str | Sequence[str] = "") -> None:
        """Check that a model can decode the codes.

        Args:
            accepted: identities of its codes in hexadecimal (`identities.accepted_identities`), or at least their first
                16 digits; empty to skip this check.

        Raises:
            UserError: another model made the codes.
        """
        expected = Header.of_model(config, self.format, self.codebooks, self.samples, self.entropy)
        if self.model != config.name:
            raise UserError(f"codes of the model {self.model!r}, which {config.name} cannot decode")
        given = [accepted] if isinstance(accepted, str) else accepted
        known = [short_identity(each) for each in given if each]
        if self.model_identity and known and self.model_identity not in known:
            raise UserError(
                f"encoded by the weights {self.model_identity} of {self.model}, not {known[0]}; "
                "give the right ones by --checkpoint FILE, or --checkpoint official for the official ones"
            )
        shape = ("sample_rate", "channels", "bits", "hop", "segment", "stride", "scaled")
        for name in shape:
            theirs, here = getattr(self, name), getattr(expected, name)
            if theirs != here:
                raise UserError(
                    f"codes of another {config.name}: its {name} is {theirs}, here it is {here}; give the weights that "
                    "encoded it by --checkpoint"
                )
        if self.codebooks > config.codebooks():
            raise UserError(
                f"codes of {self.codebooks} codebooks; these weights of {config.name} have {config.codebooks()}; "
                "give the weights that encoded it by --checkpoint"
            )


def short_identity(sha256: str) -> str:
    """The first digits of a SHA-256 in hexadecimal, which files store.

    Raises:
        ValueError: fewer than 16 hexadecimal digits.
    """
    if not sha256:
        return ""
    if len(bytes.fromhex(sha256)) < IDENTITY_DIGITS // 2:
        raise ValueError(f"{sha256!r}: an identity is a SHA-256 in hexadecimal, of which 16 digits are needed")
    return sha256[:IDENTITY_DIGITS].lower()
