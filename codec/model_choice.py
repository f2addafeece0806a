"""The weights and the language model that `encode`, `decode` and `inspect` use, from their options."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earmark.codec.checkpoints.downloads import OFFICIAL, cached, language_model_for
from earmark.codec.errors import UserError
from earmark.codec.extras import require

if TYPE_CHECKING:  # torch and numpy take time to import, and --help does without them
    from earmark.codec.ecdc import Format, Header
    from earmark.codec.ecdc.segment_coders import SegmentCoder
    from earmark.codec.encodec.config import EncodecConfig
    from earmark.codec.encodec.model import EncodecModel

MODELS = ("encodec_24khz", "encodec_48khz")


@dataclass(frozen=True)
class ModelChoice:
    """The options --checkpoint, --language-model and --device.

    Args:
        checkpoint: a file, the name of a model, "official", or None for the weights that load by default.
        language_model: a file, or None for the language model that belongs to the weights.
        device: name of a device, or None for a GPU if there is one, else the CPU.
    """

    checkpoint: str | None = None
    language_model: Path | None = None
    device: str | None = None

    def load(self, name: str) -> tuple[EncodecModel, tuple[str, ...]]:
        """A model ready to code, and the identities by which files name its codes, that of new files first.

        Args:
            name: the model to load if no checkpoint file is given, one of MODELS.
        """
        require("torch", extra="encodec", for_="EnCodec")
        import torch

        from earmark.codec.checkpoints import identities, loading
        from earmark.codec.encodec.device import choose_device
        from earmark.codec.encodec.fast.accelerate import set_precision

        device = choose_device(self.device)
        if "OMP_NUM_THREADS" not in os.environ:
            # One thread is many times faster than real time. Several threads wait for each other in a busy loop, which
            # makes them five times slower if the other cores are busy, for example with the other program of a pipe.
            torch.set_num_threads(1)
        if self.checkpoint == OFFICIAL:
            model = loading.load(cached(name))
        else:
            source = self.checkpoint or name
            model = loading.load(source if source in MODELS else Path(source))
        accepted = identities.accepted_identities(model)
        set_precision(model.to(device), "float32")
        return model, accepted

    def load_given(self) -> tuple[EncodecModel, tuple[str, ...]] | None:
        """The model of --checkpoint FILE; None if the option names no file."""
        return None if self.checkpoint in (None, OFFICIAL) else self.load("")

    def coder_for(self, config: EncodecConfig, format: Format, accepted: tuple[str, ...]) -> SegmentCoder:
        """The coder that writes codes of a model by a language model.

        Args:
            accepted: identities of the model's codes, of which the language model must name one.

        Raises:
            UserError: the language model is not known, not on this machine, or for other weights.
        """
        source = self.language_model or self._default(self.checkpoint, config)
        return _coder(source, config, portable=format == "earmark", accepted=accepted)

    def coder_of(self, header: Header, config: EncodecConfig | None = None, label: str = "") -> SegmentCoder:
        """The coder that reads a file which was written by a language model.

        Args:
            config: the model; by default the preset that the file names.
            label: the file's name, in front of the message if the file names a language model that is not here.

        Raises:
            UserError: the language model is not known, or not on this machine.
        """
        from earmark.codec.ecdc.segment_coders import Entropy, coded_by
        from earmark.codec.encodec.config import ENCODEC_24KHZ, PRESETS

        config = config or PRESETS.get(header.model, ENCODEC_24KHZ)
        portable = header.entropy == Entropy.PORTABLE_MODEL
        checkpoint = self.checkpoint if portable else self.checkpoint or OFFICIAL
        try:
            source = self.language_model or self._default(checkpoint, config)
        except UserError as error:
            if header.language_model_identity:
                raise UserError(label + coded_by(header.language_model_identity)) from error
            raise
        return _coder(source, config, portable)

    def _default(self, checkpoint: str | None, config: EncodecConfig) -> Path:
        if checkpoint not in (None, OFFICIAL):
            raise UserError("--lm: the language model for --checkpoint is not known; give it by --language-model")
        return language_model_for(config.name, official=checkpoint == OFFICIAL)


def _coder(
    source: Path, config: EncodecConfig, portable: bool, accepted: tuple[str, ...] | None = None
) -> SegmentCoder:
    """The coder of our format, which decodes the same on every machine, or of the public one."""
    require("torch", extra="encodec", for_="coding by a language model")
    from earmark.codec.language_model import files

    load = files.portable_coder if portable else files.public_coder
    return load(source, config, accepted)
