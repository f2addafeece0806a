"""The admin page's view of a running study: progress, means, and the steps at which listeners stopped.

The database counts and sums (database/tallies.py): the page must answer while thousands of sessions are abandoned.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock, leases, tallies
from earmark.mushra_app.database.refusals import Status
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web.listener_rows import ListenerPage, listener_page

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
        idle: listeners who hold places and have stored no trial.
        minutes: median length of a finished session; None before there is one.
    """

    status: Status
    needed: int
    valid: int
    states: dict[str, int]
    excluded: int
    idle: int
    minutes: float | None
    conditions: Sequence[ConditionRow]
    items: Sequence[ItemRow]
    listeners: ListenerPage
    steps: Sequence[StepRow]

    @property
    def missing(self) -> int:
        """Ratings of items that are still missing."""
        return self.needed - self.valid


def overview(store: Store, group: str = "all", number: int = 1) -> Overview:
    """Screen the sessions that have ended, then collect the view.

    Args:
        group, number: which listeners to show; see listener_rows.listener_page.
    """
    store.screen_ended_sessions()
    study = store.study
    with store.reading() as session:
        now = clock.now(session)
        valid, leased = leases.valid_ratings(session), leases.leased_ratings(session, now)
        sizes = tallies.sizes(session, now)
        trials, scores = tallies.scores(session, [condition.name for condition in study.conditions])
        took = tallies.session_seconds(session)
        return Overview(
            status=store.admission(session, now)[0],
            needed=study.annotations * len(study.items),
            valid=sum(min(count, study.annotations) for count in valid.values()),
            states=tallies.states(session, now),
            excluded=sizes["excluded"],
            idle=sizes["idle"],
            minutes=median(took) / 60 if took else None,
            conditions=_conditions(study, trials, scores),
            items=_items(study, trials, scores, valid, leased),
            listeners=listener_page(store, session, sizes, group, number),
            steps=_steps(session, now),
        )


def _conditions(study: Study, trials: Sequence[Any], scores: NDArray[np.float64]) -> list[ConditionRow]:
    """Conditions with their means, best first.

    Args:
        trials, scores: from tallies.scores.
    """
    # Imported late: SciPy loads slowly, and a server that was killed must be back soon.
    from earmark.mushra_app.analysis.intervals import expanded_percentiles

    totals, counts = _by_group([trial.listener_id for trial in trials], scores)
    n = counts.sum(axis=0)
    low, high = np.full(len(n), np.nan), np.full(len(n), np.nan)
    if len(trials):
        low, high = expanded_percentiles(totals, counts, LIVE_REPLICATES)
    rows = [
        ConditionRow(
            condition.name, condition.role, int(n[k]), float(totals[:, k].sum() / n[k]) if n[k] else None,
            _number(low[k]), _number(high[k]),
        )
        for k, condition in enumerate(study.conditions)
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -1 if row.mean is None else row.mean, reverse=True)


def _by_group(names: Sequence[Any], scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and numbers of the scores in each group of trials, [groups, conditions], in order of the groups' names.

    Args:
        names: group of each trial.
        scores: [trials, conditions], NaN for none.
    """
    groups, group = np.unique(np.array(names, dtype=object), return_inverse=True)
    sums, counts = (np.zeros((len(groups), scores.shape[1])) for _ in range(2))
    np.add.at(sums, group, np.nan_to_num(scores))
    np.add.at(counts, group, ~np.isnan(scores))
    return sums, counts


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _items(
    study: Study, trials: Sequence[Any], scores: NDArray[np.float64], valid: Mapping[str, int],
    leased: Mapping[str, int],
) -> list[ItemRow]:  # fmt: skip
    spent: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        spent[trial.item].append(trial.seconds or 0.0)
    sums, counts = _by_group([trial.item for trial in trials], scores)
    rated = {
        item: {
            condition.name: total / count
            for condition, total, count in zip(study.conditions, sums[k].tolist(), counts[k].tolist(), strict=True)
            if count
        }
        for k, item in enumerate(sorted(spent))
    }
    return [
        ItemRow(
            item.id, item.category, valid.get(item.id, 0), leased.get(item.id, 0),
            median(spent[item.id]) if item.id in spent else None, rated.get(item.id, {}),
        )
        for item in study.items
    ]  # fmt: skip


def _steps(session: Session, now: float) -> list[StepRow]:
    """Steps by name, ordered by mean position, since sessions differ in length and in the positions of checks.

    A step is named by its number among those of its type, as "trial 2". A repeated trial counts as a trial, as it does
    for the listener. Other types are numbered from the second.
    """
    reached: Counter[tuple[str, int]] = Counter()
    positions: Counter[tuple[str, int]] = Counter()
    stopped: Counter[tuple[str, int]] = Counter()
    seconds: dict[tuple[str, int], list[float]] = defaultdict(list)
    last: dict[int, tuple[str, int]] = {}
    listener, numbers = None, dict[str, int]()
    for of, position, kind, spent in tallies.steps_done(session):
        if of != listener:
            listener, numbers = of, {}
        numbers[kind] = numbers.get(kind, 0) + 1
        name = last[of] = kind, numbers[kind]
        reached[name] += 1
        positions[name] += position
        if spent is not None:
            seconds[name].append(spent)
    for step in tallies.steps_open(session, now):
        name = step.kind, step.number
        reached[name] += step.count
        positions[name] += step.position * step.count
        stopped[name] += step.count if step.stopped else 0
    stopped.update(last[one] for one in tallies.turned_away(session) if one in last)
    return [
        StepRow(
            f"{kind} {number}" if kind == "trial" or number > 1 else kind, reached[kind, number],
            stopped[kind, number], median(seconds[kind, number]) if seconds[kind, number] else None,
        )
        for kind, number in sorted(reached, key=lambda name: positions[name] / reached[name])
    ]  # fmt: skip
