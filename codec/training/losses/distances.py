"""The losses of a recipe that compare decoded audio with the reference."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from earmark.codec import plugins
from earmark.codec.training.losses.band_levels import BandLevels
from earmark.codec.training.losses.compressed import CompressedSTFT
from earmark.codec.training.losses.terms import MultiScaleLogMel, MultiScaleMel, time_loss
from earmark.codec.training.recipe import Recipe

Distance = Callable[[Tensor, Tensor], Tensor]  # reference and decoded audio, [B, C, T] each -> scalar


def distances(recipe: Recipe, device: torch.device) -> dict[str, Distance]:
    """Those losses of a recipe that have a weight above 0, by name.

    Raises:
        UserError: no plug-in that is loaded has one of them.
    """
    rate = recipe.model.sample_rate
    own: dict[str, Callable[[], Distance]] = {
        "time": lambda: time_loss,
        "mel": lambda: MultiScaleMel(rate),
        "log_mel": lambda: MultiScaleLogMel(rate),
        "levels": lambda: BandLevels(rate),
        "compressed": CompressedSTFT,
    }
    weights = recipe.losses.weights
    chosen = {name: make() for name, make in own.items() if weights[name] > 0}
    for name in recipe.losses.others:
        if weights[name] > 0:
            part = plugins.find("loss", name)
            chosen[name] = cast("Callable[[int], Distance]", part)(rate) if inspect.isclass(part) else part
    return {name: each.to(device) if isinstance(each, nn.Module) else each for name, each in chosen.items()}
