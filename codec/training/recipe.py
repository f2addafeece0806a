"""A recipe: all settings that determine a training. recipe_files.py reads its files.

The validation is written by hand: with pydantic every message would have to be translated to name the key, the rule and
a similar key, which takes as much code.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from earmark.codec.checkpoints.config_json import config_from_json
from earmark.codec.encodec.config import EncodecConfig, SEANetConfig, stored_keys
from earmark.codec.errors import UserError
from earmark.codec.training.losses import windows


@dataclass(frozen=True)
class QuantizerRecipe:
    kind: Literal["rvq", "diffq", "gumbel"]
    decay: float
    kmeans_iterations: int
    dead_below: float
    penalty: float


@dataclass(frozen=True)
class LossWeights:
    time: float
    mel: float
    log_mel: float
    levels: float
    compressed: float
    adversarial: float
    features: float
    commitment: float


@dataclass(frozen=True)
class BalancerRecipe:
    enabled: bool
    decay: float
    reference_norm: float


@dataclass(frozen=True)
class DiscriminatorRecipe:
    kinds: tuple[Literal["ms_stft", "msd", "mpd", "mono_stft"], ...]
    filters: int
    update_probability: float
    per_bandwidth: bool
    start: int
    alone: int
    rate: float
    compression: float
    windows: int
    shared_pass: bool


@dataclass(frozen=True)
class DataRecipe:
    seconds: float
    batch: int
    single_music: float
    single_other: float
    mix_two: float
    mix_three_without_music: float
    gain_db: tuple[float, float]
    reverb: float
    rt60: tuple[float, float]
    denoise: float


@dataclass(frozen=True)
class OptimizerRecipe:
    kind: Literal["adam", "muon"]
    learning_rate: float
    betas: tuple[float, float]
    schedule: Literal["constant", "cosine"]
    warmup: int
    weight_ema: float
    clip: float


@dataclass(frozen=True)
class TrainingRecipe:
    epochs: int
    updates: int
    precision: Literal["auto", "bf16", "float32"]
    seed: int

    @property
    def total(self) -> int:
        """Updates of the whole training."""
        return self.epochs * self.updates


@dataclass(frozen=True)
class ValidationRecipe:
    every: int
    seconds: float
    recordings: int
    kbps: tuple[float, ...]


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. The comments in recipes/encodec_24khz.toml explain every setting.

    Args:
        name: name of its file.
        tables: the recipe as plain tables, inherited settings included; stored in run.json.
    """

    name: str
    model: EncodecConfig
    quantizer: QuantizerRecipe
    losses: LossWeights
    balancer: BalancerRecipe
    discriminators: DiscriminatorRecipe
    data: DataRecipe
    optimizer: OptimizerRecipe
    training: TrainingRecipe
    validation: ValidationRecipe
    tables: Mapping[str, Any]


def from_tables(name: str, tables: Mapping[str, Any]) -> Recipe:
    """Validate the tables of a recipe.

    Raises:
        UserError: a key is missing or unknown, or its value is invalid.
    """
    sections = {field.name: field for field in fields(Recipe) if field.name not in ("name", "tables")}
    _check_keys(tables, list(sections), "")
    hints = get_type_hints(Recipe)
    parts = {section: _read(hints[section], tables.get(section, {}), section) for section in sections}
    recipe = Recipe(name=name, tables=tables, **parts)
    _check(recipe)
    return recipe


def _check_keys(table: Mapping[str, Any], known: list[str], section: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {section}{near[0]}?" if near else f"; there are {', '.join(known)}"
            raise UserError(f"recipe: {section}{key} is unknown{hint}")


def _read(expected: Any, value: Any, key: str) -> Any:
    """Check the type of a value. Integers are accepted for floats; nothing else is converted."""
    if expected is EncodecConfig:
        return _read_model(value)
    if is_dataclass(expected):
        return _read_section(expected, value, key)
    if get_origin(expected) is tuple and isinstance(value, list):
        return tuple(_read(get_args(expected)[0], item, key) for item in value)
    if get_origin(expected) is Literal and value in get_args(expected):
        return value
    if expected is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is expected:
        return value
    if get_origin(expected) is Literal:
        wanted = f"one of {', '.join(map(str, get_args(expected)))}"
    else:
        names = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
        wanted = names.get(expected, "a list")
    raise UserError(f"recipe: {key} must be {wanted}, not {value!r}")


def _read_section(expected: Any, value: Any, name: str) -> Any:
    """Make a dataclass of a section, whose keys are its fields."""
    if not isinstance(value, Mapping):
        raise UserError(f"recipe: {name} must be a section")
    hints = get_type_hints(expected)
    _check_keys(value, list(hints), f"{name}.")
    if missing := [key for key in hints if key not in value]:
        raise UserError(f"recipe: {name}.{missing[0]} is missing")
    return expected(**{key: _read(hint, value[key], f"{name}.{key}") for key, hint in hints.items()})


def _read_model(table: Any) -> EncodecConfig:
    if isinstance(table, Mapping):
        _check_keys(table, stored_keys(EncodecConfig), "model.")
        if isinstance(table.get("seanet"), Mapping):
            _check_keys(table["seanet"], stored_keys(SEANetConfig), "model.seanet.")
        if table.get("segment") == 0:
            table = {**table, "segment": None}  # TOML has no null
    try:
        return config_from_json(json.dumps(table))
    except UserError as error:
        raise UserError(f"recipe: {str(error).replace('config.', 'model.', 1)}") from error


def _check(recipe: Recipe) -> None:
    """Raise UserError if a value is outside its range."""
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
        "training.epochs": (recipe.training.epochs >= 1, "1 or more"),
        "training.updates": (recipe.training.updates >= 1, "1 or more"),
        "training.seed": (0 <= recipe.training.seed < 2**63, "in [0, 2^63)"),
        "validation.every": (recipe.validation.every >= 1, "1 or more"),
        "validation.seconds": (recipe.validation.seconds >= 0.1, "0.1 or more"),
        "validation.recordings": (recipe.validation.recordings >= 1, "1 or more"),
        "validation.kbps": (
            set(recipe.validation.kbps) <= set(recipe.model.kbps), f"among model.kbps, {list(recipe.model.kbps)}"
        ),
    }  # fmt: skip
    weights = [(f"losses.{field.name}", getattr(recipe.losses, field.name)) for field in fields(LossWeights)]
    rules |= {name: (weight >= 0, "0 or more") for name, weight in weights}
    for name, (fits, wanted) in rules.items():
        if not fits:
            raise UserError(f"recipe: {name} must be {wanted}")


def _is_range(values: tuple[float, ...]) -> bool:
    return len(values) == 2 and values[0] <= values[1]
