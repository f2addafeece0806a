"""The platform that a study recruits on, from `[platform]` in session.toml.

A platform says in the address of the first page who comes, in parameters of its own names, and takes participants back
at addresses of its own. The presets hold what the platforms document:

- Prolific: PROLIFIC_PID, STUDY_ID, SESSION_ID; docs.prolific.com, "The study object".
- Mechanical Turk: workerId, assignmentId, hitId, turkSubmitTo; see crowd.py.
- Connect (CloudResearch): participantId, assignmentId and projectId, in this spelling. Participants return to the
  Redirect URL that the wizard "Create a Study" shows at its end, or copy a completion code ("Project Completion"). The
  URL, connect.cloudresearch.com/participant/project/CODE/complete, has a code of its own, which is not the projectId.
- SONA: the Study URL holds %SURVEY_CODE%, which becomes a number; the Client-Side Completion URL ends in survey_code=
  and that number ("External Study Credit Granting").
- Toloka adds nothing to addresses. The participant copies a code into the task ("Survey on third-party platform").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

ID = re.compile(r"[A-Za-z0-9._~@:+=-]{1,128}")
PARAMETER = re.compile(r"[A-Za-z0-9_.-]{1,64}")
NAME = re.compile(r"[a-z0-9][a-z0-9 _-]{0,31}")
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
RESERVED = ("anonymous", "personal")  # sources of listeners who come from no platform
PARAMETERS = ("participant", "session", "study")
ADDRESSES = ("completed", "screened_out", "refused")
KEYS = ("name", *PARAMETERS, "study_id", *ADDRESSES, "code", "signed", "signed_for")


@dataclass(frozen=True)
class Platform:
    """Where participants come from, and where they return to.

    Args:
        name: stored as the source of its listeners.
        participant, session, study: parameters with the ids of the person, of this participation, and of the study on
            the platform; "" for none. Without `session`, whoever knows a person's id can continue that session.
        study_id: the value that `study` must have; "" for any.
        completed, screened_out, refused: addresses to return to after all trials, when a page turned the listener away,
            and without consent. They can contain {participant}, {session} and {study}.
        code: completion code that the last page shows.
        signed: whether Prolific's signature of the address is required; see web/signed_address.py.
        signed_for: what the signature must be for (`aud`); "" for the public address of the study.
        study_address: parameters to add to the address that is entered on the platform, with its own placeholders.
    """

    name: str
    participant: str = ""
    session: str = ""
    study: str = ""
    study_id: str = ""
    completed: str = ""
    screened_out: str = ""
    refused: str = ""
    code: str = ""
    signed: bool = False
    signed_for: str = ""
    study_address: str = ""

    @property
    def is_set_on_admin_page(self) -> bool:
        """Whether the admin page admits its participants and holds their completion codes."""
        return self.name in ("prolific", "mturk")

    def credit_note(self) -> str:
        """A note for the experimenter if participants who finish get no credit; "" if they do."""
        if self.is_set_on_admin_page or self.completed or self.code:
            return ""
        return (
            f"session.toml: [platform] {self.name} has neither completed, the address that participants return to, nor "
            "code: those who finish get no credit from the platform"
        )

    def ids(self, query: Mapping[str, str]) -> dict[str, str] | None:
        """The ids in an address, by parameter; None if it has none of the platform's parameters.

        Raises:
            ValueError: one is missing or not an id, or the study is another one.
        """
        names = [name for name in (self.participant, self.session, self.study) if name]
        if not any(name in query for name in names):
            return None
        found = {name: query.get(name, "") for name in names}
        if not all(ID.fullmatch(value) for value in found.values()):
            raise ValueError("an id is missing or damaged")
        if self.study_id and found[self.study] != self.study_id:
            raise ValueError("the address belongs to another study")
        return found

    def return_address(self, outcome: str, details: Mapping[str, str]) -> str:
        """Address that a participant returns to; "" if there is none.

        Args:
            outcome: see crowd.way_back.
            details: ids by parameter.
        """
        address = {"finished": self.completed, "turned away": self.screened_out, "declined": self.refused}.get(outcome)
        values = {kind: details.get(getattr(self, kind), "") for kind in PARAMETERS}
        return PLACEHOLDER.sub(lambda match: quote(values[match[1]], safe=""), address or "")


PRESETS: Mapping[str, Platform] = {
    "prolific": Platform("prolific", "PROLIFIC_PID", "SESSION_ID", "STUDY_ID"),
    "mturk": Platform("mturk", "workerId", "assignmentId", "hitId"),
    "connect": Platform("connect", "participantId", "assignmentId", "projectId"),
    "sona": Platform("sona", "survey_code", study_address="survey_code=%SURVEY_CODE%"),
    "toloka": Platform("toloka"),
}


def read_platform(settings: Mapping[str, Any]) -> Platform | None:
    """Read `[platform]` of session.toml; None if there is none.

    Raises:
        ValueError: if a setting is wrong; says which, and what is allowed.
    """
    table = settings.get("platform")
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ValueError("platform is written [platform], with its settings below")
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise ValueError(f"platform: no such key: {', '.join(unknown)}; there are {', '.join(KEYS)}")
    for key, value in table.items():
        if not isinstance(value, bool if key == "signed" else str):
            raise ValueError(f"platform: {key} must be {'true or false' if key == 'signed' else 'a text'}")
    name = table.get("name", "")
    if not NAME.fullmatch(name) or name in RESERVED:
        raise ValueError(
            f'platform: name = "{name}": must be one of {", ".join(PRESETS)}, or a name of your own in small letters'
        )
    platform = replace(PRESETS.get(name, Platform(name)), **table)
    _check(platform, table)
    return platform


def _check(platform: Platform, table: Mapping[str, Any]) -> None:
    if platform.is_set_on_admin_page:
        fixed = [key for key in (*PARAMETERS, "study_id", *ADDRESSES, "code") if key in table]
        if fixed:
            raise ValueError(
                f"platform: {', '.join(fixed)}: the parameters of {platform.name} are known, and its codes are set on "
                "the admin page; for others, choose a name of your own"
            )
    if (platform.signed or platform.signed_for) and platform.name != "prolific":
        raise ValueError('platform: signed and signed_for are for name = "prolific", which signs its addresses')
    if platform.name == "connect" and not (platform.completed or platform.code):
        raise ValueError(
            "platform: connect needs completed, the Redirect URL that Connect shows for the study, or code"
        )
    if not platform.participant:
        raise ValueError("platform: participant is missing: the parameter of the address that holds the person's id")
    for kind in PARAMETERS:
        if getattr(platform, kind) and not PARAMETER.fullmatch(getattr(platform, kind)):
            raise ValueError(f"platform: {kind}: must be the name of a parameter, such as participantId")
    if platform.study_id and not platform.study:
        raise ValueError("platform: study_id needs study, the name of the parameter that must have it")
    for key in ADDRESSES:
        _check_address(platform, key)


def _check_address(platform: Platform, key: str) -> None:
    address = getattr(platform, key)
    if not address:
        return
    known = [kind for kind in PARAMETERS if getattr(platform, kind)]
    wrong = [name for name in PLACEHOLDER.findall(address) if name not in known]
    if wrong or any(sign in PLACEHOLDER.sub("", address) for sign in "{}"):
        raise ValueError(
            f"platform: {key}: no such placeholder: {', '.join(f'{{{one}}}' for one in wrong) or 'a single brace'}; "
            f"there are {', '.join(f'{{{one}}}' for one in known)}"
        )
    if not _is_address(address):
        raise ValueError(f"platform: {key}: must be an address that begins with https://")


def _is_address(address: str) -> bool:
    """Whether an address is HTTP, with a host that no placeholder changes, and without blanks."""
    try:
        parts = urlsplit(PLACEHOLDER.sub("x", address))
        parts.port  # noqa: B018 - raises ValueError if it is no port
    except ValueError:
        return False
    is_http = parts.scheme in ("https", "http") and bool(parts.hostname)
    return is_http and "{" not in address.split("/")[2] and not re.search(r"\s", address)
