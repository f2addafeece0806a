"""A codec under any name: `mine@1:checkpoint=FILE` takes its shape and its bit rates from the file."""

from __future__ import annotations

from pathlib import Path

from earmark.baselines.encodec import Encodec, model_in
from earmark.baselines.interface import System
from earmark.codec.checkpoints.downloads import OFFICIAL
from earmark.codec.checkpoints.header import bit_rates
from earmark.codec.errors import UserError


class CheckpointCodec(Encodec):
    """A trained codec under the name that the user gives it; its checkpoint may be of any layout that can be loaded."""

    kbps_steps = ()
    sample_rates = "its own"
    latency = "its own"
    any_model = True

    def __init__(self, name: str) -> None:
        self.name = self.title = name
        self.example = f"{name}@3:checkpoint=FILE"
        self.rates = "its own"

    def check(self, system: System) -> None:
        if system.options.get("checkpoint") in ("", OFFICIAL):
            raise UserError(f"{system.text}: name the file of its weights, as {self.name}@3:checkpoint=FILE")
        if not self.source(system).exists():
            raise UserError(f"{system.text}: {self.source(system)}: no such file; give the checkpoint of {self.name}")
        if system.options.get("lm") == "":
            raise UserError(f"{system.text}: no language model is known for this checkpoint; write lm=FILE")
        super().check(system)

    def source(self, system: System | None) -> Path:
        """File of the option checkpoint, or the model file of a training folder."""
        path = Path(system.options["checkpoint"] if system is not None else "")
        model = path / "model.safetensors"
        return model if model.is_file() and not (path / "config.json").exists() else path

    def _steps(self, system: System | None) -> tuple[float, ...]:
        source = self.source(system)
        return bit_rates(source) or model_in(source).config.kbps
