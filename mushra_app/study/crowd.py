"""Who comes to a listening test and from where: Prolific, Amazon Mechanical Turk, personal links, or an open link.

The platforms hand their ids over in the address of the first page. Prolific: PROLIFIC_PID, STUDY_ID, SESSION_ID, and a
completion code in the address to which the participant returns. Mechanical Turk (ExternalQuestion): workerId,
assignmentId, hitId, turkSubmitTo, and a form that is posted to turkSubmitTo/mturk/externalSubmit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from earmark.codec.errors import UserError
from earmark.mushra_app.messages import marked

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
NOT_ACCEPTED = "ASSIGNMENT_ID_NOT_AVAILABLE"  # the assignmentId of somebody who only looks at a HIT
TURK_HOSTS = ("https://www.mturk.com", "https://workersandbox.mturk.com")
PROLIFIC_COMPLETE = "https://app.prolific.com/submissions/complete"


class ArrivalError(Exception):
    """The address is not one that the platform makes; the message is for whoever opened it."""


@dataclass(frozen=True)
class Arrival:
    """How a listener came.

    Args:
        source: "anonymous", "personal", "prolific" or "mturk".
        person: who it is there; None for an open link, where nobody knows.
        visit: the platform's id of this participation. Who knows it may take the participation up again.
        details: all that the platform said.
        preview: somebody who looks at the task before accepting it; nothing may be stored.
    """

    source: str = "anonymous"
    person: str | None = None
    visit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    preview: bool = False


@dataclass(frozen=True)
class Crowd:
    """The ways in that the experimenter has opened, and Prolific's codes, as the admin page sets them.

    Args:
        anonymous: whether the plain address lets anybody in.
        prolific_completion: Prolific's completion code; "" closes the way in from there.
        prolific_screen_out, prolific_no_consent: its codes for those whom a page turned away, and who did not consent;
            where empty, the page asks to return the submission.
        prolific_study: the STUDY_ID that participants of Prolific must come with; "" takes any.
        mturk: whether workers of Mechanical Turk are let in.
        hourly: what a listener is paid for an hour, in the currency of your choice.
    """

    anonymous: bool = True
    prolific_completion: str = ""
    prolific_screen_out: str = ""
    prolific_no_consent: str = ""
    prolific_study: str = ""
    mturk: bool = False
    hourly: float = 12.0

    def lets_in(self, arrival: Arrival) -> bool:
        """Whether that way in is open."""
        opened = {
            "anonymous": self.anonymous, "personal": True,
            "prolific": self.prolific_completion != "" and self._studies(arrival), "mturk": self.mturk,
        }  # fmt: skip
        return opened[arrival.source]

    def _studies(self, arrival: Arrival) -> bool:
        return self.prolific_study in ("", arrival.details.get("STUDY_ID"))


def read_arrival(query: Mapping[str, str]) -> Arrival:
    """Who comes from a platform, by the parameters of the first page's address.

    Raises:
        ArrivalError: a parameter is missing, is no id, or turkSubmitTo is not Amazon's.
    """
    if "PROLIFIC_PID" in query:
        details = _ids(query, "PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
        return Arrival("prolific", details["PROLIFIC_PID"], details["SESSION_ID"], details)
    if "assignmentId" in query:
        if query["assignmentId"] == NOT_ACCEPTED:
            return Arrival("mturk", preview=True)
        details = _ids(query, "workerId", "assignmentId", "hitId")
        details["turkSubmitTo"] = query.get("turkSubmitTo", "").rstrip("/")
        if details["turkSubmitTo"] not in TURK_HOSTS:
            raise ArrivalError(marked("This address does not come from Mechanical Turk. Open the task there again."))
        return Arrival("mturk", details["workerId"], details["assignmentId"], details)
    return Arrival()


def _ids(query: Mapping[str, str], *names: str) -> dict[str, str]:
    values = {name: query.get(name, "") for name in names}
    for value in values.values():
        if not ID.fullmatch(value):
            raise ArrivalError(
                marked(
                    "The address of this page is incomplete or damaged. Go back to where you found the study and open "
                    "it again."
                )
            )
    return values


def prolific_code(text: str) -> str:
    """The code in what was copied from Prolific: itself, or the address with ?cc= that it stands in; "" for nothing.

    Raises:
        UserError: there is no code in it.
    """
    text = text.strip()
    address = re.search(r"[?&]cc=([^&#]*)", text)
    code = address[1] if address else text
    if text and not ID.fullmatch(code):
        raise UserError(f"“{text}” is no code of Prolific, which has letters, digits, - and _ only; copy it again")
    return code


def prolific_return(code: str) -> str:
    """The address that brings a participant back to Prolific with this code."""
    return f"{PROLIFIC_COMPLETE}?{urlencode({'cc': code})}"


def prolific_address(address: str) -> str:
    """The study URL to give to Prolific, which fills in the ids."""
    ids = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
    return f"{address}?" + "&".join(f"{name}={{{{%{name}%}}}}" for name in ids)


def turk_question(address: str, height: int = 0) -> str:
    """The ExternalQuestion document for a HIT; height 0 lets Mechanical Turk fit the frame to the window."""
    return (
        '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/'
        f'ExternalQuestion.xsd">\n  <ExternalURL>{address}</ExternalURL>\n  <FrameHeight>{height}</FrameHeight>\n'
        "</ExternalQuestion>"
    )


@dataclass(frozen=True)
class Cost:
    """What a study costs. Money is in the currency of the hourly pay, fees in it too."""

    sessions: int
    hours: float
    reward: float
    pay: float
    fee: float

    @property
    def total(self) -> float:
        return self.pay + self.fee


def cost(
    items: int, annotations: int, trials: int, minutes: float, hourly: float, *, fee: float, dropped: float = 0.0
) -> Cost:
    """Cost of `items` x `annotations` ratings at `trials` of them a session of `minutes`.

    Args:
        hourly: pay of a listener for an hour.
        fee: the platform's, as a share of the pay: 0.333 is a third.
        dropped: share of sessions that is paid and does not count.

    Raises:
        UserError: dropped is 1 or more.
    """
    if not 0 <= dropped < 1:
        raise UserError("the share of sessions that do not count must be at least 0 and below 1")
    sessions = math.ceil(items * annotations / trials / (1 - dropped))
    reward = math.ceil(minutes / 60 * hourly * 100) / 100
    return Cost(sessions, sessions * minutes / 60, reward, sessions * reward, sessions * reward * fee)


@dataclass(frozen=True)
class Back:
    """The way back to the platform.

    Args:
        label: of the button, still in English; without an address, what to do instead.
        address: where it leads; "" for nowhere.
        fields: of a form that is posted there; without any, `address` is a link.
    """

    label: str
    address: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


def way_back(arrival: Arrival, crowd: Crowd, outcome: str, receipt: str = "") -> Back | None:
    """How a participant returns to the platform; None for who came from none.

    Args:
        outcome: "finished", "turned away", "left", "declined" or "not let in".
        receipt: goes to Mechanical Turk with the submission, so that the requester finds the listener.
    """
    if arrival.source == "prolific":
        codes = {
            "finished": crowd.prolific_completion, "turned away": crowd.prolific_screen_out,
            "declined": crowd.prolific_no_consent,
        }  # fmt: skip
        code = codes.get(outcome, "")
        if code:
            return Back(marked("Back to Prolific"), prolific_return(code))
        return Back(marked("Please return your submission on Prolific by “Stop without completing”."))
    if arrival.source == "mturk":
        if outcome != "finished":
            return Back(marked("Please return the HIT on Mechanical Turk."))
        fields = {"assignmentId": arrival.details["assignmentId"], "receipt": receipt}
        return Back(marked("Submit the HIT"), f"{arrival.details['turkSubmitTo']}/mturk/externalSubmit", fields)
    return None
