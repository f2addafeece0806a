"""Recommendation ITU-R BS.1534-3 (10/2015), point by point: which points a study meets, and which nobody can check.

The Recommendation states no longest session; that of `preflight` is Earmark's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from earmark.codec.text import counted
from earmark.mushra_app.building.preflight import MOST_CONDITIONS, Preflight
from earmark.mushra_app.study.duration import session_minutes
from earmark.mushra_app.study.pages import Headphones, Training
from earmark.mushra_app.study.study import Role, Study

LONGEST_ITEM = 12.0  # seconds
FEWEST_ITEMS, ITEMS_PER_SYSTEM = 5, 1.5
PANEL = 20


@dataclass(frozen=True)
class Point:
    """One requirement of the Recommendation.

    Args:
        clause: clause of its Annex 1.
        requirement: what it asks for, in a few words.
        met: "yes", "no" (the study departs from it, which its report should mention) or "experimenter" (up to the
            experimenter: no program can check it).
        evidence: why.
    """

    clause: str
    requirement: str
    met: Literal["yes", "no", "experimenter"]
    evidence: str


def points(study: Study, preflight: Preflight) -> list[Point]:
    """Check the study against every point, in the order of the clauses.

    Args:
        preflight: result of `check_study` for this study.
    """
    return [*_design_points(study), *_panel_points(study), *_trial_points(study), *_material_points(study, preflight)]


def _design_points(study: Study) -> list[Point]:
    """Clause 3: order and effort."""
    return [
        Point("3", "items and signals in random order for every listener", "yes", "done by the server"),
        Point("3", "listeners not overloaded", "experimenter",
              f"a session takes about {counted(session_minutes(study), 'minute')}"),
    ]  # fmt: skip


def _panel_points(study: Study) -> list[Point]:
    """Clause 4: who listens, and whose ratings count."""
    judging: tuple[Role, ...] = ("hidden reference", "mid anchor")
    missing = [role for role in judging if study.condition(role) is None]
    return [
        Point("4.1", "assessors with experience in critical listening", "experimenter",
              "a crowd has less of it; screening compensates in part"),
        _point("4.1.2", "post-screening by hidden reference and mid anchor", not missing,
               f"no condition is the {' or the '.join(missing)}" if missing else
               "earmark study report --screen bs1534"),
        _point("4.2", f"about {PANEL} assessors, more where conditions are not controlled", study.annotations >= PANEL,
               f"every item gets at least {counted(study.annotations, 'rating')}"),
    ]  # fmt: skip


def _trial_points(study: Study) -> list[Point]:
    """Clause 5: conditions, training, and how a trial works."""
    longest = max((item.seconds for item in study.items), default=0.0)
    training = sum(isinstance(page, Training) for page in study.pages)
    most = max((len(study.conditions_of(item)) for item in study.items), default=0)
    return [
        _has(study, "5.1", "a hidden reference", "hidden reference"),
        _has(study, "5.1", "a low anchor, 3.5 kHz low-pass", "low anchor"),
        _has(study, "5.1", "a mid anchor, 7 kHz low-pass", "mid anchor"),
        _point("5.1", f"items of about 10 s, not over {LONGEST_ITEM:g} s", longest <= LONGEST_ITEM,
               f"the longest has {longest:.1f} s"),
        _point("5.2", "training with all signals before the test", training > 0,
               counted(training, "practice trial") if training else "no practice trial; add some by `training` in "
               "session.toml"),
        _point("5.3", f"no more than {MOST_CONDITIONS} signals in a trial", most <= MOST_CONDITIONS, f"{most}"),
        Point("5.3", "switching at will between synchronised signals, with 5 ms fades", "yes", "done by the player"),
        Point("5.4", "the continuous scale of five bands, 0 to 100", "yes", "shown in every trial"),
    ]  # fmt: skip


def _material_points(study: Study, preflight: Preflight) -> list[Point]:
    """Clauses 7 and 8: items, playback and levels."""
    systems = sum(condition.role == "system" for condition in study.conditions)
    wanted = max(FEWEST_ITEMS, math.ceil(ITEMS_PER_SYSTEM * systems))
    check = next((page for page in study.pages if isinstance(page, Headphones)), None)
    (loudness,) = (finding for finding in preflight.findings if finding.check == "loudness")
    return [
        _point("7.1", f"at least {FEWEST_ITEMS} items and {ITEMS_PER_SYSTEM} times as many as systems",
               len(study.items) >= wanted, f"{counted(len(study.items), 'item')}, {counted(systems, 'system')}"),
        Point("7.1", "critical material, which reveals the weaknesses of the systems", "experimenter",
              "excerpts are chosen at random" if "run" in study.provenance else "the items are the author's choice"),
        _point("7.1", "loudness aligned, so that one gain serves a trial", loudness.status == "ok", loudness.evidence),
        Point("8", "headphones or loudspeakers, the same type for all", "experimenter", _headphones(check)),
    ]  # fmt: skip


def _headphones(check: Headphones | None) -> str:
    if check is None:
        return "ask for them in the instructions; `headphone_check` in session.toml detects loudspeakers"
    action = "turns away" if check.turn_away else "flags"
    return f"the headphone check {action} listeners without headphones; name the type in the instructions"


def _point(clause: str, requirement: str, met: bool, evidence: str) -> Point:
    return Point(clause, requirement, "yes" if met else "no", evidence)


def _has(study: Study, clause: str, requirement: str, role: Role) -> Point:
    condition = study.condition(role)
    return _point(
        clause, requirement, condition is not None, condition.name if condition else f"no condition is the {role}"
    )
