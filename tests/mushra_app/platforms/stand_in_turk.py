"""A stand-in for Mechanical Turk's requester API."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

from earmark.mushra_app.platforms.signature import Credentials, signed_headers
from tests.mushra_app.platforms.stand_in import AWS, RefusalError, StandIn

PAGE = 2  # results of a list, fewer than Amazon returns, so that there are several pages
ENTITY, WORKER, AMOUNT = r"[A-Z0-9]{1,64}", r"A[A-Z0-9]{1,63}", r"[0-9]+(\.)?[0-9]{0,2}"
# Operation -> parameters with their patterns in Amazon's service model; those with a star are required.
PARAMETERS: dict[str, dict[str, str]] = {
    "ListHITs": {"NextToken": ".+", "MaxResults": r"\d|\d\d|100"},
    "ListAssignmentsForHIT": {"HITId*": ENTITY, "NextToken": ".+", "MaxResults": r"\d|\d\d|100"},
    "ListBonusPayments": {"HITId": ENTITY, "AssignmentId": ENTITY, "NextToken": ".+", "MaxResults": r"\d|\d\d|100"},
    "GetAssignment": {"AssignmentId*": ENTITY},
    "GetHIT": {"HITId*": ENTITY},
    "ApproveAssignment": {"AssignmentId*": ENTITY, "RequesterFeedback": ".{1,1024}"},
    "RejectAssignment": {"AssignmentId*": ENTITY, "RequesterFeedback*": ".{1,1024}"},
    "SendBonus": {"WorkerId*": WORKER, "AssignmentId*": ENTITY, "BonusAmount*": AMOUNT, "Reason*": ".+",
                  "UniqueRequestToken": ".{1,64}"},
    "CreateHIT": {"Title*": ".+", "Description*": ".+", "Keywords": ".+", "Reward*": AMOUNT, "MaxAssignments": r"\d+",
                  "LifetimeInSeconds*": r"\d+", "AssignmentDurationInSeconds*": r"\d+", "Question": "(?s).+",
                  "AutoApprovalDelayInSeconds": r"\d+", "RequesterAnnotation": ".+", "UniqueRequestToken": ".{1,64}"},
}  # fmt: skip


def request_error(message: str, code: str = "AWS.MechanicalTurk.RequestError") -> RefusalError:
    name = "com.amazonaws.mturk.requester#RequestError"
    return RefusalError(400, {"__type": name, "Message": message, "TurkErrorCode": code})


class TurkStandIn(StandIn):
    """Mechanical Turk.

    Attributes:
        bonuses: every bonus that was paid.
        forgets_tokens: whether 24 hours have passed since the last request.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hits: dict[str, dict[str, Any]] = {}
        self.assignments: dict[str, dict[str, Any]] = {}
        self.bonuses: list[dict[str, Any]] = []
        self.tokens: set[str] = set()
        self.decided: list[tuple[str, str]] = []

    def name(self, method: str, path: str, headers: Any) -> str:
        return str(headers.get("X-Amz-Target", "")).partition(".")[2]

    def answer(self, name: str, headers: Any, body: bytes) -> Any:
        self._check_signature(headers, body)
        given = json.loads(body)
        known = PARAMETERS[name]
        required = {one.removesuffix("*") for one in known if one.endswith("*")}
        patterns = {one.removesuffix("*"): pattern for one, pattern in known.items()}
        wrong = [one for one, value in given.items() if not re.fullmatch(patterns.get(one, "(?!)"), str(value))]
        if wrong or required - given.keys():
            raise RefusalError(
                400, {"__type": "ValidationException", "message": f"wrong: {wrong}, {required - given.keys()}"}
            )
        if (token := given.get("UniqueRequestToken")) in self.tokens:
            if name == "CreateHIT":
                raise request_error("HIT was created before", "AWS.MechanicalTurk.HITAlreadyExists")
            raise request_error(f'The idempotency token "{token}" has already been processed. (1626172412406)')
        result = getattr(self, name)(given)
        if token:
            self.tokens.add(token)
        return result

    def _check_signature(self, headers: Any, body: bytes) -> None:
        """Sign again what came, by the signer that AWS's published examples verify."""
        when = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        given = {name: headers[name] for name in ("Content-Type", "X-Amz-Target")}
        expected = signed_headers(
            "POST", f"https://{headers['Host']}/", given, body, Credentials(*AWS), region="us-east-1",
            service="mturk-requester", when=when,
        )["Authorization"]  # fmt: skip
        if headers.get("Authorization") != expected or abs((datetime.now(UTC) - when).total_seconds()) > 300:
            raise RefusalError(400, {"__type": "InvalidSignatureException", "message": "The request signature differs"})

    def _page(self, results: str, found: list[dict[str, Any]], given: dict[str, Any]) -> Any:
        start = int(given.get("NextToken", 0))
        more = {"NextToken": str(start + PAGE)} if start + PAGE < len(found) else {}
        return {results: found[start : start + PAGE], "NumResults": len(found[start : start + PAGE]), **more}

    def _assignment(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["AssignmentId"] not in self.assignments:
            raise request_error(f"Assignment {given['AssignmentId']} does not exist.")
        return self.assignments[given["AssignmentId"]]

    def ListHITs(self, given: dict[str, Any]) -> Any:  # noqa: N802 - names of the operations
        return self._page("HITs", list(self.hits.values()), given)

    def ListAssignmentsForHIT(self, given: dict[str, Any]) -> Any:  # noqa: N802
        found = [one for one in self.assignments.values() if one["HITId"] == given["HITId"]]
        return self._page("Assignments", found, given)

    def ListBonusPayments(self, given: dict[str, Any]) -> Any:  # noqa: N802
        hit, assignment = given.get("HITId"), given.get("AssignmentId")
        found = [
            one for one in self.bonuses
            if assignment in (None, one["AssignmentId"])
            and hit in (None, self.assignments[one["AssignmentId"]]["HITId"])
        ]  # fmt: skip
        return self._page("BonusPayments", found, given)

    def GetHIT(self, given: dict[str, Any]) -> Any:  # noqa: N802
        return {"HIT": self.hits.get(given["HITId"], {"HITId": given["HITId"], "Reward": "4.00"})}

    def GetAssignment(self, given: dict[str, Any]) -> Any:  # noqa: N802
        return {"Assignment": self._assignment(given)}

    def ApproveAssignment(self, given: dict[str, Any]) -> Any:  # noqa: N802
        self._decide(given, "Approved")
        return {}

    def RejectAssignment(self, given: dict[str, Any]) -> Any:  # noqa: N802
        self._decide(given, "Rejected")
        return {}

    def _decide(self, given: dict[str, Any], status: str) -> None:
        one = self._assignment(given)
        if one["AssignmentStatus"] != "Submitted":
            raise request_error(f"This operation can be called with a status of: Submitted ({one['AssignmentId']})")
        one["AssignmentStatus"] = status
        self.decided.append((one["AssignmentId"], status))

    def SendBonus(self, given: dict[str, Any]) -> Any:  # noqa: N802
        if self._assignment(given)["WorkerId"] != given["WorkerId"]:
            raise request_error("The worker has not worked on this assignment")
        names = ("WorkerId", "AssignmentId", "BonusAmount", "Reason")
        self.bonuses.append({name: given[name] for name in names})
        return {}

    def CreateHIT(self, given: dict[str, Any]) -> Any:  # noqa: N802
        number = f"HIT{len(self.hits)}"
        self.hits[number] = {"HITId": number, **given}
        del self.hits[number]["UniqueRequestToken"]
        return {"HIT": self.hits[number]}
