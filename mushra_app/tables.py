"""The tables of a study's database: settings, listeners, trials, stimuli, ratings. Times in seconds since 1970, UTC."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

SCHEMA_VERSION = "1"


class Base(DeclarativeBase):
    """Every table below."""


class Setting(Base):
    """What belongs to the whole database: schema_version, study (its fingerprint), secret_key."""

    __tablename__ = "setting"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str]


class Listener(Base):
    """One participation. `key` is the secret in the listener's cookie."""

    __tablename__ = "listener"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    started: Mapped[float]
    seen: Mapped[float] = mapped_column(index=True)
    trials: Mapped[list[Trial]] = relationship(back_populates="listener", order_by="Trial.position")

    @property
    def open_trial(self) -> Trial | None:
        """The trial that this listener is at, None when all are done."""
        return next((trial for trial in self.trials if trial.submitted is None), None)


class Trial(Base):
    """An item assigned to a listener; complete, with a rating of every condition, once `submitted` is set.

    `position` counts from 1. `seconds` is how long the page was in view.
    """

    __tablename__ = "trial"
    __table_args__ = (UniqueConstraint("listener_id", "item"), UniqueConstraint("listener_id", "position"))

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    listener_id: Mapped[int] = mapped_column(ForeignKey("listener.id"))
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
