"""Types of option values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from earmark.codec.suggestions import did_you_mean, same


class SampleRate(click.ParamType):
    """A sample rate in Hz, or in kHz with a k: 16000, 16k, 44.1k.

    Args:
        low, high: range in Hz.
    """

    name = "rate"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(k?)(?:hz)?", str(value).strip(), re.IGNORECASE | re.ASCII)
        rate = float(match[1]) * (1000 if match[2] else 1) if match else 0.0
        if not self.low <= rate <= self.high or rate != round(rate):
            self.fail(f"{value} is not a rate from {self.low} to {self.high} Hz, e.g. 24000 or 44.1k", param, ctx)
        return round(rate)


class Choice(click.Choice[str]):
    """One of several words; case, hyphens and underscores do not matter, and near words are suggested.

    Args:
        other_words: words that are understood, too, and not shown -> the choice that each stands for.
    """

    def __init__(self, choices: Iterable[str], other_words: Mapping[str, str] | None = None) -> None:
        super().__init__(tuple(choices))
        self.other_words = dict(other_words or {})

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        exact = same(str(value), self.choices) or self.other_words.get(str(value))
        if exact is None:
            hint = did_you_mean(str(value), self.choices) or f"; choose from {', '.join(self.choices)}"
            self.fail(f"there is no {value!r}{hint}", param, ctx)
        return exact


def completed_list(incomplete: str, names: Iterable[str]) -> list[CompletionItem]:
    """Completions of the last part of a comma-separated list."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(f"{before}{comma}{name}") for name in names if name.startswith(last)]


def completed_by(names: Callable[[], Iterable[str]]) -> Callable[..., list[CompletionItem]]:
    """Completion of an argument by names, which are looked up only when the shell asks."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(name) for name in names() if name.startswith(incomplete)]

    return complete
