"""Rules that the values of a recipe obey."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import get_args

from earmark.codec import plugins
from earmark.codec.errors import UserError
from earmark.codec.training.losses import windows
from earmark.codec.training.recipe import ACTIVATIONS, DISCRIMINATORS, QUANTIZERS, Part, Recipe


def check(recipe: Recipe) -> None:
    """Check the values of a recipe.

    Raises:
        UserError: a value is outside its range, or no plug-in that is loaded has a part that the recipe names.
    """
    _check_parts(recipe)
    data, optimizer, discriminators = recipe.data, recipe.optimizer, recipe.discriminators
    shortest = windows.shortest_example(discriminators.kinds, recipe.model.sample_rate)
    strategies = data.single_music, data.single_other, data.mix_two, data.mix_three_without_music
    rules: dict[str, tuple[bool, str]] = {
        "quantizer.decay": (0 <= recipe.quantizer.decay < 1, "in [0, 1)"),
        "quantizer.kmeans_iterations": (recipe.quantizer.kmeans_iterations >= 0, "0 or more"),
        "quantizer.dead_below": (0 < recipe.quantizer.dead_below < 1, "between 0 and 1"),
        "quantizer.penalty": (recipe.quantizer.penalty >= 0, "0 or more"),
        "balancer.decay": (0 <= recipe.balancer.decay < 1, "in [0, 1)"),
        "balancer.reference_norm": (recipe.balancer.reference_norm > 0, "above 0"),
        "discriminators.filters": (discriminators.filters >= 1, "1 or more"),
        "discriminators.update_probability": (0 <= discriminators.update_probability <= 1, "in [0, 1]"),
        "discriminators.start": (discriminators.start >= 0, "0 or more"),
        "discriminators.alone": (discriminators.alone >= 0, "0 or more"),
        "discriminators.rate": (discriminators.rate > 0, "above 0"),
        "discriminators.compression": (0 < discriminators.compression <= 1, "above 0, up to 1"),
        "discriminators.windows": (
            0 <= discriminators.windows <= len(windows.MS_STFT), f"0 (all) to {len(windows.MS_STFT)}"
        ),
        "data.seconds": (
            data.seconds * recipe.model.sample_rate >= shortest,
            f"{shortest / recipe.model.sample_rate:.3g} or more, for the windows of losses and discriminators",
        ),
        "data.categories": (len(data.categories) >= 1, "some of speech, music, sound"),
        "data.batch": (data.batch >= 1, "1 or more"),
        "data.single_music": (
            min(strategies) >= 0 and math.isclose(sum(strategies), 1, abs_tol=1e-6),
            "such that it, single_other, mix_two and mix_three_without_music are probabilities that add up to 1",
        ),
        "data.gain_db": (_is_range(data.gain_db), "two ascending numbers"),
        "data.reverb": (0 <= data.reverb <= 1, "in [0, 1]"),
        "data.denoise": (
            0 <= data.denoise <= 1 and (data.denoise == 0 or recipe.model.seanet.film),
            "in [0, 1], and 0 unless model.seanet.film is true",
        ),
        "data.rt60": (_is_range(data.rt60) and data.rt60[0] > 0, "two ascending numbers above 0"),
        "optimizer.learning_rate": (optimizer.learning_rate > 0, "above 0"),
        "optimizer.betas": (
            len(optimizer.betas) == 2 and all(0 <= beta < 1 for beta in optimizer.betas), "two numbers in [0, 1)"
        ),
        "optimizer.warmup": (optimizer.warmup >= 0, "0 or more"),
        "optimizer.weight_ema": (0 <= optimizer.weight_ema < 1, "in [0, 1)"),
        "optimizer.clip": (optimizer.clip >= 0, "0 (off) or more"),
        "training.parts": (
            0 < len(set(recipe.training.parts)) == len(recipe.training.parts), f"some of {', '.join(get_args(Part))}"
        ),
        "training.accumulate": (
            recipe.training.accumulate >= 1 and data.batch % recipe.training.accumulate == 0,
            f"a divisor of data.batch, {data.batch}",
        ),
        "training.epochs": (recipe.training.epochs >= 1, "1 or more"),
        "training.updates": (recipe.training.updates >= 1, "1 or more"),
        "training.seed": (0 <= recipe.training.seed < 2**63, "in [0, 2^63)"),
        "validation.every": (recipe.validation.every >= 1, "1 or more"),
        "validation.seconds": (recipe.validation.seconds >= 0.1, "0.1 or more"),
        "validation.recordings": (recipe.validation.recordings >= 1, "1 or more"),
        "validation.patience": (recipe.validation.patience >= 0, "0 (never stop early) or more"),
        "validation.best": (
            bool(recipe.validation.best) or not recipe.validation.patience, "a score, as \"visqol@6\", for patience"
        ),
        "checkpoints.every": (recipe.checkpoints.every >= 0, "0 (none) or more"),
        "checkpoints.keep": (recipe.checkpoints.keep >= 1, "1 or more"),
        "checkpoints.seconds": (recipe.checkpoints.seconds > 0, "above 0"),
        "validation.kbps": (
            set(recipe.validation.kbps) <= set(recipe.model.kbps), f"among model.kbps, {list(recipe.model.kbps)}"
        ),
    }  # fmt: skip
    rules |= {f"losses.{name}": (weight >= 0, "0 or more") for name, weight in recipe.losses.weights.items()}
    rates = asdict(optimizer.rates).items()
    rules |= {f"optimizer.rates.{name}": (rate > 0, "above 0; training.parts freezes a part") for name, rate in rates}
    for name, (fits, wanted) in rules.items():
        if not fits:
            raise UserError(f"recipe: {name} must be {wanted}")


def _is_range(values: tuple[float, ...]) -> bool:
    return len(values) == 2 and values[0] <= values[1]


def _check_parts(recipe: Recipe) -> None:
    """Raise UserError if no plug-in has a part that the recipe names."""
    seanet = recipe.model.seanet
    named: list[tuple[plugins.Kind, str, str, tuple[str, ...]]] = [
        ("quantizer", "quantizer.kind", recipe.quantizer.kind, QUANTIZERS),
        ("activation", "model.seanet.activation", seanet.activation, ACTIVATIONS),
        ("block", "model.seanet.encoder_block", seanet.encoder_block, ("residual",)),
        ("block", "model.seanet.decoder_block", seanet.decoder_block, ("residual",)),
    ]
    named += [("discriminator", "discriminators.kinds", kind, DISCRIMINATORS) for kind in recipe.discriminators.kinds]
    for kind, key, name, built_in in named:
        if name not in built_in and name not in (there := plugins.known(kind)):
            raise UserError(
                f"recipe: {key} must be one of {', '.join([*built_in, *there])}, not {name!r}; a plug-in's file "
                f"belongs in [plugins] modules or in {plugins.VARIABLE}"
            )
