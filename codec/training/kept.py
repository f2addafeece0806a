"""States of a training that are kept beside the last one: at intervals, and the best by a metric of the validation."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.files import written_whole
from earmark.codec.training.folder import save_state

FOLDER = "checkpoints"  # in the folder of a training
BEST = "best"  # FOLDER/best.pt; best.safetensors is beside model.safetensors


class KeptStates:
    """Keeps the last states of those saved every few updates.

    Args:
        folder: folder of the training.
        every: updates from one to the next; 0 keeps none.
        keep: number of states to keep.
    """

    def __init__(self, folder: Path, every: int, keep: int) -> None:
        self._folder, self.every, self._keep = folder / FOLDER, every, keep

    def due(self, updates: int) -> bool:
        """Whether a state is to be kept after so many updates."""
        return self.every > 0 and updates % self.every == 0

    def save(self, updates: int, state: Mapping[str, Any]) -> None:
        """Write a state, and remove those that are no longer among the last."""
        save_state(self._folder / f"update-{updates:08d}.pt", state)
        for old in sorted(self._folder.glob("update-*.pt"))[: -self._keep]:
            old.unlink(missing_ok=True)


class Best:
    """The best validation so far, and the validations since then.

    Args:
        metric: score as the validation names it, e.g. "visqol@6" or "si_snr@6 speech"; empty for none.
        lower: whether a lower score is better.
        patience: validations without a better score after which the training ends; 0: never.
    """

    def __init__(self, metric: str, lower: bool = False, patience: int = 0) -> None:
        self.metric, self._lower, self._patience = metric, lower, patience
        self.value = math.nan
        self.update = 0
        self.since = 0

    def see(self, scores: Mapping[str, float], update: int) -> bool:
        """Include a validation.

        Returns:
            Whether it is the best so far. An undefined score never is.

        Raises:
            UserError: the validation has no such score.
        """
        if not self.metric:
            return False
        if self.metric not in scores:
            raise UserError(f"recipe: validation.best {self.metric!r} is no score; there are {', '.join(scores)}")
        value = scores[self.metric]
        better = value < self.value if self._lower else value > self.value
        if better or (math.isnan(self.value) and not math.isnan(value)):
            self.value, self.update, self.since = value, update, 0
            return True
        self.since += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether the training ends, as too many validations brought nothing better."""
        return 0 < self._patience <= self.since

    @property
    def next_may_end(self) -> bool:
        """Whether the training ends if the next validation is not better."""
        return 0 < self._patience <= self.since + 1

    def state_dict(self) -> dict[str, Any]:
        return {"metric": self.metric, "value": self.value, "update": self.update, "since": self.since}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state of `state_dict`, unless it is of another metric."""
        if state.get("metric") == self.metric:
            self.value, self.update, self.since = state["value"], state["update"], state["since"]


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file so that an interruption leaves the target whole."""
    with written_whole(target) as temporary:
        shutil.copyfile(source, temporary)
