"""Decoding of one .ecdc file to audio, as `earmark decode` does it for a file, a pipe or each file of a folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from earmark.codec import ecdc, recordings
from earmark.codec.audio import to_pcm16
from earmark.codec.audio.blocks import comment_of
from earmark.codec.checkpoints.downloads import OFFICIAL
from earmark.codec.commands.origins import sha256_of
from earmark.codec.commands.trees import Outcome, Pair
from earmark.codec.ecdc import Header, PartReader
from earmark.codec.ecdc.segment_coders import SegmentCoder
from earmark.codec.encodec.model import EncodecModel
from earmark.codec.errors import UserError
from earmark.codec.language_model.prior_coder import prior_coder
from earmark.codec.model_choice import MODELS, ModelChoice
from earmark.codec.pipes import reading, writing_audio

Loaded = tuple[EncodecModel, tuple[str, ...]]  # a model, and the identities by which files name its codes


@dataclass(frozen=True)
class DecodeSettings:
    """The options of `earmark decode`; see its help.

    Args:
        start: in seconds.
        end: in seconds; None for the end of the file.
    """

    choice: ModelChoice
    start: float = 0.0
    end: float | None = None
    gain: float = 0.0
    floating: bool = False

    def provenance(self, sha256: str) -> str:
        """Text in a decoded file that says what it was made from, by which it is recognised."""
        parts = [f"decoded by earmark from {sha256}"]
        if self.choice.checkpoint is not None:
            parts.append(f"weights {Path(self.choice.checkpoint).name}")
        if (self.start, self.end) != (0, None):
            parts.append(f"from {self.start:g} s to {'the end' if self.end is None else f'{self.end:g} s'}")
        if self.gain:
            parts.append(f"gain {self.gain:g} dB")
        return ", ".join([*parts, "float" if self.floating else "16 bits"])


class Decoder:
    """Decodes files with the same settings; keeps the models that they need."""

    def __init__(self, settings: DecodeSettings) -> None:
        self.settings = settings
        self._given = settings.choice.load_given()
        self._models: dict[tuple[str, bool], Loaded] = {}
        self._coders: dict[tuple[str, str, int], SegmentCoder] = {}

    def open(self, file: object, label: str) -> tuple[PartReader, EncodecModel]:
        """A reader of a file, and the model that wrote it.

        Args:
            file: binary file object.
            label: its name in messages.

        Raises:
            UserError: it cannot be read, or its model is not here.
        """
        config = self._given[0].config if self._given else None

        def coder(header: Header) -> SegmentCoder:
            key = (header.model, header.language_model_identity, int(header.entropy))
            if key not in self._coders:
                own = prior_coder(self._given[0].quantizer) if self._given else None
                self._coders[key] = own or self.settings.choice.coder_of(header, config, f"{label}: ")
            return self._coders[key]

        reader = ecdc.open_reader(file, config, coder=coder)  # type: ignore[arg-type]
        return reader, self._model_of(reader.header, label)

    def _model_of(self, header: Header, label: str) -> EncodecModel:
        """The model that wrote a file: the one of --checkpoint FILE, or the one that the file names."""
        given = self._given
        if given is None:
            if header.model not in MODELS:
                raise UserError(f"{label}: codes of the model {header.model!r}; give its weights by --checkpoint")
            # A file in the public format does not name its weights; they are the official ones.
            key = header.model, bool(header.model_identity)
            choice = self.settings.choice if key[1] else replace(self.settings.choice, checkpoint=OFFICIAL)
            given = self._models[key] = self._models.get(key) or choice.load(header.model)
        model, accepted = given
        try:
            header.require_model(model.config, accepted)
        except UserError as error:
            raise UserError(f"{label}: {error}") from error
        return model

    def decode(
        self, model: EncodecModel, reader: PartReader, target: Path, label: str, provenance: str,
        advance: Callable[[int], object],
    ) -> list[str]:  # fmt: skip
        """Write `target`; `reader.damage` says what of it is silent.

        Args:
            provenance: text for the file.
            advance: called with the number of samples of each piece.

        Returns:
            Notes on the signal.
        """
        settings, rate = self.settings, model.config.sample_rate
        start = round(settings.start * rate)
        end = None if settings.end is None else round(settings.end * rate)
        factor = np.float32(10 ** (settings.gain / 20))
        limited = 0
        with writing_audio(target, rate, model.config.channels, settings.floating, provenance) as write:
            for block in recordings.decode(model, reader, label, start, end):
                signal = block * factor if settings.gain else block
                if settings.floating:
                    write(np.ascontiguousarray(np.nan_to_num(signal.T)))
                else:
                    pcm, beyond = to_pcm16(signal)
                    limited += beyond
                    write(pcm)
                advance(block.shape[1])
        return [f"{limited} samples were beyond full scale and limited to it"] if limited else []

    def lost(self, reader: PartReader, model: EncodecModel) -> list[str]:
        """Damage of the file; for a part of it, only that of the part."""
        settings, rate = self.settings, model.config.sample_rate
        start, end = settings.start * rate, None if settings.end is None else settings.end * rate
        return [
            damage.what for damage in reader.damage
            if damage.samples is None or (damage.samples[1] > start and (end is None or damage.samples[0] < end))
        ]  # fmt: skip


@functools.lru_cache(maxsize=1)
def decoder_of(settings: DecodeSettings) -> Decoder:
    """The decoder of this process."""
    return Decoder(settings)


def decode_pair(settings: DecodeSettings, force: bool, pair: Pair) -> Outcome:
    """Decode one file of a folder, unless its target was decoded from it before.

    Raises:
        UserError: it cannot be decoded, or the target is another file and `force` is False.
    """
    provenance = settings.provenance(sha256_of(pair.source))
    if pair.target.exists() and not force:
        if comment_of(pair.target) == provenance:
            return Outcome("there")
        raise UserError(
            f"{pair.target}: exists, and was not decoded from {pair.source.name} in this way; add --force to replace it"
        )
    label = str(pair.source)
    decoder = decoder_of(settings)
    with reading(pair.source) as file:
        reader, model = decoder.open(file, label)
        notes = decoder.decode(model, reader, pair.target, label, provenance, lambda samples: None)
        damage = decoder.lost(reader, model)
    if damage:
        return Outcome("damaged", tuple(f"{label}: {what}" for what in damage))
    return Outcome("done", tuple(f"{label}: {note}" for note in notes))
