"""What a .ecdc file says about itself, and where in the signal its codes belong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earmark.codec.ecdc.segment_coders import Entropy
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.errors import UserError

Format = Literal["earmark", "reference"]
LONGEST_SIGNAL = 1 << 62  # samples
IDENTITY_DIGITS = 16  # of a SHA-256 in hexadecimal: enough against mix-ups; nothing in a file guards against forgery


@dataclass(frozen=True)
class Header:
    """Everything that is needed to read the codes and to find the model for them.

    Args:
        format: "earmark", the checked version 1, or "reference", version 0.
        model: name, e.g. "encodec_24khz".
        sample_rate: in Hz.
        channels: of the audio.
        samples: length of the signal; None in a stream whose end is not written yet.
        codebooks: codes per latent step.
        bits: of one code.
        hop: samples per latent step.
        segment, stride: samples of a segment and from one to the next; None for a model that codes the signal as one.
        scaled: every segment has a scale.
        entropy: how the codes became bytes.
        model_identity, language_model_identity: first 16 digits of a SHA-256 in hexadecimal, empty if not known.
        steps_per_chunk: latent steps in one chunk of the checked version, None in the public one.
        signal_id: CRC-32 of the first chunk, by which the checked version tells files of the same model apart.
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
        """The header for codes of a model; identities and chunks remain to be filled in."""
        return cls(
            format, config.name, config.sample_rate, config.channels, samples, codebooks,
            (config.codebook_size - 1).bit_length(), config.seanet.hop, config.segment_samples, config.stride_samples,
            config.normalize, entropy,
        )  # fmt: skip

    @property
    def seconds(self) -> float | None:
        return None if self.samples is None else self.samples / self.sample_rate

    def segments(self, samples: int) -> int:
        """Segments of a signal."""
        if self.stride is None:
            return int(samples > 0)
        return -(-samples // self.stride)

    def span(self, segment: int, samples: int | None) -> tuple[int, int | None]:
        """First sample of a segment and the one after its last; None for the end of a signal of unknown length."""
        if self.stride is None or self.segment is None:
            return 0, samples
        start = segment * self.stride
        end = start + self.segment
        return start, end if samples is None else min(end, samples)

    def steps(self, segment: int, samples: int | None) -> int | None:
        """Latent steps of a segment; None for one that is as long as a signal of unknown length."""
        start, end = self.span(segment, samples)
        return None if end is None else -(-(end - start) // self.hop)

    def require_model(self, config: EncodecConfig, model_identity: str = "") -> None:
        """Check that a model can decode the codes.

        Args:
            model_identity: SHA-256 of its weights in hexadecimal, or at least 16 digits of it; empty to leave it out.

        Raises:
            UserError: another model wrote them.
        """
        expected = Header.of_model(config, self.format, self.codebooks, self.samples, self.entropy)
        if self.model != config.name:
            raise UserError(f"codes of the model {self.model!r}, which {config.name} cannot decode")
        if self.model_identity and model_identity and self.model_identity != short_identity(model_identity):
            raise UserError(
                f"encoded by the weights {self.model_identity} of {self.model}, not {short_identity(model_identity)}; "
                "give those by --checkpoint, which is --checkpoint official for the official ones"
            )
        shape = ("sample_rate", "channels", "bits", "hop", "segment", "stride", "scaled")
        for name in shape:
            theirs, here = getattr(self, name), getattr(expected, name)
            if theirs != here:
                raise UserError(
                    f"codes of another {config.name}: its {name} is {theirs}, here it is {here}; give the model that "
                    "encoded it by --checkpoint"
                )
        if self.codebooks > config.codebooks():
            raise UserError(
                f"codes of {self.codebooks} codebooks; these weights of {config.name} have {config.codebooks()}; "
                "give those that encoded it by --checkpoint"
            )


def short_identity(sha256: str) -> str:
    """The part of a SHA-256 in hexadecimal that files keep.

    Raises:
        ValueError: not at least 16 hexadecimal digits.
    """
    if not sha256:
        return ""
    if len(bytes.fromhex(sha256)) < IDENTITY_DIGITS // 2:
        raise ValueError(f"{sha256!r}: an identity is a SHA-256 in hexadecimal, of which 16 digits are needed")
    return sha256[:IDENTITY_DIGITS].lower()
