"""A recipe: all settings that determine a training. recipe_files.py reads its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from earmark.codec.datasets.manifest import Category
from earmark.codec.encodec.config import EncodecConfig

Part = Literal["encoder", "quantizer", "decoder"]
QUANTIZERS = ("rvq", "diffq", "gumbel")
DISCRIMINATORS = ("ms_stft", "msd", "mpd", "mono_stft")
ACTIVATIONS = ("elu", "snake")
LOSSES = ("time", "mel", "log_mel", "levels", "compressed", "adversarial", "features", "commitment")


@dataclass(frozen=True)
class QuantizerRecipe:
    kind: str
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
    others: Mapping[str, float] = field(default_factory=dict)  # of plug-ins

    @property
    def weights(self) -> dict[str, float]:
        """All weights by name."""
        return {**{name: getattr(self, name) for name in LOSSES}, **self.others}


@dataclass(frozen=True)
class BalancerRecipe:
    enabled: bool
    decay: float
    reference_norm: float


@dataclass(frozen=True)
class DiscriminatorRecipe:
    kinds: tuple[str, ...]
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
    categories: tuple[Category, ...]
    single_music: float
    single_other: float
    mix_two: float
    mix_three_without_music: float
    gain_db: tuple[float, float]
    reverb: float
    rt60: tuple[float, float]
    denoise: float


@dataclass(frozen=True)
class PartRates:
    encoder: float
    quantizer: float
    decoder: float


@dataclass(frozen=True)
class OptimizerRecipe:
    kind: Literal["adam", "muon"]
    learning_rate: float
    rates: PartRates
    betas: tuple[float, float]
    schedule: Literal["constant", "cosine"]
    warmup: int
    weight_ema: float
    clip: float


@dataclass(frozen=True)
class TrainingRecipe:
    epochs: int
    updates: int
    parts: tuple[Part, ...]
    accumulate: int
    compile: str
    tf32: bool
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
    metrics: tuple[str, ...]
    best: str
    patience: int


@dataclass(frozen=True)
class CheckpointRecipe:
    every: int
    keep: int
    seconds: float


@dataclass(frozen=True)
class PluginRecipe:
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """A validated recipe. The comments in recipes/encodec_24khz.toml explain every setting.

    Args:
        name: name of its file.
        tables: the recipe as plain tables, inherited settings included; stored in run.json.
        settings: the `--set` that are part of it, "section.key=value" each.
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
    checkpoints: CheckpointRecipe
    plugins: PluginRecipe
    tables: Mapping[str, Any]
    settings: tuple[str, ...] = ()
