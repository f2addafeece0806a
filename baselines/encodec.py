"""EnCodec (arXiv 2210.13438) by our own implementation, with any checkpoint of its models."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from earmark.baselines.interface import Encoded, Family, System
from earmark.baselines.rates import in_words, rate_in_kbps, require_rate
from earmark.codec.audio import Audio
from earmark.codec.checkpoints.downloads import OFFICIAL, bundled, cached, language_model_for
from earmark.codec.ecdc.segment_coders import CHUNK_SECONDS, SCALE, BatchCoder, RawCoder, SegmentCoder
from earmark.codec.encodec.codes import Codes
from earmark.codec.errors import UserError
from earmark.codec.extras import missing

if TYPE_CHECKING:  # torch takes seconds to import, and most commands do not need it
    from earmark.codec.encodec.config import EncodecConfig
    from earmark.codec.encodec.model import EncodecModel
    from earmark.codec.language_model.portable_coder import PortableModelCoder

MOST_LOADED = 8  # models that stay in memory, 0.1 GB each at the paper's size, as a run alternates between its systems


@functools.lru_cache(MOST_LOADED)
def _model(source: Path) -> tuple[EncodecModel, tuple[str, ...]]:
    """Load a model, and the identities of its codes, once per process, as workers code many files with it."""
    from earmark.codec.checkpoints import identities
    from earmark.codec.checkpoints import loading as checkpoints
    from earmark.codec.encodec.fast.accelerate import accelerate

    model = checkpoints.load(source)
    accepted = identities.accepted_identities(model)
    accelerate(model)
    return model, accepted


def model_in(source: Path) -> EncodecModel:
    """The model in a checkpoint, loaded once per process."""
    return _model(source)[0]


def _whole_identity(source: Path) -> str:
    """SHA-256 of all weights of a model, the decoder's included, on which scores depend too."""
    from earmark.codec.checkpoints.identities import identity

    return identity(_model(source)[0])


@functools.lru_cache(MOST_LOADED)
def _coder(source: Path, config: EncodecConfig, accepted: tuple[str, ...]) -> PortableModelCoder:
    from earmark.codec.language_model.files import portable_coder

    return portable_coder(source, config, accepted)


@functools.lru_cache(MOST_LOADED)
def _prior(source: Path) -> BatchCoder | None:
    """Coder of a quantiser whose codes have frequencies of their own; None for RVQ."""
    from earmark.codec.language_model.prior_coder import prior_coder

    return prior_coder(_model(source)[0].quantizer)


@dataclass
class EncodecCodec:
    """EnCodec at one bit rate.

    A packet is a segment: 10 bits per code, padded to whole bytes, after 4 bytes of scale if the model normalises. This
    is the public format without its header. With a language model, or with a quantiser that has a prior of its own
    (DiffQ, Gumbel), a packet is an independently coded part: a segment, or 2 s of a model without segments.
    """

    name: str
    sample_rate: int
    channels: int
    kbps: float
    model: EncodecModel
    coder: BatchCoder | None = None
    denoise: bool = False

    @property
    def latency(self) -> float:
        """A segment if the model has segments, else one step (paper, section 4.6).

        With a language model the latency is a packet, as the range coder completes whole packets only. The coder of the
        paper needs only one step more than without a language model.
        """
        config = self.model.config
        if self.coder is not None and config.segment is None:
            return CHUNK_SECONDS
        return (config.segment_samples or config.seanet.hop) / self.sample_rate

    def encode(self, audio: Audio) -> Encoded:
        coder: SegmentCoder = self.coder or RawCoder()
        self.model.denoise = self.denoise  # the model is shared with systems that have other options
        codes = self.model.encode(audio, self.kbps)
        packets = []
        for segment in codes.segments:
            array, scale = segment.to_numpy()
            prefix = b"" if scale is None else SCALE.pack(scale)
            steps = self._steps(array.shape[1])
            for start in range(0, array.shape[1], steps):
                packets.append(prefix + coder.encode(array[:, start : start + steps], self.model.quantizer.bits))
        return Encoded(tuple(packets), audio.shape[-1], seconds=self._seconds(audio.shape[-1]))

    def _seconds(self, samples: int) -> float:
        """Coded duration, up to the end of the last step; segments overlap, so that their lengths do not add up."""
        hop = self.model.config.seanet.hop
        ends = [start + -(-(end - start) // hop) * hop for start, end in self.model.config.segments(samples)]
        return max(ends) / self.sample_rate

    def _steps(self, segment: int) -> int:
        """Steps of a full packet in a segment of `segment` steps."""
        config = self.model.config
        if self.coder is None or config.segment is not None:
            return segment
        return round(CHUNK_SECONDS * config.step_rate)

    def decode(self, encoded: Encoded) -> Audio:
        config = self.model.config
        bits = self.model.quantizer.bits
        codebooks = self.model.quantizer.codes_per_step(config.codebooks(self.kbps))
        lengths = [-(-(end - start) // config.seanet.hop) for start, end in config.segments(encoded.samples)]
        # First step in the segment and number of steps, for each packet.
        parts = [
            (start, min(self._steps(steps), steps - start))
            for steps in lengths
            for start in range(0, steps, self._steps(steps))
        ]
        payloads = [packet[SCALE.size * config.normalize :] for packet in encoded.packets]
        array = np.concatenate(self._unpacked(payloads, codebooks, [steps for _, steps in parts], bits), axis=1)
        scales = None
        if config.normalize:
            packets = zip(encoded.packets, parts, strict=True)
            scales = np.array([[SCALE.unpack_from(packet)[0] for packet, (start, _) in packets if start == 0]])
        decoded = self.model.decode(Codes.from_array(array, encoded.samples, steps=lengths, scales=scales))
        return np.ascontiguousarray(decoded[0])

    def _unpacked(
        self, payloads: list[bytes], codebooks: int, steps: list[int], bits: int
    ) -> list[NDArray[np.uint16]]:  # fmt: skip
        """Codes [codebooks, n] of each packet."""
        from earmark.codec.ecdc.bits import unpack

        if self.coder is None:
            return [
                unpack(payload, count * codebooks, bits).reshape(count, codebooks).T
                for payload, count in zip(payloads, steps, strict=True)
            ]
        return [
            codes
            for first in range(0, len(payloads), self.coder.batch)
            for codes in self.coder.decode_all(
                payloads[first : first + self.coder.batch], codebooks, steps[first : first + self.coder.batch], bits
            )
        ]


class Encodec(Family):
    """EnCodec at 24 kHz, mono."""

    name = "encodec_24khz"
    imports = ("torch", "earmark.codec.checkpoints.loading", "earmark.codec.encodec.fast.accelerate")
    title = "EnCodec 24 kHz"
    kbps_steps: tuple[float, ...] = (1.5, 3.0, 6.0, 12.0, 24.0)  # in the paper
    example = "encodec_24khz@3"
    sample_rates = "24 kHz"
    licence = "code MIT; weights by their origin"
    latency = "13 ms"
    options: Mapping[str, tuple[str, ...]] = {"checkpoint": (), "lm": ()}
    any_model = False  # whether a checkpoint may be of a model of another name

    def __init__(self) -> None:
        self.rates = in_words(self._steps(None))

    def unavailable(self, system: System | None = None) -> str | None:
        if reason := missing("torch", extra="encodec"):
            return reason
        try:
            sources = [(self.source(system), "a checkpoint")]
            if system is not None and "lm" in system.options:
                sources.append((self.language_model(system), "a language model"))
        except UserError as error:
            return str(error)
        for source, what in sources:
            if not (source.exists() if self.any_model else source.is_file()):
                return f"{source}: no such file; give {what} of {self.title}"
        return None

    def version(self, system: System | None = None) -> str:
        """Identities of all weights, read from the headers of our files, so that a finished run need not load them."""
        from earmark.codec.checkpoints.header import identity

        source = self.source(system)
        weights = identity(source) or _whole_identity(source)
        if system is None or "lm" not in system.options:
            return f"weights {weights[:16]}"
        path = self.language_model(system)
        language_model = identity(path) or _coder(path, _model(source)[0].config, _model(source)[1]).identity
        return f"weights {weights[:16]}, language model {language_model[:16]}"

    def check(self, system: System) -> None:
        if system.options.get("checkpoint", OFFICIAL) != OFFICIAL and system.options.get("lm") == "":
            raise UserError(f"{system.text}: no language model is known for this checkpoint; write lm=FILE")
        others = ", or other weights with :checkpoint=" if rate_in_kbps(system) in self.kbps_steps else ""
        require_rate(system, self._steps(system), others)

    def kbps(self, system: System) -> float | None:
        return rate_in_kbps(system)

    def open(self, system: System, sample_rate: int, channels: int) -> EncodecCodec:
        model, accepted = _model(self.source(system))
        if model.config.name != self.name and not self.any_model:
            raise UserError(
                f"{system.text}: its checkpoint is one of {model.config.name}; write {model.config.name}@..."
            )
        kbps = rate_in_kbps(system)
        model.config.codebooks(kbps)  # a checkpoint may have fewer bit rates than the model of the paper
        if "lm" in system.options and model.config.quantizer != "rvq":
            raise UserError(f"{system.text}: its quantiser has a prior of its own, by which it is coded; leave out :lm")
        if "lm" in system.options:
            coder: BatchCoder | None = _coder(self.language_model(system), model.config, accepted)
        else:
            coder = _prior(self.source(system))
        if "denoise" in system.options:
            model.denoise = True  # refuses a model without the switch
        return EncodecCodec(
            system.text, model.config.sample_rate, model.config.channels, kbps, model, coder,
            "denoise" in system.options,
        )  # fmt: skip

    def _steps(self, system: System | None) -> tuple[float, ...]:
        """Bit rates of the weights, or those of the paper if the weights do not say."""
        from earmark.codec.checkpoints.header import bit_rates

        try:
            return bit_rates(self.source(system)) or self.kbps_steps
        except UserError:
            return self.kbps_steps

    def source(self, system: System | None) -> Path:
        """File of the option checkpoint, else the weights that come with Earmark, else the official ones.

        Raises:
            UserError: the official weights are not in the user's cache.
        """
        given = "" if system is None else system.options.get("checkpoint", "")
        if given not in ("", OFFICIAL):
            return Path(given)
        return (None if given else bundled(self.name)) or cached(self.name)

    def language_model(self, system: System) -> Path:
        """File of the option lm; without a value, the language model for the weights."""
        given = system.options["lm"]
        return Path(given) if given else language_model_for(self.name, official="checkpoint" in system.options)


class Encodec48(Encodec):
    """EnCodec at 48 kHz, stereo."""

    name = "encodec_48khz"
    title = "EnCodec 48 kHz"
    kbps_steps = (3.0, 6.0, 12.0, 24.0)
    example = "encodec_48khz@6"
    sample_rates = "48 kHz"
    latency = "1 s"


class SoundStream(Encodec):
    """SoundStream as the EnCodec paper re-implements it (sections 4.2, A.1); the original has no public weights."""

    name = "soundstream"
    title = "SoundStream"
    example = "soundstream@3"
    options: Mapping[str, tuple[str, ...]] = {"checkpoint": (), "lm": (), "denoise": ()}

    def check(self, system: System) -> None:
        if system.options.get("checkpoint") == OFFICIAL:
            raise UserError(f"{system.text}: SoundStream has no official weights; write checkpoint=FILE")
        super().check(system)

    def source(self, system: System | None) -> Path:
        """File of the option checkpoint.

        Raises:
            UserError: the option is missing.
        """
        if system is not None and (given := system.options.get("checkpoint")):
            return Path(given)
        raise UserError(
            "soundstream: Earmark has no weights for it; train it by `earmark train soundstream`, and write "
            "soundstream@3:checkpoint=FILE"
        )
