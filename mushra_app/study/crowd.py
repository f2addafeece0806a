"""Ways into a listening test: Prolific, Amazon Mechanical Turk, other platforms, personal links, or an open link.

The platforms pass their ids in the address of the first page. Prolific: PROLIFIC_PID, STUDY_ID, SESSION_ID, and a
completion code in the address to which the participant returns. Mechanical Turk (ExternalQuestion): workerId,
assignmentId, hitId, turkSubmitTo, and a form that is posted to turkSubmitTo/mturk/externalSubmit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from earmark.codec.errors import UserError
from earmark.mushra_app.messages import marked
from earmark.mushra_app.study.platform import Platform

ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
NOT_ACCEPTED = "ASSIGNMENT_ID_NOT_AVAILABLE"  # the assignmentId in a preview of a HIT
TURK_HOSTS = ("https://www.mturk.com", "https://workersandbox.mturk.com")
PROLIFIC_COMPLETE = "https://app.prolific.com/submissions/complete"


class ArrivalError(Exception):
    """The address was not made by the platform. The message is for the person who opened it."""


@dataclass(frozen=True)
class Arrival:
    """How a listener came.

    Args:
        source: "anonymous", "personal", or the name of a platform: "prolific", "mturk" or that of session.toml.
        person: id of the person there; None for an open link.
        visit: the platform's id of this participation, with which it can be resumed.
        details: everything the platform sent.
        preview: whether somebody looks at the task before accepting it. Nothing may be stored then.
    """

    source: str = "anonymous"
    person: str | None = None
    visit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    preview: bool = False


@dataclass(frozen=True)
class Crowd:
    """Which ways into the study are open, and Prolific's codes, as set on the admin page.

    Args:
        anonymous: whether the plain address admits anybody.
        prolific_completion: Prolific's completion code; "" admits nobody from there.
        prolific_screen_out: Prolific's code for participants whom a page turned away; if "", the page asks them to
            return their submission.
        prolific_no_consent: the same for participants who do not consent.
        prolific_study: the STUDY_ID that participants of Prolific must have; "" accepts any.
        mturk: whether workers of Mechanical Turk are admitted.
        hourly: pay per hour, in any currency.
    """

    anonymous: bool = True
    prolific_completion: str = ""
    prolific_screen_out: str = ""
    prolific_no_consent: str = ""
    prolific_study: str = ""
    mturk: bool = False
    hourly: float = 12.0

    def lets_in(self, arrival: Arrival) -> bool:
        """Whether the study admits somebody who came this way."""
        opened = {
            "anonymous": self.anonymous, "personal": True,
            "prolific": self.prolific_completion != "" and self._studies(arrival), "mturk": self.mturk,
        }  # fmt: skip
        return opened.get(arrival.source, False)

    def _studies(self, arrival: Arrival) -> bool:
        return self.prolific_study in ("", arrival.details.get("STUDY_ID"))


DAMAGED = marked(
    "The address of this page is incomplete or damaged. Go back to where you found the study and open it again."
)


def read_arrival(query: Mapping[str, str], platform: Platform | None = None) -> Arrival:
    """Read the parameters that a platform adds to the address of the first page.

    Args:
        platform: the one that the study names. Parameters of others mean nothing then.

    Raises:
        ArrivalError: if a parameter is missing or not an id, or turkSubmitTo is not Amazon's.
    """
    if platform is not None and not platform.is_set_on_admin_page:
        return _read_platform(query, platform)
    only = platform.name if platform is not None else None
    if "PROLIFIC_PID" in query and only in (None, "prolific"):
        details = _ids(query, "PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
        return Arrival("prolific", details["PROLIFIC_PID"], details["SESSION_ID"], details)
    if "assignmentId" in query and only in (None, "mturk"):
        if query["assignmentId"] == NOT_ACCEPTED:
            return Arrival("mturk", preview=True)
        details = _ids(query, "workerId", "assignmentId", "hitId")
        details["turkSubmitTo"] = query.get("turkSubmitTo", "").rstrip("/")
        if details["turkSubmitTo"] not in TURK_HOSTS:
            raise ArrivalError(marked("This address does not come from Mechanical Turk. Open the task there again."))
        return Arrival("mturk", details["workerId"], details["assignmentId"], details)
    return Arrival()


def _read_platform(query: Mapping[str, str], platform: Platform) -> Arrival:
    try:
        details = platform.ids(query)
    except ValueError as error:
        raise ArrivalError(DAMAGED) from error
    if details is None:
        return Arrival()
    person = details[platform.participant]
    return Arrival(platform.name, person, details.get(platform.session, person), details)


def _ids(query: Mapping[str, str], *names: str) -> dict[str, str]:
    values = {name: query.get(name, "") for name in names}
    if not all(ID.fullmatch(value) for value in values.values()):
        raise ArrivalError(DAMAGED)
    return values


def prolific_code(text: str) -> str:
    """Extract Prolific's code from what the experimenter copied: the code itself, or the address with ?cc=CODE.

    Returns:
        The code; "" if nothing was copied.

    Raises:
        UserError: if there is no code in the text.
    """
    text = text.strip()
    address = re.search(r"[?&]cc=([^&#]*)", text)
    code = address[1] if address else text
    if text and not ID.fullmatch(code):
        raise UserError(f"“{text}” is not a code of Prolific, which has only letters, digits, - and _; copy it again")
    return code


def prolific_return(code: str) -> str:
    """Address that takes a participant back to Prolific with a code."""
    return f"{PROLIFIC_COMPLETE}?{urlencode({'cc': code})}"


def prolific_address(address: str) -> str:
    """Study URL to enter at Prolific, which fills in the ids."""
    ids = ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID")
    return f"{address}?" + "&".join(f"{name}={{{{%{name}%}}}}" for name in ids)


def turk_question(address: str, height: int = 0) -> str:
    """ExternalQuestion document for a HIT. Height 0 lets Mechanical Turk fit the frame to the window."""
    return (
        '<ExternalQuestion xmlns="http://mechanicalturk.amazonaws.com/AWSMechanicalTurkDataSchemas/2006-07-14/'
        f'ExternalQuestion.xsd">\n  <ExternalURL>{address}</ExternalURL>\n  <FrameHeight>{height}</FrameHeight>\n'
        "</ExternalQuestion>"
    )


@dataclass(frozen=True)
class Back:
    """The way back to the platform.

    Args:
        label: of the button, in English; if there is no address, what to do instead.
        address: where the button leads; "" for no button.
        fields: of a form that is posted to the address; if empty, the address is a link.
        code: completion code to show; "" for none.
    """

    label: str
    address: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    code: str = ""


def way_back(
    arrival: Arrival, crowd: Crowd, outcome: str, receipt: str = "", platform: Platform | None = None
) -> Back | None:
    """How a participant returns to the platform; None for listeners who came from no platform.

    Args:
        outcome: "finished" (all trials of the session are stored; the only one with a completion code), "turned away",
            "left", "not begun", "refused", "declined" or "not let in".
        receipt: sent to Mechanical Turk with the submission, so that the requester can identify the listener.
        platform: the one that the study names.
    """
    if platform is not None and arrival.source == platform.name and not platform.is_set_on_admin_page:
        return _back_to(platform, arrival, outcome)
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


def _back_to(platform: Platform, arrival: Arrival, outcome: str) -> Back | None:
    address = platform.return_address(outcome, arrival.details)
    code = platform.code if outcome == "finished" else ""
    if address:
        return Back(marked("Back to the platform where you found this test"), address, code=code)
    if code:
        return Back(marked("Copy this code to the platform where you found this test:"), code=code)
    if outcome == "finished":
        return None
    return Back(marked("Please return the task on the platform where you found this test."))
