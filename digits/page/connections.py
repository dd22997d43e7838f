"""The web server (waitress). Idle connections do not keep others out, however many there are."""

import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from waitress.server import TcpWSGIServer

THREADS = 20
"""More than the requests that may be answered or wait at the same time; see `app`."""

MAX_CONNECTIONS = 200
"""Open connections. Beyond, the oldest that waits for no answer makes room for each new one."""

MAX_BODY = 128 * 2**20
"""Bytes of a request that are received, so that it can be said that fewer are accepted."""


class PageServer(TcpWSGIServer):  # type: ignore[misc]
    """A server that closes the oldest idle connection where there would be too many."""

    end: Callable[[], None]

    def handle_accept(self) -> None:
        super().handle_accept()
        idle = [channel for channel in self.active_channels.values() if not channel.requests]
        if len(self.active_channels) > MAX_CONNECTIONS and idle:
            min(idle, key=lambda channel: channel.creation_time).handle_close()

    def run(self) -> None:
        """Serve until Ctrl-C; then call `end`, and wait for the requests that are going on."""
        with suppress(KeyboardInterrupt):
            timeout = self.adj.asyncore_loop_timeout
            self.asyncore.loop(timeout, use_poll=True, map=self._map)
        self.end()
        self.task_dispatcher.shutdown()


def create_server(
    app: object, listening: socket.socket, end: Callable[[], None] = lambda: None
) -> PageServer:
    """A server of a WSGI application on a socket; `end` ends the requests that would go on for
    ever.
    """
    # A request that waits a moment for a thread is nothing to report: `app` limits what may wait.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server = PageServer(
        app,
        _sock=listening,
        bind_socket=False,
        sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        threads=THREADS,
        ident=None,
        max_request_body_size=MAX_BODY,
        connection_limit=2 * MAX_CONNECTIONS,
        channel_timeout=30,
        cleanup_interval=5,
    )
    server.end = end
    return server
