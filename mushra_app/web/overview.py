"""The admin page's view of a running study: progress, means, listeners, and where they stopped."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import pandas as pd
from sqlalchemy import select
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock, leases
from earmark.mushra_app.database.collected import as_ratings
from earmark.mushra_app.database.refusals import Status
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener, Step, Trial
from earmark.mushra_app.database.timing import implausible
from earmark.mushra_app.ratings.screening import screen

MOST_SHOWN = 300  # listeners on the page; listeners.csv has all

LIVE_REPLICATES = 500  # of the bootstrap: the page is rendered often, and the report has all


@dataclass(frozen=True)
class ItemRow:
    """An item.

    Args:
        valid: ratings that count.
        leased: ratings reserved for listeners at work.
        seconds: median per trial; None if there are none.
        means: mean score by condition.
    """

    id: str
    category: str
    valid: int
    leased: int
    seconds: float | None
    means: dict[str, float]


@dataclass(frozen=True)
class ConditionRow:
    """A condition: its role, number of ratings that count, their mean and its 95 % interval for
    these items (bootstrap of listeners).

    The mean is None without ratings, the interval below two listeners.
    """

    name: str
    role: str
    n: int
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ListenerRow:
    """A listener.

    Args:
        state: "at work", "gone" (the leases ran out), "finished", "left", "turned away" or "not begun" (others took all
            places before the first trial).
        done: rated trials.
        trials: trials to rate.
        seconds: median per trial.
        evidence: what the screening rule looked at.
        flags: signs of a script or of another person's id, separated by "; ".
    """

    listener: Listener
    state: str
    done: int
    trials: int
    seconds: float | None
    evidence: str
    flags: str = ""

    @property
    def has_places(self) -> bool:
        """Whether trials are reserved for this listener."""
        one = self.listener
        return self.state == "at work" and one.begun is not None and one.excluded == "" and self.done < self.trials


@dataclass(frozen=True)
class StepRow:
    """A step of the session: how many listeners reached it, and how many of them stopped there for good."""

    name: str
    reached: int
    stopped: int
    seconds: float | None


@dataclass(frozen=True)
class Overview:
    """The whole view.

    Args:
        needed: ratings of items, not of conditions.
        valid: those that count.
        states: number of listeners by state.
        minutes: median length of a finished session; None before there is one.
    """

    status: Status
    needed: int
    valid: int
    states: dict[str, int]
    excluded: int
    minutes: float | None
    conditions: Sequence[ConditionRow]
    items: Sequence[ItemRow]
    listeners: Sequence[ListenerRow]
    steps: Sequence[StepRow]

    @property
    def missing(self) -> int:
        """Ratings of items that are still missing."""
        return self.needed - self.valid

    @property
    def shown(self) -> Sequence[ListenerRow]:
        """Listeners that the page lists: all, or in a crowd the newest of those who hold places or have rated."""
        if len(self.listeners) <= MOST_SHOWN:
            return self.listeners
        return [row for row in self.listeners if row.has_places or row.done][-MOST_SHOWN:]

    @property
    def idle(self) -> int:
        """Listeners who hold places and have stored no trial."""
        return sum(row.has_places and row.done == 0 for row in self.listeners)


def overview(store: Store) -> Overview:
    """Screen the sessions that have ended, then collect the view."""
    store.screen_ended_sessions()
    study = store.study
    with store.reading() as session:
        now = clock.now(session)
        listeners = session.scalars(select(Listener).order_by(Listener.id)).all()
        steps = _by_listener(session, Step.id, Step.position, Step.type, Step.done, Step.trial_id, of=Step)
        trials = _by_listener(session, Trial.id, Trial.purpose, Trial.seconds, of=Trial)
        valid, taken = leases.valid_ratings(session), leases.ratings_and_leases(session, now)
    frame = store.ratings()
    counting = frame[frame["excluded"] == ""]
    rows = _listeners(store, listeners, trials, frame, now)
    took = [_minutes(listener, steps[listener.id]) for listener in listeners if listener.state == "finished"]
    return Overview(
        status=store.status(),
        needed=study.annotations * len(study.items),
        valid=sum(min(count, study.annotations) for count in valid.values()),
        states=dict(Counter(row.state for row in rows)),
        excluded=sum(listener.excluded != "" for listener in listeners),
        minutes=median(took) if took else None,
        conditions=_conditions(store, counting),
        items=_items(store, counting, valid, taken),
        listeners=rows,
        steps=_steps(rows, steps, trials),
    )


def _by_listener(session: Session, *columns: Any, of: type[Step] | type[Trial]) -> Mapping[int, Sequence[Any]]:
    """Rows of a table by listener, in order of position. Whole objects would take ten times as long for a crowd."""
    found: dict[int, list[Any]] = defaultdict(list)
    for row in session.execute(select(of.listener_id, *columns).order_by(of.listener_id, of.position)):
        found[row.listener_id].append(row)
    return found


def _minutes(listener: Listener, steps: Sequence[Any]) -> float:
    ends = [step.done for step in steps if step.done is not None]
    return max(0.0, max(ends, default=listener.started) - listener.started) / 60


def _conditions(store: Store, frame: pd.DataFrame) -> list[ConditionRow]:
    # Imported late: SciPy loads slowly, and a server that was killed must be back soon.
    from earmark.mushra_app.analysis.intervals import cluster_bootstrap
    from earmark.mushra_app.ratings.statistics import summarise

    summary = pd.DataFrame()
    if len(frame):
        ratings = frame[["listener", "item", "condition", "score"]]
        intervals = cluster_bootstrap(ratings, replicates=LIVE_REPLICATES)
        summary = summarise(ratings).merge(intervals, on=["condition", "category"])
    means: dict[str, Any] = {row["condition"]: row for row in summary.to_dict("records")}
    rows = []
    for condition in store.study.conditions:
        row = means.get(condition.name)
        if row is None:
            rows.append(ConditionRow(condition.name, condition.role, 0, None, None, None))
            continue
        low, high = (None if math.isnan(row[end]) else row[end] for end in ("boot95_low", "boot95_high"))
        rows.append(ConditionRow(condition.name, condition.role, row["n"], row["mean"], low, high))
    return sorted(rows, key=lambda row: -1 if row.mean is None else row.mean, reverse=True)


def _items(store: Store, frame: pd.DataFrame, valid: dict[str, int], taken: dict[str, int]) -> list[ItemRow]:
    means: dict[str, dict[str, float]] = defaultdict(dict)
    for item, condition, score in frame.groupby(["item", "condition"])["score"].mean().reset_index().to_numpy():
        means[item][condition] = score
    seconds = frame.groupby("item")["seconds"].median()
    return [
        ItemRow(
            item.id, item.category, valid.get(item.id, 0), taken.get(item.id, 0) - valid.get(item.id, 0),
            float(seconds[item.id]) if item.id in seconds.index else None,
            means.get(item.id, {}),
        )
        for item in store.study.items
    ]  # fmt: skip


def _listeners(
    store: Store, listeners: Sequence[Listener], trials: Mapping[int, Sequence[Any]], frame: pd.DataFrame, now: float
) -> list[ListenerRow]:
    rule = "paper" if store.rule == "none" else store.rule
    evidence = {}
    if len(frame):
        with store.reading() as session:
            ratings = as_ratings(session, store.study, frame)
        judged = screen(ratings, rule).listeners
        evidence = dict(zip(judged["listener"], judged["evidence"], strict=True))
    with store.reading() as session:
        flags = implausible(session, store.study)
    for label, text in _shared_ids(listeners).items():
        flags[label] = "; ".join(filter(None, [flags.get(label, ""), text]))
    rows = []
    for listener in listeners:
        rated = [trial for trial in trials[listener.id] if trial.purpose == "rating"]
        spent = [trial.seconds for trial in rated if trial.seconds is not None]
        at_work = "at work" if leases.holds(listener, now) else "gone"
        rows.append(ListenerRow(
            listener, at_work if listener.state == "active" else listener.state, len(spent),
            len(rated), median(spent) if spent else None, evidence.get(listener.label, ""),
            flags.get(listener.label, ""),
        ))  # fmt: skip
    return rows


def _shared_ids(listeners: Sequence[Listener]) -> dict[str, str]:
    """A note for each listener whose platform id began other sessions too, by label."""
    sessions: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in listeners:
        if one.person is not None:
            sessions[one.source, one.person].append(one.label)
    return {
        label: f"the same id as {', '.join(other for other in labels if other != label)}"
        for labels in sessions.values() if len(labels) > 1
        for label in labels
    }  # fmt: skip


def _steps(
    rows: Sequence[ListenerRow], steps: Mapping[int, Sequence[Any]], trials: Mapping[int, Sequence[Any]]
) -> list[StepRow]:
    """Steps by name, ordered by mean position, since sessions differ in length and in the positions of checks."""
    positions: dict[str, list[int]] = defaultdict(list)
    stopped: Counter[str] = Counter()
    seconds: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        own = steps[row.listener.id]
        spent = {trial.id: trial.seconds for trial in trials[row.listener.id]}
        names = _names(own)
        done = [step for step in own if step.done is not None]
        current = None if row.state == "turned away" else next((step for step in own if step.done is None), None)
        for step in [*done, *([] if current is None else [current])]:
            positions[names[step.id]].append(step.position)
            if step.trial_id is not None and spent[step.trial_id] is not None:
                seconds[names[step.id]].append(spent[step.trial_id])
        if row.state in ("gone", "left") and current is not None:
            stopped[names[current.id]] += 1
        elif row.state == "turned away" and done:
            stopped[names[done[-1].id]] += 1
    return [
        StepRow(name, len(positions[name]), stopped[name], median(seconds[name]) if seconds[name] else None)
        for name in sorted(positions, key=lambda name: fmean(positions[name]))
    ]


def _names(steps: Sequence[Any]) -> dict[int, str]:
    """Name of each step, by id: "trial 2" as listeners see trials numbered; other types are numbered from the second.

    A repeated trial counts as a trial, as it does for the listener.
    """
    count: Counter[str] = Counter()
    names = {}
    for step in steps:
        name = "trial" if step.type == "repeat" else step.type
        count[name] += 1
        names[step.id] = f"{name} {count[name]}" if name == "trial" or count[name] > 1 else name
    return names
