"""The tables of a study's database. Times: seconds since 1970, UTC. A change of them is a step in migrations.py."""

from __future__ import annotations

import hashlib

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = "2"


class Base(DeclarativeBase):
    """Every table below."""


class Setting(Base):
    """What belongs to the whole database: schema_version, study (its fingerprint), secret_key, gate, crowd, ..."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Listener(Base):
    """One participation.

    `key` is the secret in the listener's cookie. `source` is the way in ("anonymous", "personal", "prolific", "mturk"),
    `person` who it is there, `visit` the platform's secret for this participation, by which it is taken up again;
    `arrival` keeps all that the platform said, as JSON. `state` is "active", "finished", "left" or "turned away".
    Unfinished trials of an active listener hold their places until `lease_until`. Ratings count while `excluded`, the
    reason why they do not, is empty; `excluded_by` is "screening", "page" or "experimenter", whose word is the last.
    `judged` is when the screening last looked at this listener.
    """

    __tablename__ = "listener"
    __table_args__ = (UniqueConstraint("source", "person"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    started: Mapped[float]
    seen: Mapped[float]
    lease_until: Mapped[float]
    source: Mapped[str] = mapped_column(default="anonymous")
    person: Mapped[str | None]
    visit: Mapped[str | None]
    arrival: Mapped[str] = mapped_column(default="{}")
    state: Mapped[str] = mapped_column(default="active")
    excluded: Mapped[str] = mapped_column(default="")
    excluded_by: Mapped[str] = mapped_column(default="")
    judged: Mapped[float | None]
    trials: Mapped[list[Trial]] = relationship(back_populates="listener", order_by="Trial.position")
    steps: Mapped[list[Step]] = relationship(back_populates="listener", order_by="Step.position")

    @property
    def label(self) -> str:
        """How tables call this listener: "L0001", numbered as they came."""
        return f"L{self.id:04d}"

    @property
    def receipt(self) -> str:
        """What this listener hands to the platform at the end: names the listener, and nobody else can guess it."""
        return f"{self.label}-{hashlib.sha256(self.key.encode()).hexdigest()[:10]}"

    @property
    def open_step(self) -> Step | None:
        """The step that this listener is at, None when all are done."""
        return next((step for step in self.steps if step.done is None), None)

    @property
    def rating_trials(self) -> list[Trial]:
        """The trials that count, in order."""
        return [trial for trial in self.trials if trial.purpose == "rating"]


class Trial(Base):
    """An item assigned to a listener; complete, with a rating of every condition, once `submitted` is set.

    `purpose` is "rating", "training" or "repeat" (see mushra_app/attention.py). `position` counts from 1 within the
    purpose. `key` is what makes a repeated submission the same one. `seconds` is how long the page was in view.
    """

    __tablename__ = "trial"
    __table_args__ = (
        UniqueConstraint("listener_id", "purpose", "item"),
        UniqueConstraint("listener_id", "purpose", "position"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    listener_id: Mapped[int] = mapped_column(ForeignKey("listener.id"))
    purpose: Mapped[str] = mapped_column(default="rating")
    item: Mapped[str] = mapped_column(index=True)
    position: Mapped[int]
    seconds: Mapped[float | None]
    submitted: Mapped[float | None]
    listener: Mapped[Listener] = relationship(back_populates="trials")
    stimuli: Mapped[list[Stimulus]] = relationship(order_by="Stimulus.place")
    ratings: Mapped[list[Rating]] = relationship()

    @property
    def reference(self) -> Stimulus:
        """The stimulus behind the button "Reference"."""
        return self.stimuli[0]

    @property
    def conditions(self) -> list[Stimulus]:
        """The stimuli to rate, in the order in which this listener sees them."""
        return self.stimuli[1:]


class Step(Base):
    """One page of a listener's session, in order of `position`, from 1; see mushra_app/pages.py.

    `settings` and `answer` are JSON: what the page shows, and what the listener said there.
    """

    __tablename__ = "step"
    __table_args__ = (UniqueConstraint("listener_id", "position"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    listener_id: Mapped[int] = mapped_column(ForeignKey("listener.id"))
    position: Mapped[int]
    kind: Mapped[str]
    settings: Mapped[str] = mapped_column(default="{}")
    trial_id: Mapped[int | None] = mapped_column(ForeignKey("trial.id"), unique=True)
    done: Mapped[float | None]
    answer: Mapped[str | None]
    listener: Mapped[Listener] = relationship(back_populates="steps")
    trial: Mapped[Trial | None] = relationship()


class Stimulus(Base):
    """What one button of one trial plays. `place` 0 is the open reference, 1 and up the conditions in random order."""

    __tablename__ = "stimulus"
    __table_args__ = (UniqueConstraint("trial_id", "place"),)

    token: Mapped[str] = mapped_column(primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"))
    place: Mapped[int]
    condition: Mapped[str]


class Rating(Base):
    """One score, 0 to 100, of one condition in one trial."""

    __tablename__ = "rating"
    __table_args__ = (CheckConstraint("score BETWEEN 0 AND 100"),)

    trial_id: Mapped[int] = mapped_column(ForeignKey("trial.id"), primary_key=True)
    condition: Mapped[str] = mapped_column(primary_key=True)
    score: Mapped[int]
    comment: Mapped[str] = mapped_column(default="")


class AdminSession(Base):
    """A signed-in experimenter. `key`: SHA-256 of the cookie's secret; `form_token`: what every form sends back."""

    __tablename__ = "admin_session"

    key: Mapped[str] = mapped_column(primary_key=True)
    form_token: Mapped[str]
    expires: Mapped[float]


class FailedSignIn(Base):
    """A wrong password at the admin page, and where it came from."""

    __tablename__ = "failed_sign_in"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]
    time: Mapped[float] = mapped_column(index=True)
