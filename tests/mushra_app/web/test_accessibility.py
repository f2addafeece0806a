"""axe-core finds no violation on any page: the listener's, the experimenter's and the report, light and dark.

axe-core (Deque Systems, Mozilla Public License 2.0) comes with the package axe-core-python, and only for these tests.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from unittest.mock import Mock

import pytest
from flask import Flask
from selenium import webdriver
from sqlalchemy.exc import OperationalError

from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.database.tables import Step
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.report.writing import write_report
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.study.headphone_check import rounds
from earmark.mushra_app.study.study import Study
from earmark.mushra_app.web import create_app
from tests.mushra_app.browsing import resize, serve
from tests.mushra_app.visitor import Visitor, attribute, field

pytestmark = pytest.mark.browser

SESSION = """
headphone_check = "huggins"
training = ["musical-001"]
break_after = 1
attention = ["instructed"]
comments = true

[[questionnaire]]
place = "before"
questions = [
  { name = "age", ask = "How old are you?", kind = "number", low = 18 },
  { name = "device", ask = "What do you wear?", kind = "choice", choices = ["over-ear", "in-ear"] },
  { name = "experience", ask = "Your experience?", kind = "scale", low_label = "none", high_label = "much" },
  { name = "remarks", ask = "Anything else?", kind = "text", optional = true },
]
"""
RUN = """
const [options, done] = arguments;
axe.run(document, { resultTypes: ["violations"], ...options }).then(({ violations }) => done(violations.flatMap((one) =>
  one.nodes.map((node) => `${one.id}: ${node.target} ${node.failureSummary}`))));
"""


# Notices are judged too, and what opens.
NOTICES = """
for (const notice of document.querySelectorAll(".notice[hidden]")) notice.hidden = false;
for (const details of document.querySelectorAll("details")) details.open = true;
"""


class Pages:
    """A browser that shows the pages of a session which a visitor over HTTP goes through."""

    def __init__(self, browser: webdriver.Chrome, app: Flask, url: str) -> None:
        self.browser, self.app, self.url = browser, app, url
        self.visitor = Visitor(app)
        self.axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
        self.seen: list[str] = []

    def check(self, path: str, ready: str = "body") -> None:
        """Open a page with the visitor's cookies, and let axe-core judge it, light and dark."""
        self.browser.get(f"{self.url}static/icon.svg")
        self.browser.delete_all_cookies()
        for cookie in self.visitor.client._cookies.values():
            self.browser.add_cookie({"name": cookie.key, "value": cookie.value, "path": cookie.path})
        self.show(f"{self.url}{path}", ready)

    def show(self, address: str, ready: str = "body") -> None:
        self.browser.get(address)
        webdriver.support.wait.WebDriverWait(self.browser, 20, 0.02).until(
            lambda browser: browser.execute_script("return document.querySelector(arguments[0]) !== null", ready)
        )
        self.judge()

    def judge(self) -> None:
        self.browser.execute_script(self.axe + NOTICES)
        for scheme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
            media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            assert self.browser.execute_async_script(RUN, options) == [], (self.browser.title, scheme)
        self.seen.append(self.browser.title)

    def check_problem(self) -> None:
        """Send the form of the page without answers, and judge the page that says so."""
        self.browser.execute_script("document.forms[0].submit()")
        webdriver.support.wait.WebDriverWait(self.browser, 20, 0.02).until(
            lambda browser: browser.execute_script("return document.querySelector('main > [role=alert]') !== null")
        )
        self.judge()


@pytest.fixture
def pages(chromium: webdriver.Chrome, make_study: Callable[..., Study], tmp_path: Path) -> Iterator[Pages]:
    make_study(tmp_path, items=20, trials=2)  # so many that the table of items scrolls
    (tmp_path / "session.toml").write_text(SESSION, encoding="utf-8")
    app = create_app(tmp_path)
    resize(chromium, 1280, 800)
    for url in serve(app):
        yield Pages(chromium, app, url)
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        chromium.get("about:blank")
        chromium.delete_all_cookies()


def provoke_faults(app: Flask, visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound of a trial that fails in a browser, a full disk, a lost database, and somebody who is refused."""
    page = visitor.trial()
    report = {"token": page.token, "reason": "decode", "error": "EncodingError: Unable to decode audio data"}
    assert visitor.post(page.audio[0], json=report).status_code == 204
    for error in (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OperationalError("", {}, Exception("closed"))):
        with monkeypatch.context() as broken:
            broken.setattr(Store, "status", Mock(side_effect=error))
            assert Visitor(app).get("/").status_code == 503
    assert Visitor(app).get("/?PROLIFIC_PID=damaged").status_code == 400


def check_ways_back(pages: Pages, store: Store) -> None:
    """A second session in a browser, and somebody who comes while the test pauses."""
    store.crowd = Crowd(prolific_completion="C1DONE")
    ada, bob, cid = (f"?PROLIFIC_PID={name}&STUDY_ID=s&SESSION_ID={name}" for name in ("ada", "bob", "cid"))
    pages.visitor = Visitor(pages.app)
    pages.visitor.begin(f"/{ada}")
    Visitor(pages.app).begin(f"/{bob}")
    pages.check(bob)
    store.set_gate("paused")
    pages.visitor = Visitor(pages.app)
    pages.check(cid)
    assert "Please return your submission" in pages.browser.page_source


def test_no_page_has_a_violation(pages: Pages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    visitor, store = pages.visitor, pages.app.extensions["earmark"].store
    pages.check("")
    visitor.post("/start", data={"token": field(visitor.get("/").text, "token"), "consent": "yes"})
    while (page := visitor.get("/continue")).request.path != "/thanks":
        path = page.request.path
        if path == "/trial":
            if "Practice" in page.text:  # the other trials look the same
                pages.check("trial", '.trial[data-state="ready"]')
                provoke_faults(pages.app, visitor, monkeypatch)
            visitor.rate(visitor.trial())
            continue
        ready = {"/page/volume": "#toggle:enabled", "/page/headphones": ".round button:enabled",
                 "/page/attention": "#toggle:enabled"}  # fmt: skip
        pages.check(path.lstrip("/"), ready.get(path, "body"))
        if path == "/page/questionnaire":
            pages.check_problem()
        answers = {"q0": "33", "q1": "in-ear", "q2": "3", "q3": "", "score": "50", "attempt": "0"}
        with store.reading() as session:
            step = session.query(Step).filter_by(type="headphones").first()
        answers |= {f"answer{k}": str(one.answer) for k, one in enumerate(rounds(step.settings["secret"], 0))}
        visitor.post(attribute(page.text, "action")[0], data={"token": field(page.text, "token"), **answers})
    pages.check("thanks")
    pages.check("declined")
    pages.check("nowhere")  # an error
    check_ways_back(pages, store)
    pages.visitor = visitor
    pages.check("admin/sign-in")
    form = {"password": admin_access.new_password(store)}
    visitor.client.post("/admin/sign-in", data=form)
    pages.check("admin/", "#faults tbody tr:nth-child(4)")
    report = write_report(study_ratings(tmp_path), "none", tmp_path / "report")
    resize(pages.browser, 390, 800)  # so narrow that tables scroll
    pages.show(f"{pages.url}admin/")
    pages.show(report.page.as_uri())
    assert len(pages.seen) == 17
