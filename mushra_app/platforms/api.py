"""Interface of the commands to a platform, which the module of each platform implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Sent

State = Literal["waiting", "approved", "rejected", "other"]  # waiting: handed in, and not reviewed yet
Report = Callable[[str], object]  # prints one line


@dataclass(frozen=True)
class Submission:
    """A participation as the platform keeps it.

    Args:
        id: the platform's id, with which the listener came (Listener.visit).
        participant: the platform's id of the person.
        status: in the platform's words.
        receipt: that the participant handed in; None where the platform carries none.
        bonuses: bonuses that the platform lists, in the minor unit.
    """

    id: str
    participant: str
    state: State
    status: str
    receipt: str | None = None
    bonuses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Offer:
    """A study as participants are to find it.

    Args:
        places: number of participations that there shall be in all, those of earlier calls included.
        reward: of each, in the minor unit.
        minutes: time that a session takes.
        address: public address of the study; "" if nothing is made that needs it.
        days: how long it is offered.
        given: names of those of these values that the experimenter gave; the others are defaults.
    """

    places: int
    reward: int
    minutes: int
    title: str
    description: str
    address: str
    days: int
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """A change that publishing makes.

    Args:
        text: what it does, for the preview and when it is done.
        cost: what participants can earn by it, in the minor unit.
        do: does it; raises ApiError.
        details: what else it sends, for the preview.
    """

    text: str
    cost: int
    do: Callable[[], object]
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bonus:
    """A bonus to pay.

    Args:
        key: its entry in the journal.
        earlier: the entry of a payment that was interrupted; None if there was none.
    """

    key: str
    submission: Submission
    amount: int
    reason: str
    earlier: Sent | None = None


class Platform(ABC):
    """A crowd platform with an API.

    Attributes:
        name: source of its listeners in the database.
        title: its name in messages.
        longest_reason, shortest_reason: lengths of a reason for a rejection, in characters.
        categories: categories of rejections, the first of which is the default; () if there are none.
    """

    name: str
    title: str
    shortest_reason = 1
    longest_reason = 1024
    categories: tuple[str, ...] = ()

    @property
    @abstractmethod
    def currency(self) -> str:
        """Code of the currency that it pays in."""

    @abstractmethod
    def submissions(self) -> list[Submission]:
        """All submissions to the study, handed in or not."""

    @abstractmethod
    def reward(self) -> int | None:
        """Reward of a submission, in the minor unit; None if submissions have different rewards."""

    @abstractmethod
    def approve(self, submission: str) -> None:
        """Approve a submission; does nothing if it is approved."""

    @abstractmethod
    def reject(self, submission: str, reason: str, category: str) -> None:
        """Reject a submission; does nothing if it is rejected."""

    @abstractmethod
    def pay(self, bonuses: Sequence[Bonus], journal: Journal, *, most: int, again: bool, report: Report) -> int:
        """Pay bonuses, each at most once.

        Args:
            most: ceiling for all together in the minor unit, for platforms that state their fee beforehand.
            again: pay those whose payment was interrupted and that the platform does not list, where only the
                experimenter can decide that.
            report: prints a line on each that failed.

        Returns:
            Number of bonuses paid.
        """

    @abstractmethod
    def publishing(self, offer: Offer, store: Store, journal: Journal) -> list[Step]:
        """Changes that lead to the offer, in order; [] if it is published already."""


def statuses(names: Mapping[State, Iterable[str]]) -> Callable[[str], State]:
    """Function from a platform's status to the state."""
    states: dict[str, State] = {name: state for state, those in names.items() for name in those}
    return lambda status: states.get(status, "other")
