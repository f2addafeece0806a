"""Where ratings live: listeners, their steps and trials, the stimuli behind opaque tokens and the scores, in one SQL
database.

Each public method of Store that writes is one transaction. No state is kept outside the database, so that several
workers can share it. Transactions lock in this order, where they do: the gate (the row schema_version of `setting`;
whoever counts or gives away places), a listener, a trial.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Engine, Select, and_, insert, select, update
from sqlalchemy.orm import Session, selectinload

from earmark.codec.text import counted
from earmark.mushra_app.database import judging, leases
from earmark.mushra_app.database.allocation import allocate, is_complete
from earmark.mushra_app.database.collected import collected
from earmark.mushra_app.database.connection import connect
from earmark.mushra_app.database.refusals import (
    AlreadyRatedError,
    NotOpenError,
    RefusedError,
    SessionOverError,
    Status,
    TookPartError,
    UnknownTrialError,
)
from earmark.mushra_app.database.tables import Listener, Rating, Setting, Step, Stimulus, Trial
from earmark.mushra_app.database.transactions import Database
from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.crowd import Arrival, Crowd
from earmark.mushra_app.study.study import Study

LEASE_SECONDS = 3600.0  # for so long a listener who does nothing keeps the places of unfinished trials


@dataclass(frozen=True)
class Answer:
    """What a listener says about one stimulus."""

    score: int
    comment: str = ""


class Store(Database):
    """The database of one study.

    Args:
        lease: seconds for which a listener who does nothing keeps the places of unfinished trials.
        rule: of mushra_app.screening, by which a listener's ratings count or not once the session has ended.
    """

    def __init__(self, engine: Engine, study: Study, *, lease: float = LEASE_SECONDS, rule: str = "none") -> None:
        super().__init__(engine)
        self.study = study
        self.lease = lease
        self.rule = rule

    # Who is let in

    @property
    def crowd(self) -> Crowd:
        """The ways in, as the admin page set them."""
        return Crowd(**json.loads(self.setting("crowd", "{}")))

    @crowd.setter
    def crowd(self, crowd: Crowd) -> None:
        self.set("crowd", json.dumps(asdict(crowd)))

    def set_gate(self, state: str) -> None:
        """Let newcomers in ("open") or not ("paused", "closed"); who has begun goes on in any case."""
        self.set("gate", state)

    def status(self) -> Status:
        """Whether newcomers are let in, and why not."""
        with self.reading() as session:
            return self._status(session, time.time())

    def _status(self, session: Session, now: float) -> Status:
        if is_complete(self.study, leases.valid(session)):
            return Status("complete", f"Every item has its {counted(self.study.annotations, 'rating')}.", 0)
        gate = session.get(Setting, "gate")
        if gate is not None and gate.value != "open":
            return Status(gate.value, f"The experimenter has {gate.value} the study.", 0)
        free = allocate(self.study, leases.held(session, now), random.SystemRandom())
        if not free:
            return Status("waiting", "Every place is taken; some by listeners who have not finished yet.", 0)
        return Status("open", "Newcomers are let in.", len(free))

    # Listeners

    def listener(self, key: str) -> Listener | None:
        """The listener with that key, with steps and trials but no stimuli; renews a lease that is half over."""
        with self.reading() as session:
            listener = session.scalar(_whole(key))
        now = time.time()
        if listener is None or listener.state != "active" or listener.lease_until > now + self.lease / 2:
            return listener
        with self.writing() as session:
            still_valid = and_(Listener.id == listener.id, Listener.lease_until > now)
            renewed = session.execute(
                update(Listener).where(still_valid).values(seen=now, lease_until=now + self.lease)
            )
        if renewed.rowcount == 0:  # type: ignore[attr-defined]
            with self.writing(gate=True) as session:
                listener = session.scalars(_whole(key).with_for_update(of=Listener)).one()
                leases.renew(session, self.study, listener, now)
                listener.seen, listener.lease_until = now, now + self.lease
            with self.reading() as session:
                listener = session.scalar(_whole(key))
        return listener

    def participation(self, arrival: Arrival) -> Listener | None:
        """The listener who came that way as that person, whatever the visit."""
        if arrival.person is None:
            return None
        with self.reading() as session:
            return session.scalar(_same_person(arrival))

    def enrol(self, key: str, arrival: Arrival = Arrival()) -> Listener:  # noqa: B008 - immutable
        """The listener with that key and all stimuli, made now, with places leased, unless there is one already.

        Raises:
            TookPartError: this person has a participation with another key.
            NotOpenError: the study lets nobody in.
        """
        self.settle()
        with self.writing(gate=True) as session:
            now = time.time()
            if session.scalar(select(Listener).where(Listener.key == key)) is None:
                if arrival.person is not None and session.scalar(_same_person(arrival)) is not None:
                    raise TookPartError("You have already taken part in this listening test.")
                status = self._status(session, now)
                if status.state != "open":
                    raise NotOpenError(status)
                items = allocate(self.study, leases.held(session, now), random.SystemRandom())
                listener = Listener(
                    key=key, started=now, seen=now, lease_until=now + self.lease, source=arrival.source,
                    person=arrival.person, visit=arrival.visit, arrival=json.dumps(dict(arrival.details)),
                )  # fmt: skip
                leases.lay_out(session, self.study, listener, items)
        whole = _whole(key).options(selectinload(Listener.trials).selectinload(Trial.stimuli))
        with self.reading() as session:
            return session.scalars(whole).one()

    def revisit(self, key: str, arrival: Arrival) -> None:
        """Note a new visit of a listener whose session goes on: a HIT that was returned and accepted again, say."""
        with self.writing() as session:
            active = and_(Listener.key == key, Listener.state == "active")
            values = {"visit": arrival.visit, "arrival": json.dumps(dict(arrival.details))}
            session.execute(update(Listener).where(active).values(values))

    def leave(self, key: str) -> None:
        """End the session of a listener who stops before its end: unfinished trials give their places back."""
        with self.writing() as session:
            active = and_(Listener.key == key, Listener.state == "active")
            session.execute(update(Listener).where(active).values(state="left", seen=time.time()))
        self.settle()

    def exclude(self, listener_id: int, reason: str) -> None:
        """Let a listener's ratings count no more ("" lets them count again); the experimenter's word is the last."""
        with self.writing() as session:
            values = {"excluded": reason, "excluded_by": "experimenter"}
            session.execute(update(Listener).where(Listener.id == listener_id).values(values))

    # Steps and trials

    def trial(self, trial_id: int) -> Trial:
        """A trial with its stimuli."""
        with self.reading() as session:
            return session.get_one(Trial, trial_id, options=[selectinload(Trial.stimuli)])

    def submit(self, listener_key: str, trial_key: str, answers: Mapping[str, Answer], seconds: float) -> None:
        """Store a whole trial, once: the same answers again change nothing.

        Args:
            answers: stimulus token -> answer, for every condition of the trial.

        Raises:
            UnknownTrialError: not a trial of this listener, or not any more: another item has taken its place.
            AlreadyRatedError: stored before with different answers.
            SessionOverError: the listener has stopped, or was turned away.
            RefusedError: answers are missing, or for other stimuli.
        """
        owned = (
            select(Trial).join(Trial.listener).where(Trial.key == trial_key, Listener.key == listener_key)
            .options(selectinload(Trial.stimuli))
        )  # fmt: skip
        with self.reading() as session:
            trial = session.scalar(owned)
        if trial is None:
            raise UnknownTrialError(marked("This trial is not part of your session."))
        if set(answers) != {stimulus.token for stimulus in trial.conditions}:
            raise RefusedError(marked("Every sound of the trial needs exactly one rating."))
        given = {stimulus.condition: answers[stimulus.token] for stimulus in trial.conditions}
        rows = [{"trial_id": trial.id, "condition": name, **asdict(answer)} for name, answer in given.items()]
        now = time.time()
        this = update(Listener).where(Listener.id == trial.listener_id)
        unrated = and_(Trial.id == trial.id, Trial.key == trial_key, Trial.submitted.is_(None))
        with self.writing() as session:
            state = session.scalar(this.values(seen=now).returning(Listener.state))
            session.execute(this.where(Listener.lease_until > now).values(lease_until=now + self.lease))
            if state == "active":
                taken = session.execute(update(Trial).where(unrated).values(submitted=now, seconds=seconds))
                if taken.rowcount:  # type: ignore[attr-defined]
                    session.execute(insert(Rating), rows)
                    session.execute(update(Step).where(Step.trial_id == trial.id).values(done=now))
                    return
            here = and_(Rating.trial_id == trial.id, Trial.key == trial_key)
            stored = session.scalars(select(Rating).join(Trial, Trial.id == Rating.trial_id).where(here)).all()
        if not stored and state != "active":
            raise SessionOverError(marked("Your session is over, so nothing more is stored."))
        if not stored:
            raise UnknownTrialError(marked("This trial is not part of your session."))
        if given != {rating.condition: Answer(rating.score, rating.comment) for rating in stored}:
            raise AlreadyRatedError(marked("This trial was already stored with other ratings."))

    def complete(
        self, listener_key: str, step_key: str, answer: Any, turned_away: str = "", *, again: bool = False,
        before: str | None = None,
    ) -> None:  # fmt: skip
        """Store what a listener said on a page that is no trial; again, it changes nothing.

        Args:
            answer: anything that JSON can hold.
            turned_away: why the listener may not go on, and gives all places back; "" for who may.
            again: the listener stays at this page, and says more.
            before: the answer that was stored when the page was drawn up; another one means a second click.

        Raises:
            UnknownTrialError: not a step of this listener, or a trial.
            RefusedError: steps before it are not done.
        """
        owned = (
            select(Step).join(Step.listener)
            .where(Step.key == step_key, Step.trial_id.is_(None), Listener.key == listener_key)
        )  # fmt: skip
        with self.writing() as session:
            step = session.scalar(owned.with_for_update(of=Listener))
            if step is None:
                raise UnknownTrialError("This page is not part of your session.")
            if step.done is not None or step.answer != before:
                return
            listener = session.get_one(Listener, step.listener_id, options=[selectinload(Listener.steps)])
            if listener.open_step is not step:
                raise RefusedError("There is something to do before this page.")
            step.answer = json.dumps(answer)
            step.done = None if again else time.time()
            if turned_away:
                listener.state, listener.excluded, listener.excluded_by = "turned away", turned_away, "page"

    def stimulus(self, listener_key: str, token: str) -> tuple[str, str] | None:
        """Item id and condition behind one of this listener's tokens; None for anybody else's."""
        owned = (
            select(Trial.item, Stimulus.condition)
            .select_from(Stimulus).join(Trial).join(Listener)
            .where(Stimulus.token == token, Listener.key == listener_key)
        )  # fmt: skip
        with self.reading() as session:
            found = session.execute(owned).one_or_none()
        return None if found is None else (found.item, found.condition)

    # Screening while the study runs

    def adopt_rule(self) -> None:
        """Have everybody judged anew where the study was last served by another rule."""
        if self.setting("rule", self.rule) != self.rule:
            with self.writing(gate=True) as session:
                session.execute(update(Listener).values(judged=None))
        self.set("rule", self.rule)

    def settle(self) -> None:
        """Judge by the rule whoever has finished, left or gone since the last look; bad ratings free their places."""
        with self.reading() as session:
            verdicts = judging.judge(session, self.study, self.rule)
        if verdicts:
            with self.writing() as session:
                judging.write(session, verdicts)


def _whole(key: str) -> Select[Listener]:
    steps, trials = selectinload(Listener.steps), selectinload(Listener.trials)
    return select(Listener).where(Listener.key == key).options(steps, trials)


def _same_person(arrival: Arrival) -> Select[Listener]:
    return select(Listener).where(Listener.source == arrival.source, Listener.person == arrival.person)


def open_store(
    study: Study, folder: Path, url: str | None = None, *, create: bool = True, lease: float = LEASE_SECONDS,
    rule: str = "none",
) -> Store:  # fmt: skip
    """Open the database of the study in `folder`, by default STUDY/ratings.sqlite; make or migrate its tables.

    Args:
        create: False refuses a default database that does not exist yet.
        lease, rule: see Store.

    Raises:
        UserError: the URL is wrong, its driver is missing, the database cannot be opened, or holds another study.
    """
    return Store(connect(study, folder, url, create=create), study, lease=lease, rule=rule)


def ratings(store: Store, study: Study) -> pd.DataFrame:
    """All complete trials, one row per rating, those of excluded listeners too.

    Returns:
        listener ("L0001", numbered as they came), item, category, condition, score (0 to 100), position (of the trial
        in the session, from 1), seconds (spent on the trial), submitted (ISO 8601, UTC), comment, excluded (why the
        listener's ratings do not count, "" if they do), excluded_by ("screening", "page" or "experimenter").
    """
    with store.reading() as session:
        return collected(session, study)
