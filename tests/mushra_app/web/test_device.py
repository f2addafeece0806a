"""Records of a listener's device and listening, and which devices are let in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from earmark.codec.errors import UserError
from earmark.mushra_app.analysis.flags import flag
from earmark.mushra_app.report.study_ratings import study_ratings
from earmark.mushra_app.report.writing import write_report
from earmark.mushra_app.study.crowd import Crowd
from earmark.mushra_app.study.study import load
from earmark.mushra_app.web import create_app
from earmark.mushra_app.web.device import describe
from tests.mushra_app.visitor import Visitor, field

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 "
    "Safari/605.1.15"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1"
)


# Headers as these browsers send them.
@pytest.mark.parametrize(
    ("agent", "points", "expected"),
    [
        (f"{WINDOWS} Chrome/124.0.0.0 Safari/537.36", 0, ("Chrome 124", "Windows", "computer")),
        (f"{WINDOWS} Chrome/124.0.0.0 Safari/537.36 Edg/124.0.2478.51", 10, ("Edge 124", "Windows", "computer")),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0", 0,
         ("Firefox 121", "Linux", "computer")),
        (MAC, 0, ("Safari 17", "macOS", "computer")),
        (MAC, 5, ("Safari 17", "iOS", "tablet")),  # an iPad
        (IPHONE, 5, ("Safari 17", "iOS", "phone")),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile "
         "Safari/537.36", 5, ("Chrome 124", "Android", "phone")),
        ("Mozilla/5.0 (Linux; Android 13; SM-X906C) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/23.0 "
         "Chrome/115.0.0.0 Safari/537.36", 5, ("Samsung Internet 23", "Android", "tablet")),
    ],
)  # fmt: skip
def test_browsers_and_devices(agent: str, points: int, expected: tuple[str, str, str]):
    sent = json.dumps({"pointer": "touch", "sample_rate": 44100, "touch_points": points})
    device = describe(agent, sent)
    assert (device["browser"], device["system"], device["type"]) == expected
    assert (device["pointer"], device["sample_rate"]) == ("touch", 44100)


@pytest.mark.parametrize(
    "sent", ["", "x", "[]", "[" * 600, '{"pointer": "<b>", "sample_rate": "44100"}', '{"sample_rate": 1e9}',
             '{"sample_rate": true}']
)  # fmt: skip
def test_what_no_page_of_ours_sends_is_ignored(sent: str):
    assert describe("", sent) == {"type": "computer"}


def start(visitor: Visitor, agent: str, path: str = "/", **sent: object):
    token = field(visitor.get(path).text, "token")
    data = {"token": token, "consent": "yes", "device": json.dumps(sent)}
    return visitor.post("/start", data=data, headers={"User-Agent": agent})


def test_phones_are_refused_before_anything_is_stored(study_folder: Path):
    (study_folder / "session.toml").write_text("phones = false")
    app = create_app(study_folder)
    assert "cannot be taken on a phone" in start(Visitor(app), IPHONE, sample_rate=48000).text
    store = app.extensions["earmark"].store
    with store.reading() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM listener").scalar() == 0
    assert start(Visitor(app), MAC, sample_rate=48000).request.path == "/page/volume"


def test_rates_are_refused_with_the_remedy(study_folder: Path):
    (study_folder / "session.toml").write_text("sample_rates = [44100, 48000]\n")
    app = create_app(study_folder)
    page = start(Visitor(app), MAC, sample_rate=16000).text
    assert "runs at 44100 / 48000 Hz; yours runs at 16000 Hz. Change the rate in the sound settings" in page
    assert "yours runs at ? Hz" in start(Visitor(app), MAC).text
    assert start(Visitor(app), MAC, sample_rate=44100).request.path == "/page/volume"


@pytest.mark.parametrize(
    "line", ['phones = "no"', "sample_rates = 48000", "sample_rates = [48]", "least_heard = -1", "least_heard = true"]
)
def test_wrong_rules_are_named(study_folder: Path, line: str):
    (study_folder / "session.toml").write_text(line)
    with pytest.raises(UserError, match=line.split()[0]):
        load(study_folder)


def heard(plays: int, seconds: float, switches: int, *moves: list[float]) -> dict[str, object]:
    return {"plays": plays, "seconds": seconds, "switches": switches, "moves": list(moves)}


def rate_with_records(visitor: Visitor, seconds: list[float]) -> None:
    """Rate the open trial; condition k was heard for seconds[k] and its slider moved twice."""
    page = visitor.trial()
    ratings = [
        {"stimulus": token, "score": 50 + k, "heard": heard(k + 1, seconds[k], k, [3.5, 20], [6.0, 50 + k])}
        for k, token in enumerate(page.stimuli)
    ]
    body = {"token": page.token, "seconds": 30, "heard": heard(2, 4.5, 1), "ratings": ratings}
    assert visitor.post(f"/trial/{page.key}", json=body).status_code == 200


def test_listening_is_recorded_reported_and_flagged(study_folder: Path):
    (study_folder / "session.toml").write_text("least_heard = 0.5\n")
    app = create_app(study_folder)
    for seconds in ([2.0, 2.0, 2.0, 2.0], [0.4, 0.5, 0.6, 3.0]):
        visitor = Visitor(app)
        visitor.go_on(start(visitor, MAC, sample_rate=44100, pointer="mouse", touch_points=0))
        rate_with_records(visitor, seconds)
    ratings = study_ratings(study_folder)
    frame = ratings.frame
    assert sorted(frame["plays"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert sorted(frame["heard_seconds"]) == [0.4, 0.5, 0.6, 2.0, 2.0, 2.0, 2.0, 3.0]
    assert frame["moves"].eq(2).all()
    assert frame["reference_seconds"].eq(4.5).all()
    first, second = flag(ratings)
    assert "heard" not in first
    assert "heard 1 of 4 rated stimuli for less than 0.5 s" in second
    page = write_report(ratings, "none", study_folder / "report").page.read_text(encoding="utf-8")
    assert "<dt>Device</dt><dd>computer: 2</dd>" in page
    assert "<dt>Sample rate</dt><dd>44100 Hz: 2</dd>" in page
    plays = {name: int(frame.loc[frame["condition"] == name, "plays"].sum()) for name in frame["condition"].unique()}
    for name, total in plays.items():
        assert f'<th scope="row">{name}</th><td class="n">2</td><td class="n">{total}</td>' in page


def test_exports_have_devices_and_moves(study_folder: Path):
    from earmark.mushra_app.database.collected import devices, moves

    app = create_app(study_folder)
    visitor = Visitor(app)
    visitor.go_on(start(visitor, IPHONE, sample_rate=48000, pointer="touch", touch_points=5))
    rate_with_records(visitor, [1.0, 2.0, 3.0, 4.0])
    with app.extensions["earmark"].store.reading() as session:
        table, changes = devices(session), moves(session)
    assert table.drop(columns="listener").iloc[0].to_list() == ["Safari 17", "iOS", "phone", "touch", 48000]
    assert len(changes) == 8
    assert set(changes["time"]) == {3.5, 6.0}
    assert set(changes.loc[changes["time"] == 6.0, "score"]) == {50, 51, 52, 53}


def test_pages_of_earlier_versions_send_no_records(study_folder: Path):
    app = create_app(study_folder)
    visitor = Visitor(app)
    visitor.begin()
    visitor.rate(visitor.trial())
    frame = study_ratings(study_folder).frame
    assert pd.isna(frame["plays"]).all()
    page = write_report(study_ratings(study_folder), "none", study_folder / "report").page
    assert "<h2>Listening</h2>" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "record",
    [[], {"plays": -1}, heard(1, 1.0, 1, [1.0, 101]), heard(1, 1.0, 1, [1.0]), heard(1, 1e12, 1),
     heard(1, 1.0, 1, *([1.0, 2] for _ in range(51)))],
)  # fmt: skip
def test_forged_records_are_refused(study_folder: Path, record: object):
    visitor = Visitor(create_app(study_folder))
    visitor.begin()
    page = visitor.trial()
    ratings = [{"stimulus": token, "score": 1, "heard": record} for token in page.stimuli]
    body = {"token": page.token, "seconds": 1, "ratings": ratings}
    assert visitor.post(f"/trial/{page.key}", json=body).status_code == 400


def test_consent_says_what_is_recorded(study_folder: Path):
    page = Visitor(create_app(study_folder)).get("/").text
    for word in (
        "for how long you heard it",
        "how often you switched to it",
        "touch or mouse",
        "sample rate",
        "headphone check",
    ):
        assert word in page


@pytest.mark.parametrize(
    ("query", "added"),
    [
        ("", []),
        ("?PROLIFIC_PID=a&STUDY_ID=b&SESSION_ID=c", ["The ids in the address", "Decisions on your work and bonuses"]),
    ],
)  # fmt: skip
def test_consent_ends_with_nothing_else(study_folder: Path, query: str, added: list[str]):
    """Prolific's three ids are stored, and approvals and bonuses (table `sent`)."""
    app = create_app(study_folder)
    app.extensions["earmark"].store.crowd = Crowd(prolific_completion="C1")
    page = Visitor(app).get(f"/{query}").text
    stored = page.partition('<p class="stored">')[2].partition("</p>")[0]
    assert stored.endswith("Nothing else about you is stored.")
    sentences = ["The ids in the address", "The id in the address", "Decisions on your work and bonuses"]
    assert [one for one in sentences if one in stored] == added


def test_the_page_on_data_protection_names_every_table():
    """Those of the experimenter's sign-in and of settings hold nothing about listeners."""
    from earmark.mushra_app.database.tables import Base

    page = (Path(__file__).parents[3] / "docs/reference/data-protection.md").read_text(encoding="utf-8")
    ours = {"setting", "admin_session", "failed_sign_in"}
    assert set(Base.metadata.tables) - ours <= set(re.findall(r"`(\w+)[.`]", page))


@pytest.mark.parametrize("source", ["panel", "prolific"])
@pytest.mark.parametrize("screens_out", [True, False])
def test_a_participant_on_a_refused_device_can_go_on_elsewhere_or_return(
    study_folder: Path, source: str, screens_out: bool
):
    panel = 'screened_out = "https://panel.example/out?who={participant}"' if screens_out else ""
    table = f'name = "panel"\nparticipant = "PROLIFIC_PID"\n{panel}' if source == "panel" else 'name = "prolific"'
    (study_folder / "session.toml").write_text(f"phones = false\n[platform]\n{table}\n", encoding="utf-8")
    app = create_app(study_folder)
    codes = {"prolific_screen_out": "OUT7"} if screens_out else {}
    app.extensions["earmark"].store.crowd = Crowd(anonymous=False, prolific_completion="C1", **codes)
    visitor, address = Visitor(app), "/?PROLIFIC_PID=ada&STUDY_ID=b&SESSION_ID=c"
    visitor.get(address)
    page = start(visitor, IPHONE, sample_rate=48000, path=address).text
    remedy, _, rest = page.partition("If you cannot do that:")
    assert "open its address on a computer or tablet" in remedy
    ways = {"panel": "https://panel.example/out?who=ada", "prolific": "complete?cc=OUT7"}
    assert (ways[source] in rest, "Please return" in rest) == (screens_out, not screens_out)
    assert start(Visitor(app), MAC, sample_rate=48000, path=address).request.path == "/page/volume"


def test_a_listener_of_no_platform_is_only_told_the_remedy(study_folder: Path):
    (study_folder / "session.toml").write_text("phones = false")
    assert "If you cannot do that" not in start(Visitor(create_app(study_folder)), IPHONE).text
