"""The server's record of a session: when it sent a trial page, which audio was fetched, when the ratings came.

The browser's own figure for the time on a page is stored, and never believed alone. A session is implausible if its
trials together took less time than their sounds last, each heard once; if audio was rated that was never fetched; or if
the browser claims more time than passed. Trials that an earlier version served have no times, and those stored before
they were served saw the clock set back; both are not judged.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from earmark.codec.text import counted
from earmark.mushra_app.database.tables import Listener, Stimulus, Trial
from earmark.mushra_app.study.study import Study

CHECK = "timing"
SLACK_SECONDS = 2.0  # the page counts from before it is shown


@dataclass
class _Seen:
    """Sums over the trials of one listener."""

    trials: int = 0
    seconds: float = 0.0
    audio: float = 0.0
    claimed: float = 0.0
    contradictions: int = 0
    unheard: int = 0


def implausible(session: Session, study: Study, ids: Collection[int] | None = None) -> dict[str, str]:
    """Evidence for each listener whose session contradicts what the server saw, by label.

    Args:
        ids: listeners to look at; default: all.
    """
    if ids is not None and not ids:
        return {}
    unheard = (
        select(func.count()).where(Stimulus.trial_id == Trial.id, Stimulus.fetched.is_(None)).scalar_subquery()
    )  # fmt: skip
    query = (
        select(Listener.label, Trial.item, Trial.served, Trial.submitted, Trial.seconds, unheard)
        .join(Listener, Listener.id == Trial.listener_id)
        .where(Trial.purpose.in_(["rating", "repeat"]), Trial.submitted >= Trial.served)
    )  # fmt: skip
    if ids is not None:
        query = query.where(Listener.id.in_(ids))
    lengths = {item.id: item.seconds * (len(study.conditions_of(item)) + 1) for item in study.items}
    seen: dict[str, _Seen] = defaultdict(_Seen)
    for label, item, served, submitted, claimed, silent in session.execute(query):
        one, took = seen[label], submitted - served
        one.trials += 1
        one.seconds += took
        one.audio += lengths.get(item, 0.0)
        one.unheard += silent
        if (claimed or 0.0) > took + SLACK_SECONDS:
            one.contradictions += 1
            one.claimed += claimed
    evidence = {label: _evidence(one) for label, one in seen.items()}
    return {label: text for label, text in evidence.items() if text}


def _evidence(seen: _Seen) -> str:
    signs = []
    if seen.seconds < seen.audio:
        signs.append(f"{counted(seen.trials, 'trial')} took {seen.seconds:.1f} s, the sounds last {seen.audio:.1f} s")
    if seen.unheard:
        signs.append(f"rated without fetching {counted(seen.unheard, 'sound')}")
    if seen.contradictions:
        signs.append(f"claims {seen.claimed:.0f} s on {counted(seen.contradictions, 'trial')}, more than passed")
    return ", ".join(signs)


def with_timing(checks: pd.DataFrame, session: Session, study: Study, labels: Collection[str]) -> pd.DataFrame:
    """Add a failed check "timing" for each listener with an implausible session to a table of `attention.checks`."""
    found = {label: text for label, text in implausible(session, study).items() if label in labels}
    if not found:
        return checks
    rows = [{"listener": label, "check": CHECK, "passed": False, "evidence": text} for label, text in found.items()]
    return pd.concat([checks, pd.DataFrame(rows)], ignore_index=True).astype({"passed": bool})
