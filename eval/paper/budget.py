"""The budget of each row that `earmark reproduce` trains."""

from __future__ import annotations

import re
from dataclasses import dataclass

from earmark.codec.errors import UserError


@dataclass(frozen=True)
class Budget:
    """Length of each training: in minutes, or in updates, which then make up its whole schedule.

    The other is None; both are None for the whole schedule of the recipe.
    """

    minutes: float | None
    updates: int | None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Parse "30min" or "2000updates".

        Raises:
            UserError: the text is neither.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(min|updates)", text.strip())
        if match is None or float(match[1]) == 0 or (match[2] == "updates" and "." in match[1]):
            raise UserError(f"--budget {text}: write minutes or updates of each row, e.g. 30min or 2000updates")
        return cls(float(match[1]), None) if match[2] == "min" else cls(None, int(match[1]))

    def __str__(self) -> str:
        if self.minutes is not None:
            return f"{self.minutes:g} min"
        return "the whole schedule" if self.updates is None else f"{self.updates} updates"

    @property
    def settings(self) -> tuple[str, ...]:
        """Settings for the recipe: the length of the schedule, and no validation before the end."""
        length = () if self.updates is None else ("training.epochs=1", f"training.updates={self.updates}")
        return (*length, "validation.every=1000000000")
