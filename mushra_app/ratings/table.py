"""The ratings of one listening test: a table, the role of every condition, and what was assumed on the way in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import get_args

import pandas as pd

from earmark.codec.errors import UserError
from earmark.mushra_app.study.study import Role

SPECIAL_ROLES: tuple[Role, ...] = ("hidden reference", "low anchor", "mid anchor")
assert {*SPECIAL_ROLES, "system"} == set(get_args(Role))

OPTIONS: Mapping[Role, str] = {
    "hidden reference": "--reference",
    "low anchor": "--low-anchor",
    "mid anchor": "--mid-anchor",
}

# Matched against a name's letters and digits in lower case. "anchor" alone is taken for the low one.
USUAL_NAMES: Mapping[Role, str] = {
    "hidden reference": r"(hidden)?ref(erence)?",
    "low anchor": r"anchor|low(range)?anchor|anchorlow|(anchor|lp|lowpass)(35(k(hz)?)?|3500(hz)?)",
    "mid anchor": r"mid(dle|range)?anchor|anchormid(dle)?|(anchor|lp|lowpass)(7k(hz)?|70(k(hz)?)?|7000(hz)?)",
}


@dataclass(frozen=True)
class Ratings:
    """All ratings of one test.

    Args:
        frame: one row per rating: listener, item, condition (text), score (float, 0 to 100), and where known category,
            comment (text), seconds (float; how long the listener spent on the trial). Each listener rates an item in a
            condition once.
        roles: condition -> role, for every condition of `frame`.
        source: the study or file, for titles.
        notes: what was guessed, repaired or left out, a sentence each.
        metrics: for a study that was cut from a run, its objective scores: item, condition, metric, value.
        checks: what listeners made of checks of attention and headphones, see `mushra_app.database.attention.checks`.
        answers: to questionnaires: listener, question, answer (text).
        excluded: listener -> why the experimenter or a page of the session excluded this listener, whom no rule can
            bring back.
    """

    frame: pd.DataFrame
    roles: Mapping[str, Role]
    source: str
    notes: tuple[str, ...] = ()
    metrics: pd.DataFrame | None = None
    checks: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)

    def with_role(self, role: Role) -> pd.DataFrame:
        """The ratings of the conditions that have this role."""
        return self.frame[self.frame["condition"].isin([name for name, its in self.roles.items() if its == role])]


def excluded_by_hand(frame: pd.DataFrame) -> dict[str, str]:
    """Listener -> reason, from a table of ratings with a column excluded, as our own studies export it.

    What the rule excluded while the study ran (excluded_by "screening") does not count: a report judges by its own.
    """
    if "excluded" not in frame:
        return {}
    ours = frame["excluded"] != ""
    if "excluded_by" in frame:
        ours &= frame["excluded_by"] != "screening"
    return dict(zip(frame["listener"][ours], frame["excluded"][ours], strict=True))


def assign_roles(
    conditions: Iterable[str], named: Mapping[Role, str | None], source: str
) -> tuple[dict[str, Role], tuple[str, ...]]:
    """Say which condition is the hidden reference and which are the anchors: as named, else by their usual names.

    Args:
        named: role -> the condition that the user says it is, or None.

    Returns:
        condition -> role, and a note for each role.

    Raises:
        UserError: a named condition does not exist, or is named for two roles.
    """
    conditions = sorted(conditions)
    roles: dict[str, Role] = dict.fromkeys(conditions, "system")
    for role in SPECIAL_ROLES:
        name = named.get(role)
        if name is None:
            continue
        if name not in roles:
            raise UserError(f"{OPTIONS[role]} {name}: {source} has no such condition; it has {', '.join(conditions)}")
        if roles[name] != "system":
            raise UserError(f"{OPTIONS[role]} {name}: named as the {roles[name]} too; a condition has one role")
        roles[name] = role
    notes = []
    for role in SPECIAL_ROLES:
        option = OPTIONS[role]
        if named.get(role) is not None:
            notes.append(f"The {role} is “{named[role]}”, as told by {option}.")
            continue
        usual = [name for name in conditions if roles[name] == "system" and _looks_like(role, name)]
        if len(usual) == 1:
            roles[usual[0]] = role
            notes.append(f"The {role} is taken to be “{usual[0]}”, because of its name ({option} NAME changes that).")
        elif usual:
            several = ", ".join(f"“{name}”" for name in usual)
            notes.append(f"No {role}: {several} each look like one ({option} NAME says which it is).")
        else:
            notes.append(f"No {role}: no condition is called like one ({option} NAME says which it is).")
    return roles, tuple(notes)


def _looks_like(role: Role, name: str) -> bool:
    return re.fullmatch(USUAL_NAMES[role], re.sub(r"[^a-z0-9]", "", name.lower())) is not None
