"""Stand-ins for the platforms' APIs: they check who asks and what, keep state, and can fail at chosen requests.

They do what the documentation says, so far as the commands depend on it: docs.prolific.com/api-reference, and for
Mechanical Turk docs.aws.amazon.com/AWSMechTurk/latest/AWSMturkAPI with the patterns of Amazon's service model "mturk".
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "prolific-TOKEN-b7a1c0"
AWS = ("AKIAEXAMPLEEXAMPLE01", "aws/SECRET+c41fe7")


class RefusalError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body


@dataclass
class Fault:
    """A request that fails once.

    Args:
        path: part of its method and path, or of the name of the operation.
        status: of the answer; 0 for none, as the connection breaks.
        done: whether the platform does what was asked before it fails.
        seconds: time before the answer.
    """

    path: str
    status: int = 500
    done: bool = False
    seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "<html>Bad gateway</html>"


class StandIn:
    """A server that keeps its state while it answers several requests.

    Attributes:
        asked: method and path of each request, or the operation, in order.
        after: called after each request was answered to, with its name.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.faults: list[Fault] = []
        self.after: Callable[[str], None] = lambda name: None
        self._lock = threading.Lock()

    def name(self, method: str, path: str, headers: Any) -> str:
        return f"{method} {path}"

    def answer(self, name: str, headers: Any, body: bytes) -> Any:
        raise NotImplementedError

    def changes(self) -> list[str]:
        """The requests that change something."""
        return [name for name in self.asked if not name.startswith(("GET", "List", "Get"))]

    @contextmanager
    def serving(self) -> Iterator[str]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stand_in._respond(self, body)

            do_GET = do_POST = do_PATCH = respond  # noqa: N815 - as http.server names them

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()

    def _respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        name = self.name(handler.command, handler.path, handler.headers)
        headers: dict[str, str] = {}
        with self._lock:
            self.asked.append(name)
            fault = next((one for one in self.faults if one.path in name), None)
            if fault is not None:
                self.faults.remove(fault)
            try:
                if fault is None or fault.done:
                    status, content = 200, self.answer(name, handler.headers, body)
            except RefusalError as refusal:
                status, content = refusal.status, refusal.body
        self.after(name)
        if fault is not None:
            time.sleep(fault.seconds)
            if fault.status == 0:
                handler.close_connection = True
                return
            status, content, headers = fault.status, fault.body, fault.headers
        text = b"" if content is None else (content if isinstance(content, str) else json.dumps(content)).encode()
        try:
            handler.send_response(status)
            for title, value in {**headers, "Content-Length": str(len(text))}.items():
                handler.send_header(title, value)
            handler.end_headers()
            handler.wfile.write(text)
        except OSError:  # who asked is gone
            handler.close_connection = True


def problem(status: int, detail: Any) -> RefusalError:
    """An error of Prolific's."""
    return RefusalError(status, {"error": {"status": status, "title": "Error", "error_code": 140000, "detail": detail}})


class ProlificStandIn(StandIn):
    """Prolific.

    Attributes:
        payments: bulk bonus payments by id: submission -> amount, in pence.
        paid: every bonus that was paid: submission and amount. A payment that is asked for twice is made twice.
        lists_bonuses: whether submissions show bonuses at once.
    """

    FEE = 30  # percent

    def __init__(self) -> None:
        super().__init__()
        self.studies: dict[str, dict[str, Any]] = {}
        self.submissions: dict[str, dict[str, Any]] = {}
        self.payments: dict[str, dict[str, int]] = {}
        self.paid: list[tuple[str, int]] = []
        self.lists_bonuses = True
        self.decided: list[tuple[str, str]] = []
        self.reasons: dict[str, tuple[str, str]] = {}

    def answer(self, name: str, headers: Any, body: bytes) -> Any:
        if headers.get("Authorization") != f"Token {TOKEN}":
            raise problem(401, "Authentication credentials were not provided.")
        for pattern, method in ROUTES:
            if match := re.fullmatch(pattern, name):
                return method(self, *match.groups(), **({"body": json.loads(body)} if body else {}))
        raise problem(404, f"no such page: {name}")

    def account(self) -> Any:
        return {"id": "me", "currency_code": "GBP"}

    def list_studies(self) -> Any:
        short = [{name: one[name] for name in ("id", "internal_name", "status")} for one in self.studies.values()]
        return {"results": short, "_links": {"next": {"href": None}}}

    def create_study(self, body: dict[str, Any]) -> Any:
        needed = {"name", "description", "external_study_url", "prolific_id_option", "completion_codes", "reward",
                  "total_available_places", "estimated_completion_time", "device_compatibility"}  # fmt: skip
        if missing := needed - body.keys():
            raise problem(400, {name: ["This field is required."] for name in missing})
        number = f"5f{len(self.studies):022x}"
        self.studies[number] = {**body, "id": number, "status": "UNPUBLISHED", "presentment_currency_code": "GBP"}
        return self.studies[number]

    def study(self, number: str) -> Any:
        if number not in self.studies:
            raise problem(404, "No Study matches the given query.")
        return self.studies[number]

    def change_study(self, number: str, body: dict[str, Any]) -> Any:
        study = self.study(number)
        if study["status"] == "UNPUBLISHED" and body == {"is_external_study_url_secure": True}:
            study.update(body)
            return study
        places = body["total_available_places"]
        if places < self.study(number)["total_available_places"]:
            raise problem(400, "Places can only be increased")
        self.studies[number]["total_available_places"] = places
        return self.studies[number]

    def transition_study(self, number: str, body: dict[str, Any]) -> Any:
        study = self.study(number)
        if body != {"action": "PUBLISH"} or study["status"] != "UNPUBLISHED":
            raise problem(400, f"cannot {body['action']} a study that is {study['status']}")
        study["status"] = "ACTIVE"
        return study

    def list_submissions(self, number: str) -> Any:
        self.study(number)
        shown = [dict(one) for one in self.submissions.values()]
        if not self.lists_bonuses:
            shown = [{**one, "bonus_payments": []} for one in shown]
        return {"results": shown}

    def transition(self, number: str, body: dict[str, Any]) -> Any:
        if number not in self.submissions:
            raise problem(404, "No Submission matches the given query.")
        one, action = self.submissions[number], body["action"]
        if action == "REJECT" and (len(body.get("message", "")) < 100 or not body.get("rejection_category")):
            raise problem(400, "message must have at least 100 characters, rejection_category is required")
        wanted = {"APPROVE": "APPROVED", "REJECT": "REJECTED"}[action]
        if one["status"] == wanted:
            return one  # "if you make the same request twice, the second request will be ignored"
        if one["status"] != "AWAITING REVIEW":
            raise problem(400, f"cannot {action} a submission that is {one['status']}")
        one["status"] = wanted
        self.decided.append((number, wanted))
        if action == "REJECT":
            self.reasons[number] = (body["message"], body["rejection_category"])
        return one

    def set_up_bonuses(self, body: dict[str, Any]) -> Any:
        self.study(body["study_id"])
        rows = dict(row.split(",") for row in body["csv_bonuses"].splitlines())
        if unknown := [number for number in rows if number not in self.submissions]:
            raise problem(400, f"not in this study: {unknown}")
        assert all(re.fullmatch(r"\d+\.\d\d", amount) for amount in rows.values())
        number = f"b{len(self.payments)}"
        self.payments[number] = {one: int(amount.replace(".", "")) for one, amount in rows.items()}
        amount = sum(self.payments[number].values())
        fees = amount * self.FEE / 100
        return {"id": number, "study": body["study_id"], "amount": amount, "fees": fees, "vat": 0.0,
                "total_amount": amount + fees}  # fmt: skip

    def pay_bonuses(self, number: str) -> Any:
        for one, amount in self.payments[number].items():
            self.paid.append((one, amount))
            self.submissions[one]["bonus_payments"].append(float(amount))


ROUTES = (
    ("GET /api/v1/users/me/", ProlificStandIn.account),
    ("GET /api/v1/studies/", ProlificStandIn.list_studies),
    ("POST /api/v1/studies/", ProlificStandIn.create_study),
    ("GET /api/v1/studies/([^/]+)/", ProlificStandIn.study),
    ("PATCH /api/v1/studies/([^/]+)/", ProlificStandIn.change_study),
    ("POST /api/v1/studies/([^/]+)/transition/", ProlificStandIn.transition_study),
    ("GET /api/v1/studies/([^/]+)/submissions/", ProlificStandIn.list_submissions),
    ("POST /api/v1/submissions/bonus-payments/", ProlificStandIn.set_up_bonuses),
    ("POST /api/v1/submissions/([^/]+)/transition/", ProlificStandIn.transition),
    ("POST /api/v1/bulk-bonus-payments/([^/]+)/pay/", ProlificStandIn.pay_bonuses),
)
