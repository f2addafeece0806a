"""`earmark systems`."""

from __future__ import annotations

import inspect

import click
from click.shell_completion import CompletionItem

from earmark.baselines.interface import Family
from earmark.baselines.listing import print_facts, print_listing
from earmark.baselines.registry import families
from earmark.codec.command_line import command
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean, same

COLUMNS = ("System", "Codec", "Rates", "Sample rates", "Latency", "Version", "Licence", "Here")


def _complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    known = families().items()
    return [CompletionItem(name, help=family.title) for name, family in known if name.startswith(incomplete)]


@command(
    short_help="List codecs; NAME explains one",
    examples=["earmark systems", "earmark systems opus"],
    environment={
        "EARMARK_CACHE": "Folder of downloaded weights [default: ~/.cache/earmark].",
        "EARMARK_EVS_DIR": "Folder of the EVS reference programs.",
        "EARMARK_LIBOPUS": "The libopus library to use.",
    },
)
@click.argument("name", required=False, shell_complete=_complete)
def systems(name: str | None) -> None:
    """List every codec: available or not and why, bit rates, sample rates, latency, version, licence.

    With NAME, explain one codec and its options.
    """
    known = families()
    if name is not None:
        exact = same(name.partition("@")[0], known)
        if exact is None:
            raise UserError(f"there is no codec {name!r}{did_you_mean(name, known)}")
        print_facts(_facts(known[exact]))
        return
    rows, missing = [], []
    for family in known.values():
        reason = family.unavailable()
        if reason is not None:
            missing.append(f"{family.name}: {reason.removeprefix(f'{family.name}: ')}")
        rows.append((
            family.example, family.title, family.rates, family.sample_rates,
            family.latency, family.version() if reason is None else "", family.licence,
            "yes" if reason is None else "no",
        ))  # fmt: skip
    print_listing(COLUMNS, rows, missing, narrow=("System", "Codec", "Rates", "Here"))


def _facts(family: Family) -> dict[str, str]:
    reason = family.unavailable()
    options = ", ".join(
        f"{key}={'|'.join(values)}" if values else key for key, values in family.options.items()
    )  # fmt: skip
    return {
        "Codec": family.title,
        "Write": family.example,
        "Rates": family.rates,
        "Options": options or "none",
        "Sample rates": family.sample_rates,
        "Latency": family.latency,
        "Version": family.version() if reason is None else "-",
        "Licence": family.licence,
        "Here": "yes" if reason is None else f"no: {reason.removeprefix(f'{family.name}: ')}",
        "About": inspect.cleandoc(type(family).__doc__ or "").partition("\n\n")[0],
    }
