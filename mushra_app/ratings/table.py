"""The ratings of one listening test: a table, the role of every condition, and notes on how they were read."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.study.entry import LEAST_HEARD_SECONDS
from earmark.mushra_app.study.study import Role

SPECIAL_ROLES: tuple[Role, ...] = ("hidden reference", "low anchor", "mid anchor")
assert {*SPECIAL_ROLES, "system"} == set(get_args(Role))

OPTIONS: Mapping[Role, str] = {
    "hidden reference": "--reference",
    "low anchor": "--low-anchor",
    "mid anchor": "--mid-anchor",
}

# Matched against a name's letters and digits in lower case. "anchor" alone means the low anchor.
USUAL_NAMES: Mapping[Role, str] = {
    "hidden reference": r"(hidden)?ref(erence)?",
    "low anchor": r"anchor|low(range)?anchor|anchorlow|(anchor|lp|lowpass)(35(k(hz)?)?|3500(hz)?)",
    "mid anchor": r"mid(dle|range)?anchor|anchormid(dle)?|(anchor|lp|lowpass)(7k(hz)?|70(k(hz)?)?|7000(hz)?)",
}


@dataclass(frozen=True)
class Ratings:
    """All ratings of one test.

    Args:
        frame: one row per rating: listener, item, condition (text), score (float, 0 to 100), and if known category,
            comment (text), seconds (float; time the listener spent on the trial), plays, heard_seconds, switches, moves
            (float; how the stimulus was heard and its slider moved). A listener rates an item in a
            condition once.
        roles: condition -> role, for every condition in `frame`.
        source: name of the study or file, for titles.
        notes: what the import assumed, repaired or skipped, one sentence each.
        metrics: objective scores if the study was built from a run: item, condition, metric, value.
        checks: results of attention and headphone checks; see `mushra_app.database.attention.checks`.
        answers: answers to questionnaires: listener, question, answer (text).
        excluded: listener -> reason, for listeners whom the experimenter or a page of the session excluded; screening
            never keeps them.
        rates: bit rates of the conditions, from `earmark.mushra_app.analysis.rates`; None if they are not known.
        least_heard: seconds below which a stimulus counts as not heard, for a flag.
        devices: browser and device of each listener; see `mushra_app.database.collected.devices`.
    """

    frame: pd.DataFrame
    roles: Mapping[str, Role]
    source: str
    notes: tuple[str, ...] = ()
    metrics: pd.DataFrame | None = None
    checks: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)
    rates: pd.DataFrame | None = None
    least_heard: float = LEAST_HEARD_SECONDS
    devices: pd.DataFrame | None = None

    def with_role(self, role: Role) -> pd.DataFrame:
        """Ratings of the conditions with this role."""
        return self.frame[self.frame["condition"].isin([name for name in self.roles if self.roles[name] == role])]


def excluded_by_hand(frame: pd.DataFrame) -> dict[str, str]:
    """Listener -> reason, from the column `excluded` that exports of our own studies have.

    Ignores listeners whom screening excluded while the study ran (excluded_by "screening"): a report screens again.
    """
    if "excluded" not in frame:
        return {}
    by_hand = frame["excluded"] != ""
    if "excluded_by" in frame:
        by_hand &= frame["excluded_by"] != "screening"
    return dict(zip(frame["listener"][by_hand], frame["excluded"][by_hand], strict=True))


def assign_roles(
    conditions: Iterable[str],
    named: Mapping[Role, str | None],
    source: str,
    *,
    hints: bool = True,
    by_file: Collection[Role] = (),
) -> tuple[dict[str, Role], tuple[str, ...]]:
    """Decide which condition is the hidden reference and which are the anchors: as named, else by their usual names.

    Args:
        conditions: names of all conditions.
        named: role -> condition named by the user, or None.
        source: file or study, for error messages.
        hints: whether notes mention the option that sets the role.
        by_file: roles that the file names, not the user.

    Returns:
        condition -> role, and a note on each role.

    Raises:
        UserError: if a named condition does not exist, or is named for two roles.
    """
    conditions = sorted(conditions)
    roles = _named_roles(conditions, named, source)
    notes = []
    for role in SPECIAL_ROLES:
        if named.get(role) is not None:
            by = "by the file" if role in by_file else OPTIONS[role]
            hint = f" ({by})" if hints else ""
            notes.append(f"The {role} is “{named[role]}”{hint}.")
            continue
        usual = [name for name in conditions if roles[name] == "system" and looks_like(role, name)]
        hint = f"; {OPTIONS[role]} NAME sets it" if hints else ""
        if len(usual) == 1:
            roles[usual[0]] = role
            notes.append(f"The {role} is assumed to be “{usual[0]}” because of its name{hint}.")
        elif usual:
            candidates = ", ".join(f"“{name}”" for name in usual)
            notes.append(f"No {role}: {candidates} all have a usual name for it{hint}.")
        else:
            notes.append(f"No {role}: no condition has a usual name for it{hint}.")
    return roles, tuple(notes)


def _named_roles(conditions: Sequence[str], named: Mapping[Role, str | None], source: str) -> dict[str, Role]:
    """Roles that the user named; every other condition is a system."""
    roles: dict[str, Role] = dict.fromkeys(conditions, "system")
    for role in SPECIAL_ROLES:
        name = named.get(role)
        if name is None:
            continue
        if name not in roles:
            raise UserError(f"{OPTIONS[role]} {name}: {source} has no such condition; it has {', '.join(conditions)}")
        if roles[name] != "system":
            raise UserError(f"{OPTIONS[role]} {name}: also named as the {roles[name]}; a condition has one role")
        roles[name] = role
    return roles


def looks_like(role: Role, name: str) -> bool:
    """Whether a condition has a usual name for this role."""
    return re.fullmatch(USUAL_NAMES[role], re.sub(r"[^a-z0-9]", "", name.lower())) is not None
