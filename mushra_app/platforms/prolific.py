"""Prolific, by the pages of docs.prolific.com/api-reference.

"List study submissions", "Submission object", and "Approve or reject a submission", which is idempotent; a rejection
needs a message of 100 characters and a category. The categories are those of Prolific's own client.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.platforms import prolific_bonuses, prolific_studies
from earmark.mushra_app.platforms.api import Bonus, Offer, Platform, Report, Step, Submission, statuses
from earmark.mushra_app.platforms.prolific_client import TITLE, ProlificClient

STATE = statuses({"waiting": ["AWAITING REVIEW"], "approved": ["APPROVED"], "rejected": ["REJECTED"]})


class Prolific(Platform):
    """Prolific.

    Args:
        study_id: of the study there; "" before it exists.

    Raises:
        UserError: the token is not in the environment.
    """

    name = "prolific"
    title = TITLE
    shortest_reason = 100
    longest_reason = 10_000
    categories = (
        "OTHER", "TOO_QUICKLY", "TOO_SLOWLY", "FAILED_INSTRUCTIONS", "FAILED_CHECK", "LOW_EFFORT", "NO_CODE",
        "BAD_CODE", "NO_DATA", "UNSUPP_DEVICE", "INCOMP_LONGITUDINAL", "MALINGERING",
    )  # fmt: skip

    def __init__(self, study_id: str) -> None:
        self.client = ProlificClient(study_id)

    @property
    def currency(self) -> str:
        return self.client.currency()

    def reward(self) -> int | None:
        return round(self.client.study()["reward"])  # in cents or pence; JSON may have 320.0

    def submissions(self) -> list[Submission]:
        found: list[Submission] = []
        path: str | None = f"/studies/{quote(self.client.study()['id'], safe='')}/submissions/"
        while path is not None:
            answer = self.client.call("GET", path)
            found += [_submission(one) for one in answer["results"]]
            path = self.client.next_page(answer)
        return found

    def approve(self, submission: str) -> None:
        self._transition(submission, {"action": "APPROVE"})

    def reject(self, submission: str, reason: str, category: str) -> None:
        self._transition(submission, {"action": "REJECT", "message": reason, "rejection_category": category})

    def _transition(self, submission: str, body: dict[str, str]) -> None:
        self.client.call("POST", f"/submissions/{quote(submission, safe='')}/transition/", body)

    def pay(self, bonuses: Sequence[Bonus], journal: Journal, *, most: int, again: bool, report: Report) -> int:
        return prolific_bonuses.pay(self.client, bonuses, journal, most=most, again=again, report=report)

    def publishing(self, offer: Offer, store: Store, journal: Journal) -> list[Step]:
        return prolific_studies.steps(self.client, offer, store, journal)


def _submission(one: dict[str, Any]) -> Submission:
    status = str(one["status"])
    bonuses = tuple(round(amount) for amount in one.get("bonus_payments") or ())
    return Submission(
        one["id"],
        str(one.get("participant_id") or one.get("participant") or ""),
        STATE(status),
        status,
        bonuses=bonuses,
    )
