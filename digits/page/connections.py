"""The web server (waitress). Idle connections do not keep others out, however many there are."""

import logging
import socket
from contextlib import suppress

from flask import Flask
from waitress.server import TcpWSGIServer

THREADS = 20
"""More than the requests that may be answered or wait at the same time; see `app`."""

MAX_CONNECTIONS = 200
"""Open connections. Beyond, the oldest that waits for no answer makes room for each new one."""

MAX_BODY = 128 * 2**20
"""Bytes of a request that are received, so that it can be said that fewer are accepted."""


class PageServer(TcpWSGIServer):  # type: ignore[misc]
    """A server of the page on a socket that listens."""

    def __init__(self, app: Flask, listening: socket.socket) -> None:
        self.training = app.extensions["training"]
        # A request that waits a moment for a thread needs no report: `app` limits what may wait.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        super().__init__(
            app,
            _sock=listening,
            bind_socket=False,
            threads=THREADS,
            ident=None,
            max_request_body_size=MAX_BODY,
            connection_limit=2 * MAX_CONNECTIONS,
            channel_timeout=30,
            cleanup_interval=5,
        )

    def handle_accept(self) -> None:
        """Take a new connection; close the oldest idle one where there would be too many."""
        super().handle_accept()
        idle = [channel for channel in self.active_channels.values() if not channel.requests]
        if len(self.active_channels) > MAX_CONNECTIONS and idle:
            min(idle, key=lambda channel: channel.creation_time).handle_close()

    def run(self) -> None:
        """Serve until Ctrl-C; then end the events, and wait for the other requests."""
        with suppress(KeyboardInterrupt):
            self.asyncore.loop(self.adj.asyncore_loop_timeout, use_poll=True, map=self._map)
        self.training.close()
        self.task_dispatcher.shutdown()
