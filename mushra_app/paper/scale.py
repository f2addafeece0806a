"""How much work a reproduction does: tiny, small, or as in the paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from earmark.codec.training import recipe_files
from earmark.codec.training.recipe import Recipe
from earmark.eval.paper.budget import Budget

Name = Literal["tiny", "small", "paper"]
SHRINK = 8  # channels of every network are divided by it at the scale tiny
TINY = (
    "model.seanet.dimension=16", "model.entries=256", "discriminators.per_bandwidth=false", "data.batch=2",
    "data.seconds=0.5", "training.precision=float32", "validation.recordings=1", "validation.seconds=0.5",
)  # fmt: skip


@dataclass(frozen=True)
class Scale:
    """Size of the work.

    Args:
        budget: length of each training.
        synthetic: recordings and training data are synthetic if none are given, and listeners are simulated.
        turns: measured turns of each timed codec.
    """

    name: Name
    budget: Budget
    synthetic: bool
    turns: int

    def settings(self, recipe: str, kbps: float, given: tuple[str, ...]) -> tuple[str, ...]:
        """Settings for a recipe: its length, its bit rate and, at the scale tiny, few channels and small batches."""
        if self.name != "tiny":
            return (*self.budget.settings, f"validation.kbps=[{kbps:g}]", *given)
        chosen = recipe_files.load(recipe)
        return (
            *TINY, f"model.kbps=[{kbps:g}]", f"validation.kbps=[{kbps:g}]",
            f"model.seanet.filters={max(2, chosen.model.seanet.filters // SHRINK)}",
            f"discriminators.filters={max(2, chosen.discriminators.filters // SHRINK)}", *self.budget.settings, *given,
        )  # fmt: skip

    def load(self, recipe: str, kbps: float, given: tuple[str, ...]) -> Recipe:
        """The recipe at this scale."""
        return recipe_files.load(recipe, self.settings(recipe, kbps, given))


def scale(name: Name, budget: Budget | None) -> Scale:
    """The scale of a name; `budget` replaces its own."""
    if name == "tiny":
        return Scale(name, budget or Budget(None, 2), True, 1)
    if name == "small":
        return Scale(name, budget or Budget(30, None), False, 3)
    return Scale(name, budget or Budget(None, None), False, 10)
