"""The admin page of a study with many sessions: its cost does not grow with their number, and it shows all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from benchmarks.admin_page import fill, statements
from earmark.mushra_app.database import admin_access
from earmark.mushra_app.database.store import Store
from earmark.mushra_app.study.crowd import Arrival, Crowd
from earmark.mushra_app.web import Options, create_app, listener_rows
from earmark.mushra_app.web.listener_rows import all_listeners
from earmark.mushra_app.web.overview import overview
from tests.mushra_app.visitor import Visitor

KINDS = {"finished": 3, "consented": 4, "opened a trial": 3, "scripted": 2}


@pytest.fixture
def app(make_study, tmp_path: Path) -> Flask:
    """Three items that never have enough ratings, and three trials: each listener rates all."""
    make_study(tmp_path, items=3, annotations=1000)
    return create_app(tmp_path, Options(rule="paper", refuse_implausible=True))


@pytest.fixture
def store(app: Flask) -> Store:
    return app.extensions["earmark"].store


def test_the_number_of_statements_does_not_grow_with_the_number_of_sessions(app: Flask, store: Store):
    """Ten times as many sessions: the same number of statements, judging of the new ones included."""
    admin = app.test_client()
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    fill(store, KINDS)
    counts = []
    for _ in range(2):
        for path in ("/admin/", "/admin/", "/admin/?show=suspect", "/admin/listeners.csv", "/"):
            with statements(store.engine) as seconds:
                assert admin.get(path).status_code == 200
            counts.append(len(seconds))
        fill(store, {kind: 10 * count for kind, count in KINDS.items()})
    assert counts[:5] == counts[5:]


def test_beginning_a_session_takes_the_same_statements_in_a_crowd(store: Store):
    counts = []
    for key in ("ada", "bob"):
        with statements(store.engine) as seconds:
            store.enrol(key, Arrival("prolific", key, key), "203.0.113.1")
            store.begin(key)
        counts.append(len(seconds))
        fill(store, KINDS)
        store.screen_ended_sessions()
    assert counts[0] == counts[1]


def test_it_counts_what_the_rows_say(store: Store):
    """Against a count of the rows in Python. A trial is reached by those who opened it or went further."""
    fill(store, KINDS)
    view, rows = overview(store), all_listeners(store)
    kinds = {row.listener.id: str(row.listener.person).rpartition("-")[0] for row in rows}
    assert view.states == {name: sum(row.state == name for row in rows) for name in {row.state for row in rows}}
    assert view.excluded == sum(row.listener.excluded != "" for row in rows) == 2
    assert view.idle == sum(row.has_places and row.done == 0 for row in rows)
    assert view.minutes == 2  # four steps that end 30 s after each other
    assert [(step.name, step.reached) for step in view.steps] == [
        ("volume", 12), ("trial 1", 8), ("trial 2", 5), ("trial 3", 5)
    ]  # fmt: skip
    gone = [kinds[row.listener.id] for row in rows if row.state == "gone"]
    assert [step.stopped for step in view.steps] == [gone.count("consented"), gone.count("opened a trial"), 0, 0]
    table = store.ratings()
    counting = table[table["excluded"] == ""]
    means = counting.groupby("condition")["score"].mean().to_dict()
    assert {row.name: row.mean for row in view.conditions} == pytest.approx(means)
    by_item = counting.groupby(["item", "condition"])["score"].mean().to_dict()
    assert {(item.id, name): mean for item in view.items for name, mean in item.means.items()} == pytest.approx(by_item)
    assert {item.id: item.seconds for item in view.items if item.valid} == pytest.approx(
        counting.groupby("item")["seconds"].median().to_dict()
    )


def test_listeners_are_shown_in_pages_and_groups(app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(listener_rows, "PAGE_LENGTH", 5)
    admin = app.test_client()
    admin.post("/admin/sign-in", data={"password": admin_access.new_password(store)})
    fill(store, KINDS)

    def shown(query: str) -> list[int]:
        return [int(number) for number in re.findall(r'<th scope="row">L0*(\d+)-', admin.get(f"/admin/{query}").text)]

    pages = [shown(f"?page={number}") for number in (1, 2, 3)]
    assert [number for page in pages for number in page] == list(range(12, 0, -1))
    assert shown("?page=99") == pages[2]
    assert shown("?page=0") == shown("?page=-1") == shown("?page=x") == shown("?show=nobody") == pages[0]
    rows = {row.listener.id: row for row in all_listeners(store)}
    suspect = shown("?show=suspect")
    assert suspect == [number for number in sorted(rows, reverse=True) if "script" in str(rows[number].listener.person)]
    assert all("rated without fetching 15 sounds" in rows[number].flags for number in suspect)
    assert "Page 1 of 3" in admin.get("/admin/").text
    page = admin.get("/admin/?show=suspect&page=1").text
    assert "Suspect (2)" in page
    token = re.findall(r'name="token" value="([^"]*)"', page)[0]
    kept = admin.post(f"/admin/listener/{suspect[0]}?show=suspect", data={"token": token, "counts": "yes"})
    assert kept.headers["Location"] == "/admin/?show=suspect#listeners"


def test_a_thousand_sessions_of_one_id_cost_no_more_than_one(app: Flask, store: Store):
    """A stranger opens a platform's link with Ada's id again and again: the notes stay short, the queries few."""
    store.crowd = Crowd(prolific_completion="C1DONE")
    counts = []
    for number in range(12):
        visitor, link = Visitor(app), f"/?PROLIFIC_PID=60fd9a0c&STUDY_ID=s&SESSION_ID=visit{number}"
        with statements(store.engine) as seconds:
            assert 'name="consent"' in visitor.get(link).text
        counts.append(len(seconds))
        store.enrol(str(number), Arrival("prolific", "60fd9a0c", f"visit{number}"))
    assert max(counts[1:]) == min(counts[1:])
    flags = [row.flags for row in all_listeners(store)]
    assert flags[0].endswith(" and 8 more")
    assert len(flags[0]) < 80
