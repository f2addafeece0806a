"""A gunicorn worker that reads whole requests before a thread handles them.

With gunicorn's own threads, a connection that sends a byte every few seconds holds a thread, and a few such connections
keep everybody else waiting. Here waitress reads and buffers requests and responses in one loop, and only complete
requests take a thread. A request that does not arrive in time is closed.
"""

from __future__ import annotations

import os
import sys
import time

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.channel import HTTPChannel
from waitress.server import create_server

from earmark.mushra_app.web.warm_up import warm_up

THREADS = 24  # per worker; most wait for the database, some for newcomers before them
# Python's default, 5 ms, is how long a thread that got an answer from the database waits for one that computes, and a
# request asks the database a dozen times.
SWITCH_SECONDS = 0.0005
READ_SECONDS = 20  # for a whole request; the longest has 64 kB
IDLE_SECONDS = 60  # without a byte in either direction
MOST_CONNECTIONS = 2000  # per worker, as far as the system permits
MOST_HEADER_BYTES = 32 * 1024


class TimedChannel(HTTPChannel):
    """A connection whose requests must arrive within READ_SECONDS each."""

    _since: float | None = None  # start of an incomplete request

    def handle_read(self) -> None:
        """Receive what has come, and close the connection if a request takes too long."""
        super().handle_read()
        now = time.monotonic()
        if self.request is None:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since > READ_SECONDS:
            self.handle_close()


class BufferedWorker(Worker):
    """Runs waitress until gunicorn ends the worker."""

    def run(self) -> None:
        """Serve, and tell gunicorn every second that the worker lives."""
        sys.setswitchinterval(SWITCH_SECONDS)
        warm_up()
        channels: dict[int, object] = {}
        server = create_server(
            self.wsgi, map=channels, sockets=[one.sock for one in self.sockets], threads=THREADS, ident=None,
            connection_limit=MOST_CONNECTIONS, channel_timeout=IDLE_SECONDS, cleanup_interval=5,
            backlog=self.cfg.backlog, max_request_header_size=MOST_HEADER_BYTES, asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,
        )  # fmt: skip
        server.channel_class = TimedChannel
        while self.alive and self.ppid == os.getppid():
            self.notify()
            wasyncore.loop(timeout=1.0, use_poll=True, map=channels, count=1)
        server.task_dispatcher.shutdown()
        server.close()
