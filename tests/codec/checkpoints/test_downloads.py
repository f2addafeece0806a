"""Downloads from a local server that can ignore ranges, hang up, send wrong contents and fail."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earmark.codec.checkpoints import downloads
from earmark.codec.checkpoints.downloads import OFFICIAL_FILES, OFFICIAL_URL, cache_folder, cached, download
from earmark.codec.errors import UserError, WriteError

CONTENT = bytes(range(256)) * 1200  # more than one piece
FILE = f"encodec_24khz-{hashlib.sha256(CONTENT).hexdigest()[:8]}.th"


class Mirror(ThreadingHTTPServer):
    """Serves CONTENT as the official file of encodec_24khz."""

    content = CONTENT
    supports_ranges = True
    sends_length = True
    hangs_up_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.ranges: list[str | None] = []  # the Range header of every request

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v0/"


class Answer(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:  # the name that http.server expects
        wanted = self.headers.get("Range")
        self.server.ranges.append(wanted)
        if self.path != f"/v0/{FILE}":
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.supports_ranges else 0
        body = self.server.content[start:]
        if start and not body:
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            size = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self.server.sends_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.hangs_up_after])
        return None

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(downloads.OFFICIAL_FILES, "encodec_24khz", FILE)
    return tmp_path / "cache"


@pytest.fixture
def mirror(cache: Path) -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_official_files_are_those_of_the_reference(reference_package):
    """Names and addresses in the source of `encodec` 0.1.1."""
    source = Path(reference_package.__file__).with_name("model.py").read_text()
    assert f"'{OFFICIAL_URL}'" in source
    for file in OFFICIAL_FILES.values():
        assert f"'{file}'" in source


def test_download_goes_to_the_cache_and_only_once(mirror, cache, capsys):
    path = download("encodec_24khz", mirror.url)
    assert path == cache / FILE == cached("encodec_24khz")
    assert path.read_bytes() == CONTENT
    assert [file.name for file in cache.iterdir()] == [FILE]
    assert f"{FILE}: 0.3/0.3 MB" in capsys.readouterr().err
    assert download("encodec_24khz", mirror.url) == path
    assert mirror.ranges == [None]


def test_an_interrupted_transfer_is_resumed(mirror, cache):
    mirror.hangs_up_after = 100_000
    with pytest.raises(
        UserError, match=r"interrupted after 100000 of 307200 bytes; download it again to resume"
    ) as caught:
        download("encodec_24khz", mirror.url)
    assert f"{mirror.url}{FILE}" in str(caught.value)
    assert str(cache / FILE) in str(caught.value)
    assert not (cache / FILE).exists()
    with pytest.raises(UserError, match=r"interrupted after 200000 of 307200"):
        download("encodec_24khz", mirror.url)
    mirror.hangs_up_after = None
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT
    assert mirror.ranges == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(mirror, cache):
    cache.mkdir()
    (cache / f"{FILE}.part").write_bytes(CONTENT[:1000])
    mirror.supports_ranges = False
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT
    assert mirror.ranges == ["bytes=1000-"]


def test_a_server_that_sends_no_length(mirror, cache):
    mirror.sends_length = False
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT
    mirror.hangs_up_after = 1000
    (cache / FILE).unlink()
    with pytest.raises(UserError, match="another SHA-256"):  # only the hash shows that the file is truncated
        download("encodec_24khz", mirror.url)


def test_a_complete_part_only_needs_its_name(mirror, cache):
    """An interrupt between the last byte and the renaming leaves such a part; the server answers 416."""
    cache.mkdir()
    (cache / f"{FILE}.part").write_bytes(CONTENT)
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"", b"something else", CONTENT + b"x"], ids=["none", "damaged", "too long"])
def test_a_file_with_another_hash_is_deleted(mirror, cache, part):
    cache.mkdir()
    (cache / f"{FILE}.part").write_bytes(part)
    mirror.content = CONTENT if part else CONTENT[:-1] + b"x"
    with pytest.raises(UserError, match=r"another SHA-256 than .*, and was deleted") as caught:
        download("encodec_24khz", mirror.url)
    assert f"{mirror.url}{FILE}" in str(caught.value)
    assert list(cache.iterdir()) == []
    mirror.content = CONTENT
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT


def test_a_damaged_file_is_detected_before_use_and_replaced(mirror, cache):
    path = download("encodec_24khz", mirror.url)
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(UserError, match="damaged: its SHA-256 is not the one in its name"):
        cached("encodec_24khz")
    assert download("encodec_24khz", mirror.url).read_bytes() == CONTENT


def test_an_http_error_names_the_address_and_the_path(mirror, cache):
    with pytest.raises(UserError, match="the server answers 404 Not Found") as caught:
        download("encodec_24khz", f"{mirror.url}elsewhere/")
    assert f"{mirror.url}elsewhere/{FILE}" in str(caught.value)
    assert f"put the file at {cache / FILE} by hand" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_without_connection_names_the_address_and_the_path(mirror, cache):
    with Mirror() as closed:
        url = closed.url
    with pytest.raises(UserError, match=r"no download \(.*refused\)") as caught:
        download("encodec_24khz", url)
    assert f"{url}{FILE}" in str(caught.value)
    assert f"put the file at {cache / FILE} by hand" in str(caught.value)


@pytest.mark.parametrize("url", ["nonsense", "http://127.0.0.1:port/", "http://[/"])
def test_a_malformed_address_is_a_user_error(cache, url):
    with pytest.raises(UserError, match="no download"):
        download("encodec_24khz", url)


def test_a_cache_that_cannot_be_written(mirror, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(WriteError, match=re.escape(str(cache / FILE))):
        download("encodec_24khz", mirror.url)


def test_the_error_for_an_unknown_name_lists_the_known_ones(cache):
    with pytest.raises(UserError, match=r"encodec_16khz: no official checkpoint.*encodec_24khz, encodec_48khz"):
        download("encodec_16khz")


def test_the_error_for_a_missing_checkpoint_tells_how_to_get_it(cache):
    with pytest.raises(UserError, match="not on this machine") as caught:
        cached("encodec_24khz")
    assert f"{OFFICIAL_URL}{FILE}" in str(caught.value)
    assert str(cache / FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"EARMARK_CACHE": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/earmark"),
        ({"HOME": "/c"}, "/c/.cache/earmark"),
        ({"EARMARK_CACHE": "", "XDG_CACHE_HOME": "", "HOME": "/c"}, "/c/.cache/earmark"),
    ],
)
def test_where_the_cache_is(environment, folder, monkeypatch):
    for name in ("EARMARK_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
