"""`earmark download` from a local server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earmark.codec.checkpoints import downloads

from .command_line import assert_one_line


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of a server that has substitutes for two of the official files."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "v0").mkdir()
    for name in ("encodec_24khz", "encodec_48khz"):
        content = name.encode() * 50000
        file = f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.th"
        monkeypatch.setitem(downloads.OFFICIAL_FILES, name, file)
        (tmp_path / "v0" / file).write_bytes(content)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v0"
        server.shutdown()
        thread.join()


def test_download_prints_the_paths_of_the_files(earmark, mirror, tmp_path):
    done = earmark("download", "encodec_24khz", "encodec_48khz", "--url", mirror)
    assert done.status == 0, done.stderr
    for line, name in zip(done.stdout.decode().splitlines(), ("encodec_24khz", "encodec_48khz"), strict=True):
        assert Path(line).parent == tmp_path / "cache"
        assert Path(line).read_bytes() == name.encode() * 50000
        assert f"{Path(line).name}: 0.7/0.7 MB" in done.stderr
        assert f"note: {name}: licence: published with code under the MIT licence" in done.stderr


def test_a_download_that_fails_is_one_line(earmark, mirror):
    assert_one_line(earmark("download", "encodec_lm_24khz", "--url", mirror), "the server answers 404")
    assert_one_line(earmark("download", "encodec_16khz", "--url", mirror), "encodec_16khz")
