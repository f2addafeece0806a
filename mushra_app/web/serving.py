"""Running the app: Werkzeug's threaded server for a lab, gunicorn with several workers for a crowd."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from flask import Flask

from earmark.codec.errors import UserError
from earmark.codec.extras import require

BACKLOG = 1024  # connections that wait to be accepted
THREADS = 8  # per worker; requests spend most of their time waiting for the database


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


def run(app: Flask, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve from this process until interrupted.

    Args:
        ready: called when the server accepts connections.
    """
    from werkzeug.serving import make_server

    bound.listen(BACKLOG)
    host, port = bound.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, fd=bound.fileno())
    ready()
    try:
        server.serve_forever()
    finally:
        server.server_close()


def run_workers(app: Flask, bound: socket.socket, ready: Callable[[], None], workers: int) -> None:
    """Serve from `workers` copies of this process until interrupted. A worker that dies is replaced.

    The app must have no open database connection, because the copies would share it.

    Args:
        ready: called when the server accepts connections.

    Raises:
        UserError: if gunicorn is not installed.
    """
    require("gunicorn", extra="server", for_=f"--workers {workers}")
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": f"fd://{bound.fileno()}", "workers": workers, "worker_class": "gthread",
                "threads": THREADS, "backlog": BACKLOG, "keepalive": 30, "loglevel": "warning",
                "when_ready": lambda arbiter: ready(), "control_socket_disable": True,
            }  # fmt: skip
            for name in settings.keys() & self.cfg.settings.keys():  # the last one is new in gunicorn 24
                self.cfg.set(name, settings[name])

        def load(self) -> Callable[..., Any]:
            return app

    Application().run()
