"""The listeners of a study as the experimenter sees them: a page of the table at a time, or all for the download."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sqlalchemy import select
from sqlalchemy.orm import Session

from earmark.mushra_app.database import clock, leases, tallies
from earmark.mushra_app.database.screened import evidence_and_reasons
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Listener, Trial
from earmark.mushra_app.database.timing import implausible

PAGE_LENGTH = 50
MOST_NAMED = 3  # sessions that a note about a shared id names


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
class ListenerPage:
    """A part of the table of listeners.

    Args:
        group: name of the group that is shown; one of tallies.groups.
        number: of the page, from 1.
        pages: number of pages.
        sizes: number of listeners by group.
    """

    group: str
    number: int
    pages: int
    sizes: Mapping[str, int]
    rows: Sequence[ListenerRow]


def listener_page(store: Store, session: Session, sizes: Mapping[str, int], group: str, number: int) -> ListenerPage:
    """One page of a group of listeners, the newest first; the nearest page if there is none of this number.

    Args:
        sizes: from tallies.sizes.
    """
    now = clock.now(session)
    wanted = tallies.groups(now)
    group = group if group in wanted else "all"
    pages = max(1, -(-sizes[group] // PAGE_LENGTH))
    number = min(max(number, 1), pages)
    found = session.scalars(
        select(Listener).where(wanted[group]).order_by(Listener.id.desc())
        .offset(PAGE_LENGTH * (number - 1)).limit(PAGE_LENGTH)
    ).all()  # fmt: skip
    shown = {name: sizes[name] for name in wanted}
    return ListenerPage(group, number, pages, shown, _rows(store, session, found, now, ids=[one.id for one in found]))


def all_listeners(store: Store) -> list[ListenerRow]:
    """All listeners, in order of arrival."""
    store.screen_ended_sessions()
    with store.reading() as session:
        return _rows(store, session, session.scalars(select(Listener).order_by(Listener.id)).all(), clock.now(session))


def _rows(
    store: Store, session: Session, listeners: Sequence[Listener], now: float, ids: Sequence[int] | None = None
) -> list[ListenerRow]:
    """Rows of `listeners`, which are all of the study unless `ids` gives theirs."""
    rule = "paper" if store.rule == "none" else store.rule
    evidence, _ = evidence_and_reasons(session, store.study, rule, ids)
    flags, trials = _flags(store, session, listeners, ids), _trials(session, ids)
    rows = []
    for one in listeners:
        spent = [seconds for seconds in trials[one.id] if seconds is not None]
        active = "at work" if leases.holds(one, now) else "gone"
        rows.append(ListenerRow(
            one, active if one.state == "active" else one.state, len(spent), len(trials[one.id]),
            median(spent) if spent else None, evidence.get(one.label, ""), flags.get(one.id, ""),
        ))  # fmt: skip
    return rows


def _trials(session: Session, ids: Sequence[int] | None) -> Mapping[int, Sequence[float | None]]:
    """Seconds of each trial to rate, by listener."""
    query = select(Trial.listener_id, Trial.seconds).where(Trial.purpose == "rating")
    found: dict[int, list[float | None]] = defaultdict(list)
    for listener, seconds in session.execute(query if ids is None else query.where(Trial.listener_id.in_(ids))):
        found[listener].append(seconds)
    return found


def _flags(
    store: Store, session: Session, listeners: Sequence[Listener], ids: Sequence[int] | None
) -> dict[int, str]:  # fmt: skip
    """Signs of a script: as stored, or as they are now for those who have not been judged since; and shared ids."""
    changed = [one.id for one in listeners if one.begun is not None and one.judged is None]
    signs = implausible(session, store.study, None if ids is None and changed else changed)
    shared = _shared_ids(session, None if ids is None else {one.person for one in listeners if one.person is not None})
    flags = {one.id: one.flags for one in listeners} | {
        one.id: signs.get(one.label, "") for one in listeners if one.judged is None
    }
    return {number: "; ".join(filter(None, [text, shared.get(number)])) for number, text in flags.items()}


def _shared_ids(session: Session, persons: Collection[str] | None) -> dict[int, str]:
    """A note for each listener whose platform id began other sessions too.

    Args:
        persons: ids to look at; default: all.
    """
    query = select(Listener.id, Listener.label, Listener.source, Listener.person).where(tallies.SHARES_ID)
    if persons is not None:
        query = query.where(Listener.person.in_(persons))
    sessions: dict[tuple[str, str | None], list[tuple[int, str]]] = defaultdict(list)
    for number, label, source, person in session.execute(query.order_by(Listener.id)):
        sessions[source, person].append((number, label))
    return {number: _note(number, labels) for labels in sessions.values() for number, _ in labels}


def _note(number: int, sessions: Sequence[tuple[int, str]]) -> str:
    """The other sessions of an id: the first few, as there may be thousands."""
    first = [label for other, label in sessions[: MOST_NAMED + 1] if other != number][:MOST_NAMED]
    more = len(sessions) - 1 - len(first)
    return f"the same id as {', '.join(first)}{f' and {more} more' if more else ''}"
