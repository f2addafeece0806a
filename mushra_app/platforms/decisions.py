"""Approving and rejecting submissions: each once, whatever interrupts it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from earmark.codec.errors import UserError
from earmark.codec.progress import progress
from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.platforms.api import Platform, Report
from earmark.mushra_app.platforms.requests import ApiError
from earmark.mushra_app.platforms.review import Reviewed

Action = Literal["approve", "reject"]
RESULT: Mapping[Action, str] = {"approve": "approved", "reject": "rejected"}
OPPOSITE: Mapping[Action, Action] = {"approve": "reject", "reject": "approve"}


def chosen(reviewed: Sequence[Reviewed], names: Sequence[str]) -> list[Reviewed]:
    """The submissions that were named by their id, participant or listener.

    Raises:
        UserError: there is no such submission, or a participant has several.
    """
    found = []
    for name in dict.fromkeys(names):
        those = [one for one in reviewed if name in (one.submission.id, one.submission.participant, one.listener)]
        if len(those) != 1:
            what = f"names {len(those)} submissions; give the id of one" if those else "there is no such submission"
            raise UserError(f"{name}: {what}; `earmark study submissions` lists them")
        found += those
    return list(dict.fromkeys(found))


def open_cases(
    reviewed: Sequence[Reviewed], action: Action, journal: Journal, report: Report
) -> tuple[list[Reviewed], int]:  # fmt: skip
    """Those that wait for the decision, and how many cannot get it; prints a line on each of these.

    Those that have it already are left out silently.
    """
    contrary = journal.entries(f"{OPPOSITE[action]} ")
    waiting, refused = [], 0
    for one in reviewed:
        state = one.submission.state
        if state == RESULT[action]:
            continue
        if state != "waiting":
            report(f"{one.title}: cannot be {RESULT[action]}: its status is {one.submission.status}")
            refused += 1
        elif f"{OPPOSITE[action]} {one.submission.id}" in contrary:
            report(f"{one.title}: an earlier command sent that it is {RESULT[OPPOSITE[action]]}; not {RESULT[action]}")
            refused += 1
        else:
            waiting.append(one)
    return waiting, refused


def settle(reviewed: Sequence[Reviewed], action: Action, journal: Journal) -> None:
    """Record decisions that the platform shows and whose answer an earlier command did not live to see."""
    begun = {key for key, entry in journal.entries(f"{action} ").items() if entry.done is None}
    shown = {f"{action} {one.submission.id}" for one in reviewed if one.submission.state == RESULT[action]}
    if begun & shown:
        journal.finish(begun & shown)


def decide(
    cases: Sequence[Reviewed], action: Action, send: Callable[[str], None], journal: Journal, report: Report
) -> int:  # fmt: skip
    """Send the decision for each; those that fail are reported in a line, and the others go on.

    Args:
        send: sends it for a submission.

    Returns:
        Number that were sent.
    """
    problems = []
    try:
        with progress(action, len(cases)) as advance:
            for one in cases:
                key = f"{action} {one.submission.id}"
                journal.begin({key: {"listener": one.listener}})
                try:
                    send(one.submission.id)
                except ApiError as error:
                    if error.no_effect:
                        journal.withdraw([key])
                    problems.append(f"{one.title}: not {RESULT[action]}: {error}")
                else:
                    journal.finish([key])
                advance(one.listener)
    finally:
        for problem in problems:  # below the bar
            report(problem)
    return len(cases) - len(problems)


def check_reason(platform: Platform, reason: str, category: str | None) -> str:
    """Check the reason for a rejection by the platform's rules; returns the category.

    Raises:
        UserError: the reason is too short or too long, or there is no such category.
    """
    length = len(reason.strip())
    if not platform.shortest_reason <= length <= platform.longest_reason:
        limit = f"{platform.shortest_reason} to {platform.longest_reason} characters"
        raise UserError(f"--reason: {platform.title} asks for {limit}; these are {length}")
    if category is None:
        return platform.categories[0] if platform.categories else ""
    if category not in platform.categories:
        there = f"there are {', '.join(platform.categories)}" if platform.categories else "leave it out"
        raise UserError(f"--category {category}: {platform.title} has no such category; {there}")
    return category
