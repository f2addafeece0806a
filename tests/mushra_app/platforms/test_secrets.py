"""Keys come from the environment, and are in nothing that the commands print, log, raise or store."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import pytest

from earmark.mushra_app import crowd_options
from earmark.mushra_app.platforms import mechanical_turk, prolific, prolific_client, requests
from earmark.mushra_app.platforms.requests import ApiError, Requests
from tests.mushra_app.platforms.conftest import Run
from tests.mushra_app.platforms.stand_in import AWS, TOKEN, Fault, StandIn
from tests.mushra_app.platforms.stand_in_turk import TurkStandIn

ROOT = Path(__file__).parents[3]
REASON = "x" * 100
COMMANDS = (
    ("submissions",), ("approve",), ("approve", "--send"), ("reject", "SUBDAN", "--reason", REASON, "--send"),
    ("bonus", "--amount", "1", "--reason", "x", "--most", "9", "--send"),
    ("publish", "--places", "20", "--url", "https://x.example/", "--reward", "1", "--most", "20", "--send"),
)  # fmt: skip
CHANGES = ("transition", "ApproveAssignment", "RejectAssignment", "SendBonus", "/pay/", "CreateHIT", "PATCH")


def test_keys_are_in_no_output_no_log_and_no_file(
    platform: tuple[StandIn, Path], run: Run, caplog: pytest.LogCaptureFixture
):
    """Also where the platform repeats them in an error, and in the previews."""
    api, study = platform
    said: list[str] = []
    secrets = AWS if isinstance(api, TurkStandIn) else (TOKEN,)
    echo = f'{{"error": {{"detail": "wrong key: Token {" ".join(secrets)}"}}}}'
    with caplog.at_level(logging.DEBUG):
        for command, *options in COMMANDS:
            api.faults = [Fault(name, 403, body=echo) for name in CHANGES]
            said += run(command, study, *options)[1:]
        api.faults = [Fault("", 401, body=echo)]
        said += run("approve", study)[1:]
    assert len(api.changes()) >= 4
    said += [record.getMessage() for record in caplog.records]
    text = "\n".join(said).encode() + b"".join(path.read_bytes() for path in study.rglob("*") if path.is_file())
    assert [secret for secret in secrets if secret.encode() in text] == []
    assert requests.HIDDEN.encode() in text


def test_keys_are_in_no_traceback(monkeypatch: pytest.MonkeyPatch):
    """With the locals of all frames, as debuggers and error trackers show them, the commands' own objects included."""
    monkeypatch.setenv(prolific_client.KEY, TOKEN)
    monkeypatch.setattr(prolific_client, "ADDRESS", "http://127.0.0.1:9/api/v1")  # nobody listens there
    opened = prolific.Prolific("1")
    with pytest.raises(
        ApiError, match=r"127\.0\.0\.1:9 cannot be reached \(\[Errno 111\] Connection refused\)"
    ) as caught:
        opened.submissions()
    assert caught.value.no_effect
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert TOKEN not in repr(opened) + repr(opened.client._requests) + repr(caught.value)


def test_a_redirect_is_not_followed(platform: tuple[StandIn, Path], run: Run):
    """It would carry the key to another server."""
    api, study = platform
    api.faults.append(Fault("", 302, headers={"Location": "http://127.0.0.1:9/"}, body=""))
    status, _, err = run("submissions", study)
    assert (status, len(api.asked)) == (2, 1)
    assert err.endswith(": 302\n")


def test_a_page_of_a_list_elsewhere_is_not_asked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(prolific_client.KEY, TOKEN)
    opened = prolific.Prolific("1")
    here = f"{prolific_client.ADDRESS}/studies/1/submissions/?page=2"
    assert opened.client.next_page({"_links": {"next": {"href": here}}}) == "/studies/1/submissions/?page=2"
    with pytest.raises(ApiError, match="at another address"):
        opened.client.next_page({"_links": {"next": {"href": "https://api.prolific.com.example/api/v1/studies/"}}})


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "schlüssel"])
def test_what_is_no_key_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch, key: str):
    monkeypatch.setenv(prolific_client.KEY, key)
    with pytest.raises(Exception, match="PROLIFIC_TOKEN is not a key") as caught:
        prolific.Prolific("1")
    assert key not in str(caught.value)


def test_what_a_platform_says_is_one_line_without_escapes():
    said = Requests("P", lambda *_: {}, ("K1",))._clean("a\n\x1b[31m b K1 " + "x" * 1000)
    assert said.startswith("a \\x1b[31m b [hidden] xxx")
    assert len(said) == requests.SHOWN + 3


def test_each_variable_is_documented_and_in_the_help():
    variables = [prolific_client.KEY, *mechanical_turk.KEYS]
    assert sorted(crowd_options.KEYS) == sorted(variables)
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert [name for name in variables if f"| `{name}` |" not in page] == []
