"""Prepare the next batches in a thread while the current one is trained on."""

import contextlib
import queue
import threading
from collections.abc import Generator, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Items that are ready while another is worked on."""


class _End(NamedTuple):
    """Follows the last item, with the error that ended the items, if any."""

    error: BaseException | None


def prefetch(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the items of an iterable, which a thread prepares up to `AHEAD` ahead.

    Items and order stay the same; an exception of the iterable is raised here, in its place.  The
    thread starts with the first item asked for.  It ends with the last one or, when this generator
    is closed or dropped early, after the item it is working on.
    """
    ready: queue.Queue[T | _End] = queue.Queue(AHEAD)
    stopped = threading.Event()

    def prepare() -> None:
        end = _End(None)
        try:
            for item in items:
                if stopped.is_set():
                    return
                ready.put(item)
        except BaseException as error:
            end = _End(error)
        if not stopped.is_set():
            ready.put(end)

    thread = threading.Thread(target=prepare, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := ready.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        # The thread may be waiting for room in the queue; once there is room and it is told to
        # stop, it puts at most the item in hand.
        stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                ready.get_nowait()
        thread.join()
