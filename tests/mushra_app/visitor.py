"""A minimal browser for tests over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse


@dataclass
class Page:
    """The data that the script of a trial page reads from it."""

    key: str
    token: str
    audio: list[str]
    stimuli: list[str]
    title: str


class Visitor:
    """A minimal browser that follows redirects and keeps cookies and all responses."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.responses: list[TestResponse] = []

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.keep(self.client.get(path, follow_redirects=True, **options))

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.keep(self.client.post(path, follow_redirects=True, **options))

    def keep(self, response: TestResponse) -> TestResponse:
        self.responses += [*response.history, response]
        return response

    def begin(self, path: str = "/") -> TestResponse:
        """Consent, and complete the volume page."""
        page = self.post("/start", data={"token": field(self.get(path).text, "token"), "consent": "yes"})
        return self.go_on(page)

    def go_on(self, page: TestResponse) -> TestResponse:
        """Press the button of a page that is not a trial."""
        assert page.status_code == 200, page.text
        return self.post(attribute(page.text, "action")[0], data={"token": field(page.text, "token")})

    def trial(self) -> Page:
        html = self.get("/trial").text
        return Page(
            key=attribute(html, "data-key")[0],
            token=attribute(html, "data-token")[0],
            audio=attribute(html, "data-audio"),
            stimuli=attribute(html, "data-stimulus"),
            title=re.search("<title>(.*)</title>", html)[1],
        )

    def rate(self, page: Page, score: int = 50, **changes: Any) -> TestResponse:
        marks = [{"stimulus": token, "score": score + index} for index, token in enumerate(page.stimuli)]
        body = {"token": page.token, "seconds": 12.5, "ratings": marks, **changes}
        return self.post(f"/trial/{page.key}", json=body)


def field(html: str, name: str) -> str:
    return re.search(f'name="{name}" value="([^"]*)"', html)[1]


def attribute(html: str, name: str) -> list[str]:
    return re.findall(f'{name}="([^"]*)"', html)
