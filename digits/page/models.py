"""The networks that the page reads with: each request asks a copy of its own, and a queue that is
too long is refused instead of joined.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Semaphore
from typing import TypeVar

import numpy as np

from digits.nn.network import Network
from digits.page.inspection import Inspector
from digits.page.messages import require
from digits.validation import check

Answer = TypeVar("Answer")


class Slots:
    """At most `running` requests at a time; `waiting` more wait up to `patience` seconds."""

    def __init__(self, running: int, waiting: int, patience: float = 20.0) -> None:
        self._running, self._all = Semaphore(running), Semaphore(running + waiting)
        self.patience = patience

    @contextmanager
    def one(self) -> Iterator[None]:
        """Inside, one of the slots is taken. Raises PageError if none gets free in time."""
        with ExitStack() as taken:
            for slots, patience in ((self._all, 0.0), (self._running, self.patience)):
                require(slots.acquire(timeout=patience), "busy", status=503)
                taken.callback(slots.release)
            yield


class Model:
    """A network to read with and to look into.

    Raises ValueError for one that does not read 784 pixels as ten digits and perhaps "no digit".
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        try:
            self.classes = int(network.predict(np.zeros((1, 784), np.float32)).shape[1])
        except ValueError as error:
            raise ValueError(f"expected a network for images of 784 pixels: {error}") from error
        expected = 'a network with 10 classes, or 11 of which the last is "no digit"'
        check(self.classes in (10, 11), expected, f"{self.classes} classes")
        self._idle: list[tuple[Inspector, ThreadPoolExecutor]] = []

    def ask(self, question: Callable[[Inspector], Answer]) -> Answer:
        """The answer of a copy of the network that nobody else uses meanwhile.

        Each copy is asked in a thread of its own: a network keeps arrays as large as its layers for
        every thread that asks, and a server has many.
        """
        try:
            inspector, thread = self._idle.pop()  # atomic, as every method of a list
        except IndexError:
            inspector, thread = Inspector(self.network), ThreadPoolExecutor(1)
        try:
            return thread.submit(question, inspector).result()
        finally:
            self._idle.append((inspector, thread))
