"""Amazon Mechanical Turk's requester API, version 2017-01-17: docs.aws.amazon.com/AWSMechTurk/latest/AWSMturkAPI.

Operations: CreateHIT, GetHIT, ListHITs, ListAssignmentsForHIT, GetAssignment, ApproveAssignment, RejectAssignment,
SendBonus, ListBonusPayments, each a POST of JSON with the header X-Amz-Target. Amounts are texts in US dollars.

CreateHIT and SendBonus carry a UniqueRequestToken, made of what is asked, for which Amazon acts once in 24 hours. After
that, the lists of HITs and of bonus payments tell what was done.
"""

from __future__ import annotations

import hashlib
import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from earmark.codec.errors import UserError
from earmark.codec.text import counted
from earmark.mushra_app.database.sent import Journal
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.platforms.api import Bonus, Offer, Platform, Report, Step, Submission, statuses
from earmark.mushra_app.platforms.money import decimal, parse, shown
from earmark.mushra_app.platforms.requests import ApiError, Requests, key_from
from earmark.mushra_app.platforms.signature import Credentials, signed_headers
from earmark.mushra_app.study.crowd import turk_question

ADDRESS = "https://mturk-requester.us-east-1.amazonaws.com/"
SANDBOX = "https://mturk-requester-sandbox.us-east-1.amazonaws.com/"
REGION, SERVICE = "us-east-1", "mturk-requester"
TARGET = "MTurkRequesterServiceV20170117"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
STATE = statuses({"waiting": ["Submitted"], "approved": ["Approved"], "rejected": ["Rejected"]})
PAGE = 100  # results of a list
MOST_PLACES = 9  # of a HIT; from 10 on, Amazon's fee doubles
DAY = 86400
AUTO_APPROVAL_DAYS = 7
ALREADY = ("already been processed", "alreadyexists")  # in the answer to a token that Amazon knows


class MechanicalTurk(Platform):
    """Amazon Mechanical Turk.

    Args:
        study_id: id of the study's database, by which its HITs are recognised.
        hits: other HITs from which listeners came.
        sandbox: whether to use the sandbox, where no money is paid.

    Raises:
        UserError: the keys are not in the environment.
    """

    name = "mturk"
    title = "Mechanical Turk"
    currency = "USD"

    def __init__(self, study_id: str, hits: Sequence[str], *, sandbox: bool) -> None:
        key_id, secret = (key_from(name, self.title) for name in KEYS[:2])
        token = key_from(KEYS[2], self.title) if os.environ.get(KEYS[2], "").strip() else ""
        self._credentials = Credentials(key_id, secret, token)
        self._requests = Requests(self.title, self._sign, (key_id, secret, token))
        self._hits: list[dict[str, Any]] | None = None
        self._study_id, self._other_hits = study_id, tuple(hits)
        self._address = SANDBOX if sandbox else ADDRESS

    def call(self, operation: str, body: Mapping[str, Any]) -> Any:
        """Send an operation.

        Raises:
            ApiError: see Requests.send.
        """
        content = json.dumps(body).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"{TARGET}.{operation}"}
        return self._requests.send("POST", self._address, headers, content)

    def _sign(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, str]:
        when = datetime.now(UTC)
        return signed_headers(method, url, headers, body, self._credentials, region=REGION, service=SERVICE, when=when)

    def _list(self, operation: str, results: str, **body: str) -> Iterator[dict[str, Any]]:
        """All results of an operation that lists them in pages."""
        token: dict[str, str] = {}
        while True:
            answer = self.call(operation, {**body, **token, "MaxResults": PAGE})
            yield from answer.get(results) or ()
            if not answer.get("NextToken"):
                return
            token = {"NextToken": answer["NextToken"]}

    def hits(self) -> list[dict[str, Any]]:
        """HITs that `earmark study publish` has made for this study."""
        if self._hits is None:
            listed = self._list("ListHITs", "HITs")
            self._hits = [one for one in listed if one.get("RequesterAnnotation") == self._annotation]
        return self._hits

    def submissions(self) -> list[Submission]:
        found: dict[str, Submission] = {}
        for hit in dict.fromkeys([*(one["HITId"] for one in self.hits()), *self._other_hits]):
            bonuses: dict[str, list[int]] = {}
            for one in self._list("ListBonusPayments", "BonusPayments", HITId=hit):
                bonuses.setdefault(one["AssignmentId"], []).append(parse(one["BonusAmount"]))
            for one in self._list("ListAssignmentsForHIT", "Assignments", HITId=hit):
                number, status = one["AssignmentId"], one["AssignmentStatus"]
                paid = tuple(bonuses.get(number, ()))
                found[number] = Submission(
                    number, one["WorkerId"], STATE(status), status, receipt_in(one.get("Answer", "")), paid
                )
        return list(found.values())

    def reward(self) -> int | None:
        known = {one["HITId"]: one for one in self.hits()}
        others = [self.call("GetHIT", {"HITId": one})["HIT"] for one in self._other_hits if one not in known]
        rewards = {parse(one["Reward"]) for one in (*known.values(), *others)}
        return rewards.pop() if len(rewards) == 1 else None

    def approve(self, submission: str) -> None:
        self._review(submission, "ApproveAssignment", {"AssignmentId": submission}, "Approved")

    def reject(self, submission: str, reason: str, category: str) -> None:
        body = {"AssignmentId": submission, "RequesterFeedback": reason}
        self._review(submission, "RejectAssignment", body, "Rejected")

    def _review(self, submission: str, operation: str, body: Mapping[str, str], wanted: str) -> None:
        """Approve or reject. Amazon refuses to do so twice, which is no error if the assignment is in that state."""
        try:
            self.call(operation, body)
        except ApiError:
            answer = self.call("GetAssignment", {"AssignmentId": submission})
            if answer["Assignment"]["AssignmentStatus"] != wanted:
                raise

    def pay(self, bonuses: Sequence[Bonus], journal: Journal, *, most: int, again: bool, report: Report) -> int:
        paid = 0
        for bonus in bonuses:
            try:
                paid += self._pay(bonus, journal)
            except ApiError as error:
                problem = "not paid" if error.no_effect else "not known to be paid; repeat the command"
                report(f"{bonus.submission.id}: {problem}: {error}")
        return paid

    def _pay(self, bonus: Bonus, journal: Journal) -> bool:
        """Pay a bonus; False if an interrupted call has paid it. The token lets Amazon pay once within 24 hours."""
        if bonus.earlier is not None and self._has_paid(bonus):
            journal.finish([bonus.key])
            return False
        journal.begin({bonus.key: {"amount": bonus.amount, "reason": bonus.reason}})
        body = {
            "WorkerId": bonus.submission.participant,
            "AssignmentId": bonus.submission.id,
            "BonusAmount": decimal(bonus.amount),
            "Reason": bonus.reason,
            "UniqueRequestToken": self.token(bonus.key),
        }
        try:
            self.call("SendBonus", body)
        except ApiError as error:
            if not _is_known(error):
                if error.no_effect:
                    journal.withdraw([bonus.key])
                raise
        journal.finish([bonus.key])
        return True

    def _has_paid(self, bonus: Bonus) -> bool:
        listed = self._list("ListBonusPayments", "BonusPayments", AssignmentId=bonus.submission.id)
        return any(
            (parse(one["BonusAmount"]), one.get("Reason")) == (bonus.amount, bonus.reason) for one in listed
        )  # fmt: skip

    def publishing(self, offer: Offer, store: Store, journal: Journal) -> list[Step]:
        found = []
        if not store.crowd.mturk:
            found.append(Step("admit workers of Mechanical Turk", 0, lambda: _admit(store)))
        offered = sum(int(one["MaxAssignments"]) for one in self.hits())
        if offered < offer.places and not offer.address.startswith("https://"):
            raise UserError("--url: give the public address of the study, which must begin with https://")
        for start in range(offered, offer.places, MOST_PLACES):
            found.append(self._hit(offer, start, min(MOST_PLACES, offer.places - start), journal))
        return found

    def _hit(self, offer: Offer, start: int, places: int, journal: Journal) -> Step:
        """A HIT for some of the places; `start`, the number of those before, makes its token."""
        key = f"hit {'sandbox' if self._address == SANDBOX else 'mturk'} {start}"
        body = {
            "Title": offer.title,
            "Description": offer.description,
            "Keywords": "audio, listening, headphones",
            "Reward": decimal(offer.reward),
            "MaxAssignments": places,
            "LifetimeInSeconds": offer.days * DAY,
            "AssignmentDurationInSeconds": max(3600, 4 * 60 * offer.minutes),
            "AutoApprovalDelayInSeconds": AUTO_APPROVAL_DAYS * DAY,
            "Question": turk_question(offer.address),
            "RequesterAnnotation": self._annotation,
            "UniqueRequestToken": self.token(key),
        }

        def create() -> None:
            journal.begin({key: {"places": places, "reward": offer.reward}})
            try:
                self.call("CreateHIT", body)
            except ApiError as error:
                if not _is_known(error):
                    raise
            journal.finish([key])

        text = f"create a HIT of {places} assignments at {shown(offer.reward, self.currency)}: {offer.title}"
        details = (
            f"description: {offer.description}",
            f"address: {offer.address}",
            f"offered for {counted(offer.days, 'day')}; approved without review after {AUTO_APPROVAL_DAYS} days",
        )
        return Step(text, places * offer.reward, create, details)

    @property
    def _annotation(self) -> str:
        return f"earmark {self._study_id}"

    def token(self, key: str) -> str:
        """UniqueRequestToken of a request: the same for the same study and key."""
        return hashlib.sha256(f"{self._study_id} {key}".encode()).hexdigest()


def receipt_in(answer: str) -> str:
    """Receipt in the answer to a HIT (QuestionFormAnswers); "" if there is none."""
    if "<!" in answer.replace("<![CDATA[", ""):
        return ""  # a document type, with which a few bytes can stand for many
    try:
        root = ElementTree.fromstring(answer)
    except ElementTree.ParseError:
        return ""
    for element in root.findall("{*}Answer"):
        if element.findtext("{*}QuestionIdentifier") == "receipt":
            return element.findtext("{*}FreeText") or ""
    return ""


def _is_known(error: ApiError) -> bool:
    """Whether Amazon says that it has done what the token stands for."""
    return any(words in str(error).lower() for words in ALREADY)


def _admit(store: Store) -> None:
    store.crowd = replace(store.crowd, mturk=True)
