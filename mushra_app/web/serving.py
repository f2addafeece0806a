"""Running the app: Werkzeug's threaded server for a lab, gunicorn with several workers for a crowd."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from flask import Flask

from codec.errors import UserError

THREADS = 8  # in each worker; a request waits for the database more than it computes


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes any that is free.

    Raises:
        UserError: somebody else does, or there is no such address.
    """
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UserError(f"--host {host} --port {port}: cannot listen there ({reason}); choose others") from error


def run(app: Flask, listening: socket.socket) -> None:
    """Serve from this process until interrupted."""
    from werkzeug.serving import make_server

    host, port = listening.getsockname()[:2]
    server = make_server(host, port, app, threaded=True, fd=listening.fileno())
    try:
        server.serve_forever()
    finally:
        server.server_close()


def run_workers(app: Flask, listening: socket.socket, workers: int) -> None:
    """Serve from `workers` copies of this process until interrupted; one that dies is replaced.

    The app must have no open connection to its database: the copies would share it.

    Raises:
        UserError: gunicorn is not installed.
    """
    try:
        from gunicorn.app.base import BaseApplication
    except ImportError as error:
        raise UserError(f"--workers {workers}: gunicorn is missing; pip install 'earmark[server]'") from error

    class Application(BaseApplication):
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": f"fd://{listening.fileno()}", "workers": workers, "worker_class": "gthread",
                "threads": THREADS, "keepalive": 30, "loglevel": "warning", "control_socket_disable": True,
            }  # fmt: skip
            for name in settings.keys() & self.cfg.settings.keys():  # the last one is new in gunicorn 24
                self.cfg.set(name, settings[name])

        def load(self) -> Callable[..., Any]:
            return app

    Application().run()
