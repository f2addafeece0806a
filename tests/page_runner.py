"""Run all blocks of a page of the documentation in their order, as a reader would.

A page runs in a process of its own (prepared.py), in a folder that page_inputs.py has filled. Command lines that only
call `earmark` run in this process, which saves an import of everything for each; all others, with pipes and other
programs, run in a shell.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import soundfile
from filelock import FileLock

from earmark import cli
from tests.markdown import blocks
from tests.page_inputs import SECONDS

SHELL = ("", "sh", "bash")
OPERATORS = re.compile(r"[|<>;&]|\$\(")
ASSIGNMENT = re.compile(r"(\w+)=(\S+)")
PORT_LOCK = Path(os.environ.get("TMPDIR", "/tmp")) / "earmark-page-server.lock"  # two pages may not serve at once
BEFORE = {  # what a page assumes to have been done
    "compare-codecs.md": ["earmark compare recordings/ --systems opus@24 --metrics si_snr --out other-run/"],
    "nightly-builds.md": ["earmark compare clips/ --systems opus@12,opus@64 --metrics si_snr,visqol --out run/"],
    "tutorial.md": ["rm -r clips/"],  # it makes its own
    "listening-test.md": ["earmark compare recordings/ --systems opus@6,opus@12 --metrics si_snr --out run/"],
}
PATIENCE = 60  # seconds for a server to answer


def run_page(path: str) -> None:
    """Run a page; commands that are not told how many processes to start use one, enough for these inputs."""
    page = Path(path)
    os.sched_getaffinity = lambda process: {0}
    namespace: dict[str, object] = {"__name__": "__main__"}
    run_shell("\n".join(BEFORE.get(page.name, [])))
    for block in blocks(page):
        if not block.runs:
            continue
        if block.language == "python":
            exec(compile(block.code, f"{page.name}:{block.line}", "exec"), namespace)
        elif block.language in SHELL:
            run_shell(block.code)


def run_notebook(path: str) -> None:
    """Run the code cells of a notebook in order, in one process without Jupyter."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "code")
    exec(compile(code, Path(path).name, "exec"), vars(sys.modules["__main__"]))


def run_shell(code: str) -> None:
    variables: dict[str, str] = {}
    for line in logical_lines(code):
        print(f"$ {line}", flush=True)
        if assigned := ASSIGNMENT.fullmatch(line):
            variables[assigned[1]] = assigned[2]
        elif line.startswith("earmark ") and not OPERATORS.search(unquoted(line)):
            run_earmark(shlex.split(re.sub(r"\$(\w+)", lambda found: variables[found[1]], line), comments=True)[1:])
        else:
            subprocess.run(["bash", "-euo", "pipefail", "-c", line], check=True)


def logical_lines(code: str) -> Iterator[str]:
    """Command lines of a block, those that go on in the next line joined as a shell does it."""
    for line in code.replace("\\\n", "").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield re.sub(r"(?<=\S) {2,}#.*", "", line).strip()


def unquoted(line: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", line)


def run_earmark(arguments: list[str]) -> None:
    if arguments[:2] == ["study", "serve"]:
        serve(arguments)
        return
    sys.argv = ["earmark", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        if end.code:
            raise
    if arguments[0] == "demo-audio":
        shorten(Path(arguments[1]))


def shorten(folder: Path) -> None:
    """Keep the beginning of each recording of the synthetic set, most of whose 71 s a test does not need."""
    for path in folder.rglob("*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples[: int(SECONDS * rate)], rate)


def serve(arguments: list[str]) -> None:
    """Start the server, open its first page, stop it by Ctrl-C, and rate as two listeners, without a network."""
    from earmark.mushra_app.study import study as studies

    with FileLock(PORT_LOCK):
        server = subprocess.Popen([sys.executable, "-m", "earmark", *arguments], preexec_fn=default_interrupts)
        try:
            wait_for("http://127.0.0.1:8000/", server)
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(PATIENCE) in (0, 130), "the server did not stop"
    folder = Path(arguments[2])
    assert studies.load(folder)
    for listener in range(2):
        rate_all(folder, listener)


def default_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                assert answer.status == 200
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < end, "no answer from the server"
            time.sleep(0.05)


def rate_all(folder: Path, listener: int) -> None:
    """All trials of one session; the reference is not told from the rest, so the screening may drop the listener."""
    from earmark.mushra_app.web import create_app
    from tests.mushra_app.visitor import Visitor

    visitor = Visitor(create_app(folder))
    visitor.begin()
    while "data-stimulus" in (html := visitor.get("/trial").text) and "data-key" in html:
        answer = visitor.rate(visitor.trial(), 40 + 5 * listener)
        assert answer.status_code == 200, answer.text
