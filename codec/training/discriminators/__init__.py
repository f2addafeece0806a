"""The discriminators of a recipe, with one set of networks per bit rate (EnCodec paper, section 3.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from earmark.codec import plugins
from earmark.codec.training.discriminators.mono_stft import MonoSTFT
from earmark.codec.training.discriminators.mpd import MultiPeriod
from earmark.codec.training.discriminators.ms_stft import MultiScaleSTFT
from earmark.codec.training.discriminators.msd import MultiScale
from earmark.codec.training.discriminators.network import DiscriminatorOutput
from earmark.codec.training.losses.windows import MONO_STFT, MS_STFT, scaled
from earmark.codec.training.recipe import Recipe

EVERY = "every"  # name of the ensemble that serves all bit rates
EARLIER_KEYS = {".judges.": ".networks.", ".judge.": ".network."}  # in states of version 0.1.0


class Ensemble(nn.Module):
    """Several discriminators as one, [B, C, T] -> outputs of all their networks."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, audio: Tensor, windows: Sequence[int] | None = None) -> list[DiscriminatorOutput]:
        """Evaluate all networks, or those of MultiScaleSTFT for the given windows and all others."""
        outputs: list[DiscriminatorOutput] = []
        for member in self.members:
            outputs += member(audio, windows) if isinstance(member, MultiScaleSTFT) else member(audio)
        return outputs


class PerBandwidth(nn.Module):
    """One ensemble per bit rate, or one for all. An update evaluates and trains only that of its bit rate.

    Args:
        ensembles: ensembles by the names of their bit rates, or a single one named EVERY.
    """

    def __init__(self, ensembles: dict[str, Ensemble]) -> None:
        super().__init__()
        self.ensembles = nn.ModuleDict(ensembles)
        self.register_load_state_dict_pre_hook(_rename_earlier_keys)

    def of(self, kbps: float) -> nn.Module:
        """The ensemble for audio coded at `kbps`."""
        return self.ensembles[EVERY if EVERY in self.ensembles else _name(kbps)]

    def load_ensembles(self, state: Mapping[str, Any]) -> None:
        """Load those ensembles that a saved state has; a state with one for all bit rates serves each of ours.

        Raises:
            RuntimeError: an ensemble has another shape.
        """
        saved = dict(state)
        _rename_earlier_keys(self, saved)
        for name, ensemble in self.ensembles.items():
            for source in (name, EVERY):
                prefix = f"ensembles.{source}."
                if own := {key.removeprefix(prefix): v for key, v in saved.items() if key.startswith(prefix)}:
                    ensemble.load_state_dict(own)
                    break


def build(recipe: Recipe) -> PerBandwidth:
    """Build the discriminators of a recipe, with random weights."""
    settings, rate = recipe.discriminators, recipe.model.sample_rate

    def ensemble() -> Ensemble:
        return Ensemble(_member(kind, rate, settings.filters, settings.compression) for kind in settings.kinds)

    if not settings.per_bandwidth:
        return PerBandwidth({EVERY: ensemble()})
    return PerBandwidth({_name(kbps): ensemble() for kbps in recipe.model.kbps})


def _member(kind: str, sample_rate: int, filters: int, compression: float) -> nn.Module:
    if kind == "ms_stft":
        return MultiScaleSTFT([scaled(window, sample_rate) for window in MS_STFT], filters, compression=compression)
    if kind == "mono_stft":
        return MonoSTFT(scaled(MONO_STFT, sample_rate), filters, compression)
    if kind == "msd":
        return MultiScale(max(1, filters // 2))
    if kind == "mpd":
        return MultiPeriod(filters)
    made: nn.Module = plugins.find("discriminator", kind)(sample_rate, filters)
    return made


def _name(kbps: float) -> str:
    return f"{kbps:g}_kbps".replace(".", "_")  # names of modules must not contain a full stop


def _rename_earlier_keys(module: nn.Module, state: dict[str, Any], *_: object) -> None:
    for key in list(state):
        for earlier, current in EARLIER_KEYS.items():
            if earlier in key:
                state[key.replace(earlier, current)] = state.pop(key)
