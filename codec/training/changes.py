"""Settings that may change when a training is resumed, and those that make it another training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError

CHANGEABLE = (  # a section, with a full stop at its end, or a single setting
    "losses.", "balancer.", "plugins.", "validation.", "checkpoints.", "optimizer.learning_rate", "optimizer.rates.",
    "optimizer.betas", "optimizer.schedule", "optimizer.warmup", "optimizer.clip", "training.epochs",
    "training.updates", "training.precision", "training.accumulate", "training.compile", "training.tf32",
    "quantizer.decay",
    "quantizer.dead_below", "quantizer.penalty", "discriminators.update_probability", "discriminators.start",
    "discriminators.alone", "discriminators.rate", "discriminators.compression", "discriminators.windows",
    "discriminators.shared_pass",
)  # fmt: skip


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings of two recipes that differ, by name, e.g. "optimizer.learning_rate", with both values."""
    old, new = dict(flat(before)), dict(flat(after))
    return {key: (old.get(key), new.get(key)) for key in {**old, **new} if old.get(key) != new.get(key)}


def require_changeable(changed: Mapping[str, tuple[Any, Any]], folder: Path) -> None:
    """Check that a training can go on with changed settings.

    Raises:
        UserError: names the first setting that would make it another training.
    """
    for key, (before, after) in changed.items():
        if not any(key == each or (each.endswith(".") and key.startswith(each)) for each in CHANGEABLE):
            raise UserError(
                f"--out {folder}: was begun with another recipe or --set: {key} cannot change from {before} to "
                f"{after}; give the same, or begin a new training by --start-from"
            )


def flat(tables: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """("model.seanet.filters", 32) and the like."""
    for key, value in tables.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
