"""What a session consists of: the pages of a study, in order, and the steps of one listener that they become.

A study lists pages; `trials` stands for all trials of a listener. A new kind of page is a dataclass here, in KINDS, and
its template and reader in mushra_app/web/steps.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Volume:
    """The listener sets the volume, once, by the reference of the first trial."""


@dataclass(frozen=True)
class Training:
    """A trial whose ratings do not count, of the item with this id (BS.1534-3, 5.2: familiarisation)."""

    item: str


@dataclass(frozen=True)
class Trials:
    """All trials of the listener, with a break after every `break_after` of them; 0 for none."""

    break_after: int = 0


Page = Volume | Training | Trials
KINDS: Mapping[str, type[Page]] = {"volume": Volume, "training": Training, "trials": Trials}
DEFAULT: tuple[Page, ...] = (Volume(), Trials())


@dataclass(frozen=True)
class Planned:
    """A step of one listener: its kind ("volume", "training", "trial", "break"), its page's settings, its item."""

    kind: str
    settings: Mapping[str, Any]
    item: str | None = None


def plan(pages: Sequence[Page], items: Sequence[str]) -> Iterator[Planned]:
    """The steps of a listener who rates `items` in this order."""
    for page in pages:
        match page:
            case Training(item):
                yield Planned("training", {}, item)
            case Trials(break_after):
                for number, item in enumerate(items):
                    if break_after and number and number % break_after == 0:
                        yield Planned("break", {"done": number, "of": len(items)})
                    yield Planned("trial", {}, item)
            case _:
                yield Planned(kind_of(page), asdict(page))


def kind_of(page: Page) -> str:
    """The name of a page's kind in study.json."""
    return next(name for name, kind in KINDS.items() if isinstance(page, kind))


def to_json(page: Page) -> dict[str, Any]:
    """A page as study.json has it."""
    return {"kind": kind_of(page), **asdict(page)}


def from_json(data: Mapping[str, Any]) -> Page:
    """A page of study.json.

    Raises:
        KeyError, TypeError: no such kind, or settings that it does not have.
    """
    settings = dict(data)
    return KINDS[settings.pop("kind")](**settings)
