"""Running the app: Werkzeug's threaded server for a lab, gunicorn with several workers for a crowd."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask

from earmark.codec.errors import UserError
from earmark.codec.extras import require
from earmark.codec.text import printable
from earmark.mushra_app.database.connection import readable_by_others
from earmark.mushra_app.web.warm_up import warm_up

if TYPE_CHECKING:
    from werkzeug.serving import WSGIRequestHandler

    from earmark.mushra_app.database.store import Store

BACKLOG = 1024  # connections that wait to be accepted
SILENT_SECONDS = 30  # after which a connection that sends nothing is closed
SECRET_PATHS = ("audio", "trial", "step", "tones", "headphones")  # their next part names a session, trial or stimulus


def bind(host: str, port: int) -> socket.socket:
    """Bind a socket to an address; port 0 takes any free port.

    The socket does not listen yet. Browsers that wait for a server to come back therefore try again instead of
    hanging.

    Raises:
        UserError: if the address is in use or does not exist.
    """
    try:
        family, socket_type, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, socket_type, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        return bound
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"--host {host} --port {port}: cannot listen there ({reason}); choose others") from error


def address_of(host: str, port: int) -> str:
    """URL for browsers. It contains the machine's name if the server listens on all addresses."""
    if host in ("0.0.0.0", "::", ""):
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def warnings(store: Store, host: str, url: str | None) -> list[str]:
    """Notes for the experimenter before listeners come: secrets that others can read, a missing proxy, no way back."""
    exposed = readable_by_others(store.engine)
    found = []
    if exposed:
        names = " ".join(str(path) for path in exposed)
        found.append(f"other users of this machine can read the ratings and their secrets; run: chmod 600 {names}")
    if url is None and host not in ("127.0.0.1", "::1", "localhost"):
        found.append(
            "no reverse proxy is in front (--url), so addresses are plain http and anybody can hold connections open; "
            "for a crowd, put nginx or Caddy in front"
        )
    platform = store.study.platform
    return [*found, *filter(None, [platform.credit_note() if platform else ""])]


def run(app: Flask, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve from this process until interrupted.

    Args:
        ready: called when the server accepts connections.
    """
    from werkzeug.serving import make_server

    bound.listen(BACKLOG)
    host, port = bound.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, fd=bound.fileno(), request_handler=_handler())
    ready()
    warm_up()
    try:
        server.serve_forever()
    finally:
        server.server_close()


def logged_path(path: str) -> str:
    """A request's path for the log: without its query, which holds platform ids and invitations, and without tokens."""
    first, _, rest = printable(path.partition("?")[0]).lstrip("/").partition("/")
    return f"/{first}/..." if rest and first in SECRET_PATHS else f"/{first}{'/' if rest else ''}{rest}"


def _handler() -> type[WSGIRequestHandler]:
    from werkzeug.serving import WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        """Closes silent connections, and logs no secrets and no addresses of visitors."""

        timeout = SILENT_SECONDS

        def address_string(self) -> str:
            return "-"

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            self.log("info", '"%s %s" %s', printable(self.command or "-"), logged_path(self.path), code)

    return Handler


def run_workers(app: Flask, bound: socket.socket, ready: Callable[[], None], workers: int) -> None:
    """Serve from `workers` copies of this process until interrupted. A worker that dies is replaced.

    The app must have no open database connection, because the copies would share it.

    Args:
        ready: called when the server accepts connections.

    Raises:
        UserError: if gunicorn is not installed.
    """
    for package in ("gunicorn", "waitress"):
        require(package, extra="server", for_=f"--workers {workers}")
    from gunicorn.app.base import BaseApplication

    from earmark.mushra_app.web.buffered_worker import BufferedWorker

    class Application(BaseApplication):
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": f"fd://{bound.fileno()}", "workers": workers, "worker_class": BufferedWorker,
                "backlog": BACKLOG, "loglevel": "warning",
                "when_ready": lambda arbiter: ready(), "control_socket_disable": True,
            }  # fmt: skip
            for name in settings.keys() & self.cfg.settings.keys():  # the last one is new in gunicorn 24
                self.cfg.set(name, settings[name])

        def load(self) -> Callable[..., Any]:
            return app

    Application().run()
