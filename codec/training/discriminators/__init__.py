"""The discriminators of a recipe: which networks judge, and one set of them for each bit rate (EnCodec paper, 3.4)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from earmark.codec.training.discriminators.judgement import Judgement
from earmark.codec.training.discriminators.mono_stft import MonoSTFT
from earmark.codec.training.discriminators.mpd import MultiPeriod
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.discriminators.msd import MultiScale
from earmark.codec.training.losses.windows import MONO_STFT, MS_STFT, scaled
from earmark.codec.training.recipe import Recipe

EVERY = "every"  # name of the one set that judges all bit rates


class Ensemble(nn.Module):
    """Several discriminators as one, [B, C, T] -> the judgements of all their networks."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, audio: Tensor) -> list[Judgement]:
        return [judgement for member in self.members for judgement in member(audio)]


class PerBandwidth(nn.Module):
    """An ensemble for each bit rate, or one for all: only that of the batch is evaluated and updated.

    Args:
        ensembles: by bit rate in kbps, or one by the name EVERY.
    """

    def __init__(self, ensembles: dict[str, Ensemble]) -> None:
        super().__init__()
        self.ensembles = nn.ModuleDict(ensembles)

    def of(self, kbps: float) -> nn.Module:
        """The ensemble that judges what was coded at `kbps`."""
        return self.ensembles[EVERY if EVERY in self.ensembles else _name(kbps)]


def build(recipe: Recipe) -> PerBandwidth:
    """The discriminators that a recipe asks for, with random weights."""
    chosen, rate = recipe.discriminators, recipe.model.sample_rate

    def ensemble() -> Ensemble:
        return Ensemble(_member(kind, rate, chosen.filters) for kind in chosen.kinds)

    if not chosen.per_bandwidth:
        return PerBandwidth({EVERY: ensemble()})
    return PerBandwidth({_name(kbps): ensemble() for kbps in recipe.model.kbps})


def _member(kind: str, sample_rate: int, filters: int) -> nn.Module:
    if kind == "ms_stft":
        return MultiScaleSTFT([scaled(window, sample_rate) for window in MS_STFT], filters)
    if kind == "mono_stft":
        return MonoSTFT(scaled(MONO_STFT, sample_rate), filters)
    if kind == "msd":
        return MultiScale(max(1, filters // 2))
    if kind == "mpd":
        return MultiPeriod(filters)
    raise ValueError(f"{kind}: no such discriminator")


def _name(kbps: float) -> str:
    return f"{kbps:g}_kbps".replace(".", "_")  # a module's name holds no full stop
