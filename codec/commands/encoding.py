"""Encoding of one recording to an .ecdc file: a file, a pipe or each file of a folder."""

from __future__ import annotations

import filecmp
import functools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from earmark.codec import ecdc, recordings
from earmark.codec.audio.blocks import AudioStream
from earmark.codec.checkpoints.downloads import OFFICIAL
from earmark.codec.commands.origins import origin_of, record_origin, sha256_of
from earmark.codec.commands.signal_watch import SignalWatch
from earmark.codec.commands.trees import Outcome, Pair
from earmark.codec.ecdc.header import Format, Header, short_identity
from earmark.codec.ecdc.segment_coders import CHUNK_SECONDS, Entropy, SegmentCoder
from earmark.codec.ecdc.source_facts import SourceFacts
from earmark.codec.ecdc.tail import read_ends
from earmark.codec.encodec.config import EncodecConfig
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model.prior_coder import prior_coder
from earmark.codec.model_choice import MODELS, ModelChoice
from earmark.codec.pipes import open_recording, writing


@dataclass(frozen=True)
class EncodeSettings:
    """The options of `earmark encode`; see its help.

    Args:
        tags: name and text of each tag.
        chunk: length of a chunk in seconds, None for the default.
        denoise: leave out noise, by a model that has the switch.
    """

    choice: ModelChoice
    model: str | None = None
    kbps: float = 6
    lm: bool = False
    container: Format = "earmark"
    picked: str = "mix"
    gain: float = 0.0
    tags: tuple[tuple[str, str], ...] = ()
    chunk: float | None = None
    denoise: bool = False

    @property
    def checkpoint(self) -> str | None:
        """Readers of the reference's format have the official weights only."""
        return OFFICIAL if self.choice.checkpoint is None and self.container == "reference" else self.choice.checkpoint


class Encoder:
    """A model that is ready to encode files with the same settings.

    Raises:
        UserError: the settings do not fit the weights, or a model is not on this machine.
    """

    def __init__(self, settings: EncodeSettings) -> None:
        self.settings = settings
        choice = ModelChoice(settings.checkpoint, settings.choice.language_model, settings.choice.device)
        self.model: EncodecModel
        self.model, self.accepted = choice.load(settings.model or MODELS[0])
        config = self.model.config
        if settings.model not in (None, config.name):
            raise UserError(f"--model {settings.model}: {settings.checkpoint} is a checkpoint of {config.name}")
        _require_rate(config, settings.kbps, settings.checkpoint)
        if settings.chunk is not None and config.segment is not None:
            raise UserError(f"--chunk: {config.name} codes segments of {config.segment:g} s, which are its chunks")
        self.model.denoise = settings.denoise
        self.codes = self.model.quantizer.codes_per_step(config.codebooks(settings.kbps))
        self.coder: SegmentCoder | None = prior_coder(self.model.quantizer)
        if self.coder is not None and settings.container == "reference":
            raise UserError(f"--container reference: {config.name} has a quantiser that this format does not know")
        if settings.lm or choice.language_model is not None:
            self.coder = choice.coder_for(config, settings.container, self.accepted)

    def encode(
        self, source: Path, target: Path, recording: AudioStream, advance: Callable[[int], object]
    ) -> tuple[float, float, list[str]]:
        """Write `target`.

        Args:
            recording: the opened `source`.
            advance: called with the number of samples of each piece, at the model's rate.

        Returns:
            Seconds, measured bit rate in kbps, and notes on the signal.
        """
        settings, config = self.settings, self.model.config
        watch = SignalWatch(recording, settings.picked, settings.gain, mono=config.channels == 1)
        signal = watch.stream().converted(config.sample_rate, config.channels)
        chunk = settings.chunk or CHUNK_SECONDS

        def facts() -> SourceFacts | None:
            if settings.container == "reference":
                return None
            return SourceFacts(
                recording.sample_rate, recording.channels, watch.loudness, sha256_of(source), settings.gain,
                watch.picked, self._tags,
            )  # fmt: skip

        coded = 0
        with writing(target) as sink:
            writer = ecdc.open_writer(
                sink, config, self.codes, signal.samples, format=settings.container,
                model_identity=self.accepted[0], language_model=self.coder is not None, coder=self.coder,
                chunk_seconds=chunk,
            )  # fmt: skip
            for samples in recordings.encode(signal, self.model, settings.kbps, writer, facts, chunk):
                sink.flush()
                advance(samples)
                coded += samples
        seconds = coded / config.sample_rate
        return seconds, writer.payload_bytes * 8 / seconds / 1000, watch.notes()

    def differs(self, source: Path, target: Path) -> str | None:
        """In what the file `target` differs from what encoding `source` would give; None if in nothing.

        Raises:
            UserError: `target` is not an .ecdc file, or damaged.
        """
        settings, config = self.settings, self.model.config
        if settings.container == "reference":
            return self._reference_differs(source, target)
        header, facts = read_ends(target, config)
        coder = self.coder
        entropy = Entropy.RAW if coder is None else coder.entropy
        wanted = Header.of_model(config, "earmark", config.codebooks(settings.kbps), None, entropy)
        same = ("model", "codebooks", "entropy")
        if any(getattr(header, name) != getattr(wanted, name) for name in same):
            return "made at another bit rate, or with another model or language model"
        if header.model_identity not in map(short_identity, self.accepted):
            return "made with other weights"
        if header.language_model_identity != (short_identity(coder.identity) if coder else ""):
            return "made with another language model"
        if facts is None or facts.sha256 != sha256_of(source):
            return "made from another recording"
        picked = settings.picked if facts.channels == 2 else "mix"
        if (facts.gain, facts.picked, dict(facts.tags)) != (settings.gain, picked, self._tags):
            return "made with another --gain, --channels or --tag, or with or without --denoise"
        return None

    @property
    def _tags(self) -> dict[str, str]:
        """The user's tags, and one that says that the recording was denoised."""
        return dict(self.settings.tags) | ({"denoised": "yes"} if self.settings.denoise else {})

    def origin(self, source: Path) -> dict[str, str]:
        """The origin of the codes of `source`: its content, the weights, and the options."""
        settings = self.settings
        made_with = {
            "codebooks": self.model.config.codebooks(settings.kbps), "weights": self.accepted[0],
            "language model": self.coder.identity if self.coder else "", "channels": settings.picked,
            "gain": settings.gain, "denoise": settings.denoise,
        }  # fmt: skip
        return {"source": sha256_of(source), **{name: str(value) for name, value in made_with.items()}}

    def _reference_differs(self, source: Path, target: Path) -> str | None:
        """See `differs`; a file that no record says to be equal is compared with a new one."""
        recorded, wanted = origin_of(target), self.origin(source)
        if recorded == wanted:
            return None
        if recorded is not None and recorded["source"] != wanted["source"]:
            return "made from another recording"
        with tempfile.TemporaryDirectory(prefix="earmark-") as folder:
            again = Path(folder) / "again.ecdc"
            self.encode(source, again, open_recording(source), lambda samples: None)
            if not filecmp.cmp(again, target, shallow=False):
                return "not what this recording gives with these options"
        record_origin(target, wanted)
        return None


@functools.lru_cache(maxsize=1)
def encoder_of(settings: EncodeSettings) -> Encoder:
    """The encoder of this process."""
    return Encoder(settings)


def encode_pair(settings: EncodeSettings, force: bool, pair: Pair) -> Outcome:
    """Encode one file of a folder, unless its target is there and equal.

    Raises:
        UserError: it cannot be encoded, or the target is another file and `force` is False.
    """
    encoder = encoder_of(settings)
    if pair.target.exists() and not force:
        try:
            difference = encoder.differs(pair.source, pair.target)
        except UserError as error:
            difference = str(error).removeprefix(f"{pair.target}: ")
        if difference is None:
            return Outcome("there")
        raise UserError(f"{pair.target}: exists, {difference}; add --force to replace it")
    notes = encoder.encode(pair.source, pair.target, open_recording(pair.source), lambda samples: None)[2]
    if settings.container == "reference":
        record_origin(pair.target, encoder.origin(pair.source))
    return Outcome("done", tuple(f"{pair.source}: {note}" for note in notes))


def _require_rate(config: EncodecConfig, kbps: float, checkpoint: str | None) -> None:
    if kbps not in config.kbps:
        rates = ", ".join(f"{rate:g}" for rate in config.kbps)
        others = "" if checkpoint else "; the official ones have more, by --checkpoint official"
        raise UserError(f"--kbps {kbps:g}: these weights of {config.name} have {rates} kbps{others}")
