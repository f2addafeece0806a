"""Errors of rating files, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from earmark.codec.errors import UserError
from earmark.codec.text import counted, printable

SHOWN = 3  # errors in the one line of the message


class RatingsError(UserError):
    """Rating files with errors; `errors` lists all of them, one line each."""

    def __init__(self, errors: list[str]) -> None:
        self.errors = tuple(errors)
        shown = "; ".join(errors[:SHOWN])
        more = f"; and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        super().__init__(shown + more if len(errors) == 1 else f"{counted(len(errors), 'error')}: {shown}{more}")


class NoRatingsError(UserError):
    """A readable file that holds no ratings, such as a README; folders may have some."""


@dataclass
class Errors:
    """Collects errors while files are read."""

    found: list[str] = field(default_factory=list)

    def add(self, path: Path, text: str) -> None:
        """Add an error of a file."""
        self.found.append(printable(f"{path}: {text}"))

    def raise_if_any(self) -> None:
        """Raise RatingsError if there are errors."""
        if self.found:
            raise RatingsError(self.found)
