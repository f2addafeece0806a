"""Tables of a study's database. All times are seconds since 1970, UTC.

A change to the tables needs a new SCHEMA_VERSION and a step in migrations.py. Column names never change without one;
where a Python name is clearer than the column's, the column is named in `mapped_column`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from earmark.mushra_app.database.json_text import JsonText

SCHEMA_VERSION = "6"


class Base(DeclarativeBase):
    """Base class of all tables."""


def _partial_index(name: str, *columns: str, where: str) -> Index:
    """An index of the rows that meet a condition, which queries must contain with its literal values."""
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Setting(Base):
    """A value for the whole database.

    Names: schema_version, study (fingerprint of its items, conditions and file names), study_id, last_listener (number
    of the newest one), stimuli (SHA-256 of each audio file), study_version, secret_key, gate, crowd, rule, ...
    """

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Listener(Base):
    """One participation.

    Attributes:
        label: name in tables and reports, "L0001-b3a2c4"; never given to a second listener, see labels.py.
        key: secret in the listener's cookie.
        seen: time of the last request that renewed the lease.
        begun: when the first trial was opened, and with it the leases began; None before.
        progress: when an answer was last stored, or else `started`.
        lease_until: end of the leases on the unfinished trials of an active listener who has begun.
        address: keyed hash of the network address, while the session is open; see arrivals.py.
        source: where the listener came from: "anonymous", "personal", "prolific", "mturk" or another platform.
        person: the listener's id there.
        visit: the platform's id of this participation, with which it can be resumed; for "personal" a hash of the link.
        arrival: everything the platform sent.
        state: "active", "finished" (all trials are stored), "left", "turned away", or "not begun" (others took all
            places before the first trial).
        excluded: why the ratings do not count; empty if they do.
        excluded_by: "screening", "timing" (see timing.py), "page" or "experimenter". The first two are judged
            again; they never override the others.
        judged: when screening last judged this listener; None if something has been stored since.
        flags: signs of a script at that time (see timing.py); None if nobody looked.
        device: browser, system, type of device, pointer and sample rate, as web/device.py describes them.
    """

    __tablename__ = "listener"
    __table_args__ = (
        UniqueConstraint("source", "person", "visit"),
        _partial_index("ix_listener_leases", "lease_until", where="begun IS NOT NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(unique=True)
    started: Mapped[float]
    seen: Mapped[float]
    begun: Mapped[float | None]
    progress: Mapped[float]
    lease_until: Mapped[float]
    address: Mapped[str] = mapped_column(default="", index=True)
    source: Mapped[str] = mapped_column(default="anonymous")
    person: Mapped[str | None]
    visit: Mapped[str | None]
    arrival: Mapped[dict[str, str]] = mapped_column(JsonText, default=dict)
    state: Mapped[str] = mapped_column(default="active")
    excluded: Mapped[str] = mapped_column(default="")
    excluded_by: Mapped[str] = mapped_column(default="")
    judged: Mapped[float | None]
    flags: Mapped[str | None]
    device: Mapped[dict[str, Any]] = mapped_column(JsonText, default=dict)
    trials: Mapped[list[Trial]] = relationship(back_populates="listener", order_by="Trial.position")
    steps: Mapped[list[Step]] = relationship(back_populates="listener", order_by="Step.position")

    @property
    def receipt(self) -> str:
        """Code that the listener hands to the platform at the end. It names the listener, and nobody can guess it."""
        return f"{self.label}-{hashlib.sha256(self.key.encode()).hexdigest()[:10]}"

    @property
    def open_step(self) -> Step | None:
        """The first step that is not done; None if all are."""
        return next((step for step in self.steps if step.done is None), None)

    @property
    def is_complete(self) -> bool:
        """Whether every step is done and every trial that counts is stored; there is at least one."""
        trials = self.rating_trials
        return bool(trials) and all(trial.submitted is not None for trial in trials) and self.open_step is None

    @property
    def outcome(self) -> str:
        """State as the listener's last page and the platform are told: a session without its trials is not finished."""
        if self.state in ("active", "finished"):
            return "finished" if self.is_complete else "not begun"
        return self.state

    @property
    def rating_trials(self) -> list[Trial]:
        """The trials that count, in order."""
        return [trial for trial in self.trials if trial.purpose == "rating"]


class Trial(Base):
    """An item assigned to a listener. Once `submitted` is set, it has a rating of every condition.

    Attributes:
        key: identifies the trial in a submission, so that a repeated submission is recognised.
        purpose: "rating", "training" or "repeat" (see attention.py).
        position: from 1, within the purpose.
        seconds: how long the page was in view, as the browser says.
        served: when the server first sent the page; None if an earlier version did.
        listening: how the reference and each condition were heard and rated, as listening.py describes it; None if the
            page did not say.
        retired: when the audio of this item was replaced, since when the ratings do not count; see stimuli.py.
    """

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("listener_id", "purpose", "item"),
        UniqueConstraint("listener_id", "purpose", "position"),
        _partial_index("ix_trial_rated", "item", "listener_id",
                       where="purpose = 'rating' AND submitted IS NOT NULL AND retired IS NULL"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    listener_id: Mapped[int] = mapped_column(ForeignKey("listener.id"))
    purpose: Mapped[str] = mapped_column(default="rating")
    item: Mapped[str] = mapped_column(index=True)
    position: Mapped[int]
    seconds: Mapped[float | None]
    served: Mapped[float | None]
    submitted: Mapped[float | None]
    retired: Mapped[float | None]
    listening: Mapped[dict[str, Any] | None] = mapped_column(JsonText)
    listener: Mapped[Listener] = relationship(back_populates="trials")
    stimuli: Mapped[list[Stimulus]] = relationship(order_by="Stimulus.position")
    ratings: Mapped[list[Rating]] = relationship()

    @property
    def reference(self) -> Stimulus:
        """The open reference, behind the button "Reference"."""
        return self.stimuli[0]

    @property
    def conditions(self) -> list[Stimulus]:
        """The stimuli to rate, in the order in which this listener sees them."""
        return self.stimuli[1:]


class Step(Base):
    """One page of a listener's session; see mushra_app/study/pages.py.

    Attributes:
        position: from 1.
        type: type of the page: "volume", "trial", "questionnaire", ...
        settings: what the page shows.
        answer: what the listener answered; None before that, and on pages that ask for nothing.
    """

    __tablename__ = "step"
    __table_args__ = (
        UniqueConstraint("listener_id", "position"),
        _partial_index("ix_step_open", "listener_id", "position", where="done IS NULL"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    listener_id: Mapped[int] = mapped_column(ForeignKey("listener.id"))
    position: Mapped[int]
    type: Mapped[str] = mapped_column("kind")
    settings: Mapped[dict[str, Any]] = mapped_column(JsonText, default=dict)
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), unique=True)
    done: Mapped[float | None]
    answer: Mapped[Any | None] = mapped_column(JsonText)
    listener: Mapped[Listener] = relationship(back_populates="steps")
    trial: Mapped[Trial | None] = relationship()


class Stimulus(Base):
    """A stimulus: the audio that one button of one trial plays.

    Attributes:
        token: the name under which the browser fetches the audio; tells nothing about the condition.
        position: 0 for the open reference, from 1 for the conditions in random order.
        fetched: when the server first sent the audio; None before.
    """

    __tablename__ = "stimulus"
    __table_args__ = (UniqueConstraint("trial_id", "place"),)

    token: Mapped[str] = mapped_column(primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    position: Mapped[int] = mapped_column("place")
    condition: Mapped[str]
    fetched: Mapped[float | None]


class Rating(Base):
    """A score from 0 to 100 for one condition in one trial."""

    __tablename__ = "rating"
    __table_args__ = (CheckConstraint("score BETWEEN 0 AND 100"),)

    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), primary_key=True)
    condition: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[int]
    comment: Mapped[str] = mapped_column(default="")


class Admitted(Base):
    """A person of a platform or a personal link who has begun a session. It outlasts the listener's other rows.

    Attributes:
        person: keyed hash of source and id, so that nobody is named here.
    """

    __tablename__ = "admitted"

    person: Mapped[str] = mapped_column(primary_key=True)
    time: Mapped[float]


class Sent(Base):
    """Something asked of a platform's API that changes it there: an approval, a rejection, a bonus, a new study.

    Written before it is sent and again after the answer, so that after a kill between the two the next command knows
    what may have been done; see sent.py.

    Attributes:
        key: what is asked and of which submission, such as "approve SUBMISSION". Nothing is sent twice under one key.
        begun: when it was about to be sent.
        done: when the platform had done it; None if that is not known.
        details: what the repetition of the command needs, such as the amount and the platform's id of a payment.
    """

    __tablename__ = "sent"

    key: Mapped[str] = mapped_column(primary_key=True)
    begun: Mapped[float]
    done: Mapped[float | None]
    details: Mapped[dict[str, Any]] = mapped_column(JsonText, default=dict)


class AdminSession(Base):
    """A signed-in experimenter.

    Attributes:
        key: SHA-256 of the secret in the cookie.
        form_token: CSRF token that every form of the admin page sends back.
    """

    __tablename__ = "admin_session"

    key: Mapped[str] = mapped_column(primary_key=True)
    form_token: Mapped[str]
    expires: Mapped[float]


class FailedSignIn(Base):
    """A wrong password at the admin page, and the address it came from."""

    __tablename__ = "failed_sign_in"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    time: Mapped[float] = mapped_column(index=True)
