"""The web server (waitress), with room for newcomers: connections that wait for nothing do not keep
others out, however many there are.
"""

import logging
import socket
from collections.abc import Callable

from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

THREADS = 20
"""More than the requests that may be answered or wait at the same time; see `app`."""

MAX_CONNECTIONS = 200
"""Open connections. Beyond, the oldest that waits for no answer makes room for each new one."""

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


class Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """The threads of a server, which first ends what would go on for ever."""

    def __init__(self, end: Callable[[], None]) -> None:
        super().__init__()
        self.end = end

    def shutdown(self, cancel_pending: bool = True, timeout: float = 5) -> bool:
        self.end()
        return bool(super().shutdown(cancel_pending, timeout))


def create_server(
    app: object, listening: socket.socket, end: Callable[[], None] = lambda: None
) -> PageServer:
    """A server of a WSGI application on a socket; its `run()` serves until Ctrl-C, calls `end` and
    waits for the requests that are going on.
    """
    # A request that waits a moment for a thread is nothing to report: `app` limits what may wait.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    dispatcher = Dispatcher(end)
    dispatcher.set_thread_count(THREADS)
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
    return PageServer(
        app,
        _sock=listening,
        bind_socket=False,
        dispatcher=dispatcher,
        adj=settings,
        sockinfo=address,
    )
