"""Options for what a run takes as the same codec: --fresh measures it again, --codec-version names its version."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from earmark.baselines.interface import System
from earmark.codec.command_line import option
from earmark.codec.errors import UserError
from earmark.codec.suggestions import did_you_mean, same
from earmark.eval.options import NameList, together

fresh_option = option(
    "--fresh", type=NameList(), multiple=True, callback=together, metavar="SYSTEM,...",
    help="Compute these systems again, though RUN has their results. A name without a bit rate means all its systems.",
)  # fmt: skip
versions_option = option(
    "--codec-version", "codec_versions", multiple=True, metavar="NAME=TEXT",
    help="Identity of a codec, instead of the content of its files: with another text it is computed again. Repeats "
    "add up.",
)  # fmt: skip


def named_systems(option_name: str, names: Iterable[str], systems: Sequence[System]) -> frozenset[str]:
    """The texts of the systems that names mean: of one system, or of a codec.

    Raises:
        UserError: a name means none of them.
    """
    chosen: set[str] = set()
    for name in names:
        texts = [system.text for system in systems]
        found = {system.text for system in systems if same(name, (system.text, system.family)) is not None}
        if not found:
            hint = did_you_mean(name, texts) or f"; they are {', '.join(texts)}"
            raise UserError(f"{option_name} {name}: not among the systems of this command{hint}")
        chosen |= found
    return frozenset(chosen)


def with_versions(systems: Sequence[System], values: Iterable[str]) -> list[System]:
    """The systems with the identities that --codec-version gives them.

    Args:
        values: NAME=TEXT each, NAME as in `named_systems`.

    Raises:
        UserError: a value has another form, or names none of the systems.
    """
    given: dict[str, str] = {}
    for value in values:
        name, equals, text = (part.strip() for part in value.partition("="))
        if not equals or not name or not text:
            raise UserError(f"--codec-version {value!r}: write NAME=TEXT, e.g. mine=2")
        given |= dict.fromkeys(named_systems("--codec-version", [name], systems), text)
    return identified(systems, given)


def identified(systems: Iterable[System], versions: Mapping[str, str]) -> list[System]:
    """The systems, those of `versions` (text -> version) with this identity."""
    return [replace(one, identity=versions.get(one.text, one.identity)) for one in systems]
