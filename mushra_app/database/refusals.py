"""Reasons why somebody cannot take part, or why an answer is not stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Whether newcomers are admitted.

    Args:
        state: "open"; "waiting" (all missing ratings are leased); "complete"; "paused" or "closed" by the experimenter.
        reason: one sentence for the experimenter.
        trials: number of trials a newcomer would rate.
    """

    state: str
    reason: str
    trials: int


class RefusedError(Exception):
    """A submission that cannot be stored. The message is for the listener."""


class UnknownTrialError(RefusedError):
    """The trial or step does not belong to this listener."""


class AlreadyRatedError(RefusedError):
    """The trial is already stored with other scores."""


class SessionOverError(RefusedError):
    """The listener has stopped or was turned away."""


class TookPartError(RefusedError):
    """This person has already taken part, or is taking part in another browser."""


class TooManySessionsError(RefusedError):
    """Too many sessions from this network address are open."""


class NotOpenError(RefusedError):
    """Nobody is admitted at present.

    Args:
        status: the reason.
    """

    def __init__(self, status: Status) -> None:
        super().__init__(status.reason)
        self.status = status
