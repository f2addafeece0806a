"""Amounts of money: integers of the currency's minor unit (cents, pence), never floats."""

from __future__ import annotations

import re

import click

MOST = 10_000_00  # for one participant; more is a slip of the keyboard
WRITTEN = re.compile(r"(\d{1,7})(?:\.(\d\d))?", re.ASCII)


def parse(text: str) -> int:
    """Read an amount: "3.20" is 320, "3" is 300.

    Raises:
        ValueError: it is not a number with no or two decimals.
    """
    match = WRITTEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is not an amount such as 3.20")
    return 100 * int(match[1]) + int(match[2] or 0)


def decimal(amount: int) -> str:
    """The amount as the platforms' APIs read it: "3.20"."""
    return f"{amount // 100}.{amount % 100:02d}"


def shown(amount: int, currency: str) -> str:
    """The amount as people read it: "3.20 USD"."""
    return f"{decimal(amount)} {currency}"


class Amount(click.ParamType):
    """An amount on the command line, at least 0.01.

    Args:
        most: the largest amount.
    """

    name = "amount"

    def __init__(self, most: int = MOST) -> None:
        self.most = most

    def convert(self, value: object, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """The amount in the minor unit."""
        if isinstance(value, int):
            return value
        try:
            amount = parse(str(value))
        except ValueError as error:
            self.fail(str(error), parameter, context)
        if not 0 < amount <= self.most:
            self.fail(f"{value} is not from 0.01 to {decimal(self.most)}", parameter, context)
        return amount
