"""The database of one study: its listeners, their sessions and their ratings.

Each public method of Store that writes is one transaction. All state is in the database, so that several workers can
share it. Transactions that take several locks take them in this order: the exclusive lock (see transactions.py), a
listener, a trial.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Select, and_, or_, select, update
from sqlalchemy.orm import selectinload

from earmark.mushra_app.database import admission, clock, judging, leases, submissions
from earmark.mushra_app.database.connection import connect
from earmark.mushra_app.database.listening import Heard, as_stored
from earmark.mushra_app.database.newcomers import Newcomers
from earmark.mushra_app.database.refusals import NotOpenError
from earmark.mushra_app.database.submissions import Answer
from earmark.mushra_app.database.tables import Listener, Stimulus, Trial
from earmark.mushra_app.study.crowd import Arrival
from earmark.mushra_app.study.study import Study

LEASE_SECONDS = 3600.0
MOST_IDLE_LEASES = 2  # reloading a page without storing an answer renews a lease for at most this many leases
SESSIONS_PER_ADDRESS = 10


class Store(Newcomers):
    """The database of one study.

    Args:
        lease: seconds for which an idle listener keeps the leases on unfinished trials.
        rule: name of the screening rule (ratings/screening.py) that decides whose ratings count.
        per_address: open sessions that one network address may have; None for any number. Personal links are not
            limited, and neither is the server's own machine.
        refuse_implausible: whether sessions that contradict what the server saw (timing.py) do not count.
    """

    def __init__(
        self, engine: Engine, study: Study, *, lease: float = LEASE_SECONDS, rule: str = "none",
        per_address: int | None = SESSIONS_PER_ADDRESS, refuse_implausible: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(engine, study, rule=rule, refuse_implausible=refuse_implausible)
        self.lease = lease
        self.per_address = per_address

    # Listeners

    def listener(self, key: str) -> Listener | None:
        """Find a listener, with steps and trials but without stimuli. Renews a lease of which less than half is left.

        A listener who stores nothing for MOST_IDLE_LEASES leases keeps the session, but no longer its leases.

        Returns:
            None if there is no such listener.
        """
        with self.reading() as session:
            listener = session.scalar(_with_steps_and_trials(key))
            now = clock.now(session)
        if listener is None or listener.state != "active":
            return listener
        set_back = listener.seen > now + leases.GRACE_SECONDS  # the clock, since the leases were given
        if listener.lease_until > now + self.lease / 2 and not set_back:
            return listener
        until = min(now + self.lease, listener.progress + MOST_IDLE_LEASES * self.lease)
        if until <= max(now, listener.lease_until) and not set_back:
            return listener
        with self.writing() as session:
            this = update(Listener).where(Listener.id == listener.id).values(seen=now, lease_until=until)
            still_valid = or_(leases.is_held(now), Listener.begun.is_(None))
            renewed = session.execute(this.where(still_valid))
        if renewed.rowcount == 0:  # type: ignore[attr-defined]
            with self.writing(exclusive=True) as session:
                listener = session.scalars(_with_steps_and_trials(key).with_for_update(of=Listener)).one()
                leases.renew(session, self.study, listener, now)
                listener.seen, listener.lease_until = now, until
            with self.reading() as session:
                listener = session.scalar(_with_steps_and_trials(key))
        return listener

    def begin(self, key: str) -> Listener:
        """Begin the leases of a listener who opens the first trial, unless they have begun; see leases.begin.

        Returns:
            The listener as `listener` returns it; its state is "not begun" if others took all places.
        """
        with self.reading() as session:  # before the lock, for which others wait; nothing else changes these trials yet
            listener = session.scalars(_with_steps_and_trials(key)).one()
        with self.writing(exclusive=True) as session:
            now = clock.now(session)
            current = select(Listener.begun, Listener.state).where(Listener.id == listener.id).with_for_update()
            if tuple(session.execute(current).one()) == (None, "active"):
                session.add(listener)
                leases.begin(session, self.study, listener, now)
                listener.seen, listener.lease_until = now, now + self.lease
                listener.progress = now
        with self.reading() as session:
            return session.scalars(_with_steps_and_trials(key)).one()

    def enrol(
        self, key: str, arrival: Arrival = Arrival(), address: str = "",  # noqa: B008 - immutable
        device: Mapping[str, Any] = {},
    ) -> Listener:  # fmt: skip
        """Start a session, unless there is already one with this key. Its leases begin with the first trial.

        Args:
            address: network address of the listener, as far as the server knows; only a keyed hash is stored.
            device: description of the browser and device.

        Returns:
            The listener with all trials and stimuli.

        Raises:
            TookPartError: if this person has taken part, or has this visit's session with another key.
            TooManySessionsError: if too many sessions from this address are open.
            NotOpenError: if the study admits nobody.
        """
        self.screen_ended_sessions()
        with self.reading() as session:  # before the lock, for which others wait: the items are provisional
            status, items = self.admission(session, clock.now(session))
        with self.writing(exclusive=True) as session:
            if session.scalar(select(Listener.id).where(Listener.key == key)) is None:
                now = clock.now(session)
                settings = admission.settings_of(session)
                admission.check(session, settings, arrival, address, self.per_address, now)
                if status.state != "open":
                    raise NotOpenError(status)
                listener = admission.new_listener(session, settings, key, arrival, address, now)
                listener.lease_until, listener.device = now + self.lease, dict(device)
                leases.add_listener(session, self.study, listener, items)
        whole = _with_steps_and_trials(key).options(selectinload(Listener.trials).selectinload(Trial.stimuli))
        with self.reading() as session:
            return session.scalars(whole).one()

    def revisit(self, key: str, arrival: Arrival) -> None:
        """Record a new visit of an active listener, for example to a HIT that was returned and accepted again."""
        with self.writing() as session:
            active = and_(Listener.key == key, Listener.state == "active")
            values = {"visit": arrival.visit, "arrival": dict(arrival.details)}
            session.execute(update(Listener).where(active).values(values))

    def leave(self, key: str) -> None:
        """End the session of a listener who stops early, and with it the leases on unfinished trials."""
        with self.writing() as session:
            active = and_(Listener.key == key, Listener.state == "active")
            values = {"state": "left", "seen": clock.now(session), "judged": None, "address": ""}
            session.execute(update(Listener).where(active).values(values))
        self.screen_ended_sessions()

    def free_places(self, listener_id: int | None = None) -> int:
        """End the leases of one listener, or of everybody who has begun and has stored no trial.

        The sessions go on; a listener who stores a trial gets leases on the rest again.

        Returns:
            Number of listeners whose leases ended.
        """
        whose = Listener.id == listener_id if listener_id is not None else ~judging.RATED
        with self.writing(exclusive=True) as session:
            held = leases.is_held(clock.now(session))
            leased = and_(whose, Listener.state == "active", Listener.begun.is_not(None), held)
            ended = session.execute(update(Listener).where(leased).values(lease_until=0.0, progress=0.0))
        return int(ended.rowcount)  # type: ignore[attr-defined]

    # Steps and trials

    def trial(self, trial_id: int) -> Trial:
        """A trial with its stimuli."""
        with self.reading() as session:
            return session.get_one(Trial, trial_id, options=[selectinload(Trial.stimuli)])

    def serve_trial(self, trial_id: int) -> Trial:
        """A trial with its stimuli, whose page is sent now; the first time counts."""
        first = and_(Trial.id == trial_id, Trial.served.is_(None))
        self.notes.store(lambda now: update(Trial).where(first).values(served=now))
        return self.trial(trial_id)

    def submit(
        self, listener_key: str, trial_key: str, answers: Mapping[str, Answer], seconds: float,
        heard: Mapping[str, Heard] = {},
    ) -> None:  # fmt: skip
        """Store all ratings of a trial. Submitting the same ratings again changes nothing.

        Args:
            answers: stimulus token -> answer, for every condition of the trial.
            seconds: time spent on the trial.
            heard: how the stimuli were heard, by token, as the browser says.

        Raises:
            UnknownTrialError: if the listener has no such trial, or it has been given another item.
            AlreadyRatedError: if other ratings are stored.
            SessionOverError: if the listener has stopped or was turned away.
            RefusedError: if answers are missing, or belong to other stimuli.
        """
        with self.reading() as session:
            trial = submissions.find_trial(session, listener_key, trial_key)
        by_condition = submissions.by_condition(trial, answers)
        listening = as_stored(heard, {stimulus.token: stimulus.condition for stimulus in trial.conditions})
        with self.writing() as session:
            refusal = submissions.store_ratings(session, trial, by_condition, seconds, self.lease, listening)
        if refusal is not None:
            raise refusal

    def complete(
        self, listener_key: str, step_key: str, answer: Any, turned_away: str = "", *, again: bool = False,
        before: Any = None,
    ) -> None:  # fmt: skip
        """Store the answer of a page that is not a trial. Does nothing if the page is already done.

        Args:
            answer: a JSON value.
            turned_away: why the listener cannot continue; ends all leases. "" if the listener can.
            again: leaves the page open for another answer.
            before: answer that was stored when the page was rendered. If it has changed since, this is a second click,
                and nothing is stored.

        Raises:
            UnknownTrialError: if the listener has no such step, or it is a trial.
            RefusedError: if an earlier step is not done.
        """
        with self.writing() as session:
            submissions.complete_step(
                session, listener_key, step_key, answer, turned_away, again=again, before=before
            )  # fmt: skip

    def stimulus(self, listener_key: str, token: str, *, sent: bool = True) -> tuple[str, str] | None:
        """Item id and condition behind a token of this listener; None if there is none.

        Args:
            sent: whether the audio is sent now. It counts as fetched if the trial has not been rated yet.
        """
        owned = (
            select(Trial.item, Trial.submitted, Stimulus.condition, Stimulus.fetched)
            .select_from(Stimulus).join(Trial).join(Listener)
            .where(Stimulus.token == token, Listener.key == listener_key)
        )  # fmt: skip
        with self.reading() as session:
            row = session.execute(owned).one_or_none()
        if row is None:
            return None
        if sent and row.fetched is None and row.submitted is None:
            self.notes.store(lambda now: update(Stimulus).where(Stimulus.token == token).values(fetched=now))
        return row.item, row.condition


def _with_steps_and_trials(key: str) -> Select[Listener]:
    steps, trials = selectinload(Listener.steps), selectinload(Listener.trials)
    return select(Listener).where(Listener.key == key).options(steps, trials)


def open_store(
    study: Study, folder: Path, url: str | None = None, *, create: bool = True, lease: float = LEASE_SECONDS,
    rule: str = "none", per_address: int | None = SESSIONS_PER_ADDRESS, refuse_implausible: bool = False,
) -> Store:  # fmt: skip
    """Open the database of the study in `folder`; create or migrate its tables if necessary.

    Args:
        url: SQLAlchemy URL; default: STUDY/ratings.sqlite.
        create: whether STUDY/ratings.sqlite may be created.
        lease, rule, per_address, refuse_implausible: see Store.

    Raises:
        UserError: if the URL is wrong, its driver is missing, the database cannot be opened, or it belongs to another
            study.
    """
    engine = connect(study, folder, url, create=create)
    return Store(
        engine, study, lease=lease, rule=rule, per_address=per_address, refuse_implausible=refuse_implausible
    )  # fmt: skip
