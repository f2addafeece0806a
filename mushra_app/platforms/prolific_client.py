"""Requests to Prolific's API, version 1: docs.prolific.com/api-reference, "Introduction" and "Retrieve a study"."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from earmark.codec.errors import UserError
from earmark.mushra_app.platforms.requests import ApiError, Requests, key_from

ADDRESS = "https://api.prolific.com/api/v1"
KEY = "PROLIFIC_TOKEN"  # as Prolific's own client calls it
TITLE = "Prolific"


class ProlificClient:
    """Asks Prolific, with the token in the environment.

    Args:
        study_id: of the study there; "" before it exists.

    Raises:
        UserError: the token is not in the environment.
    """

    def __init__(self, study_id: str) -> None:
        token = key_from(KEY, TITLE)
        authorization = {"Authorization": f"Token {token}"}
        self._requests = Requests(TITLE, lambda _, __, headers, ___: {**headers, **authorization}, (token,))
        self._study_id = study_id
        self._study: dict[str, Any] | None = None

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the JSON value of the answer.

        Raises:
            ApiError: see Requests.send.
        """
        content = b"" if body is None else json.dumps(body).encode()
        return self._requests.send(method, f"{ADDRESS}{path}", {"Content-Type": "application/json"}, content)

    def next_page(self, answer: dict[str, Any]) -> str | None:
        """Path of the next page of a list, which has its address in `_links`; None if there is none.

        Raises:
            ApiError: it is at another place, to which no key is sent.
        """
        link = ((answer.get("_links") or {}).get("next") or {}).get("href")
        if not link:
            return None
        if not str(link).startswith(f"{ADDRESS}/"):
            raise ApiError("Prolific: the next page of the list is at another address", no_effect=True)
        return str(link).removeprefix(ADDRESS)

    def study(self) -> dict[str, Any]:
        """The study object.

        Raises:
            UserError: the id of the study is not known.
            ApiError: see Requests.send.
        """
        if not self._study_id:
            raise UserError(
                "Prolific: the id of the study is not known; enter it on the admin page (Admission: Study id), or let "
                "`earmark study publish` make the study"
            )
        if self._study is None:
            self._study = self.call("GET", f"/studies/{quote(self._study_id, safe='')}/")
        return self._study

    def currency(self) -> str:
        """Currency of the study; of one that does not exist yet, that of the account."""
        if not self._study_id:
            return str((self.call("GET", "/users/me/") or {}).get("currency_code") or "GBP")
        study = self.study()
        return str(study.get("presentment_currency_code") or study.get("currency_code") or "GBP")
