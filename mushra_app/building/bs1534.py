"""Recommendation ITU-R BS.1534-3 (10/2015), point by point: what a study keeps, and what is left to who runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from earmark.codec.text import counted
from earmark.mushra_app.building.preflight import LONGEST_SESSION, MOST_CONDITIONS, Preflight
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.pages import Headphones, Training
from earmark.mushra_app.study.study import Role, Study

LONGEST_ITEM = 12.0  # seconds
FEWEST_ITEMS, ITEMS_PER_SYSTEM = 5, 1.5
PANEL = 20


@dataclass(frozen=True)
class Point:
    """One thing that the Recommendation asks for.

    Args:
        clause: of its Annex 1.
        kept: "yes", "no" (the study departs from it, which its report should say), or "yours" (no program can see to
            it).
    """

    clause: str
    asks: str
    kept: Literal["yes", "no", "yours"]
    evidence: str


def points(study: Study, preflight: Preflight) -> list[Point]:
    """How the study stands to each of them.

    Args:
        preflight: of this study.
    """
    found = {finding.check: finding for finding in preflight.findings}
    systems = sum(condition.role == "system" for condition in study.conditions)
    wanted = max(FEWEST_ITEMS, math.ceil(ITEMS_PER_SYSTEM * systems))
    longest = max((item.seconds for item in study.items), default=0.0)
    judging: tuple[Role, ...] = ("hidden reference", "mid anchor")
    unjudged = [role for role in judging if study.condition(role) is None]
    minutes = session_minutes(study)
    training = sum(isinstance(page, Training) for page in study.pages)
    check = next((page for page in study.pages if isinstance(page, Headphones)), None)
    return [
        Point("4.1", "assessors with experience in listening critically", "yours",
              "a crowd has less of it; screening makes up for some"),
        _point("4.1.2", "post-screening by hidden reference and mid anchor", not unjudged,
               f"no condition is the {' or the '.join(unjudged)}" if unjudged else
               "earmark study report --screen bs1534"),
        _point("4.2", f"a panel of about {PANEL} assessors", study.annotations >= PANEL,
               f"every item gets {counted(study.annotations, 'rating')} or more"),
        _has(study, "5.1", "a hidden reference", "hidden reference"),
        _has(study, "5.1", "a low anchor, 3.5 kHz low-pass", "low anchor"),
        _has(study, "5.1", "a mid anchor, 7 kHz low-pass", "mid anchor"),
        _point("5.2", "training with all signals before the test", training > 0,
               counted(training, "practice trial") if training else "no practice trial; session.toml asks for some by "
               "`training`"),
        _point("5.3", f"no more than {MOST_CONDITIONS} signals in a trial", len(study.conditions) <= MOST_CONDITIONS,
               f"{len(study.conditions)}"),
        Point("5.3", "switching at will, in time with each other, with 5 ms fades", "yes", "the player does"),
        Point("5.3", "items and signals in random order for every listener", "yes", "the server sees to it"),
        _point("5.3", f"sessions of {LONGEST_SESSION} minutes at most", minutes <= LONGEST_SESSION,
               f"about {minutes:.0f}"),
        Point("5.4", "the continuous scale of five bands, 0 to 100", "yes", "every trial shows it"),
        _point("7", f"items of about 10 s, not over {LONGEST_ITEM:g} s", longest <= LONGEST_ITEM,
               f"the longest has {longest:.1f} s"),
        _point("7", f"at least {FEWEST_ITEMS} items and {ITEMS_PER_SYSTEM} times as many as systems",
               len(study.items) >= wanted, f"{counted(len(study.items), 'item')}, {counted(systems, 'system')}"),
        Point("7", "material that brings out the weaknesses of the systems", "yours", "excerpts are chosen at random"),
        Point("8", "headphones or loudspeakers of quality, one kind in a test", "yours",
              _headphones(check)),
        _point("8", "signals of an item equally loud", found["loudness"].status == "ok", found["loudness"].evidence),
    ]  # fmt: skip


def _headphones(check: Headphones | None) -> str:
    if check is None:
        return "say so in the instructions, and ask; `headphone_check` in session.toml finds loudspeakers"
    return f"the headphone check {'turns away' if check.turn_away else 'flags'} who wears none; say which in the text"


def _point(clause: str, asks: str, kept: bool, evidence: str) -> Point:
    return Point(clause, asks, "yes" if kept else "no", evidence)


def _has(study: Study, clause: str, asks: str, role: Role) -> Point:
    condition = study.condition(role)
    return _point(clause, asks, condition is not None, condition.name if condition else f"no condition is the {role}")
