"""The web server (waitress), with room for newcomers: connections that wait for nothing do not keep
others out, however many there are.
"""

import socket

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer

THREADS = 20
"""More than the requests that may be answered or wait at the same time; see `app`."""

MAX_CONNECTIONS = 200
"""Open connections.  Beyond, the oldest that waits for no answer makes room for each new one."""

MAX_BODY = 128 * 2**20
"""Bytes of a request that are received, so that it can be said that fewer are accepted."""


class PageServer(TcpWSGIServer):  # type: ignore[misc]
    """A server that closes the oldest idle connection where there would be too many."""

    def handle_accept(self) -> None:
        super().handle_accept()
        if len(self.active_channels) <= MAX_CONNECTIONS:
            return
        idle = [channel for channel in self.active_channels.values() if not channel.requests]
        if idle:
            min(idle, key=lambda channel: channel.creation_time).handle_close()


def create_server(app: object, listening: socket.socket) -> PageServer:
    """A server of a WSGI application on a socket; its `run()` serves until Ctrl-C."""
    settings = Adjustments(
        threads=THREADS,
        ident=None,
        max_request_body_size=MAX_BODY,
        connection_limit=2 * MAX_CONNECTIONS,
        channel_timeout=30,
        cleanup_interval=5,
        asyncore_use_poll=True,
    )
    address = (listening.family, listening.type, listening.proto, listening.getsockname())
    return PageServer(app, _sock=listening, bind_socket=False, adj=settings, sockinfo=address)
