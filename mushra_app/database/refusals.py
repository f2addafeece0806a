"""Why somebody is not let in, or an answer is not taken."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Status:
    """Whether newcomers are let in.

    Args:
        state: "open"; "waiting" (every place is taken, some only leased); "complete"; "paused" or "closed" by the
            experimenter.
        reason: why, a sentence.
        trials: how many a newcomer would rate.
    """

    state: str
    reason: str
    trials: int


class RefusedError(Exception):
    """A submission that cannot be stored; the message is for the listener."""


class UnknownTrialError(RefusedError):
    """The trial or step is not one of this listener's."""


class AlreadyRatedError(RefusedError):
    """The trial is stored already, with other scores."""


class SessionOverError(RefusedError):
    """The listener has stopped, or was turned away."""


class TookPartError(RefusedError):
    """This person has taken part before, or is taking part in another browser."""


class NotOpenError(RefusedError):
    """Nobody is let in at present; `status` says why."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.reason)
        self.status = status
