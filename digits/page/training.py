"""The one training that the page may run at a time, in a process of its own: how it is started and
commanded, what state it is in, and the network that it has so far.
"""

import multiprocessing
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any

from digits.nn.network import Network
from digits.page.messages import PageError, require, tell
from digits.page.models import Model
from digits.page.settings import TeachingSettings, TrainingSettings
from digits.page.worker import work

COMMANDS = ("pause", "step", "continue", "stop")
RUNNING = ("preparing", "training", "paused")


class Training:
    """The latest training; `state` is what the page shows of it."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"state": "none"}
        self._network: Network | None = None
        self._model: Model | None = None  # of this network, once it is asked for
        self._version = 0
        self._changed = threading.Condition()
        self._pipe: Connection | None = None
        self._closed = False

    def start(self, settings: TrainingSettings | TeachingSettings) -> None:
        """Begin a training. Raises PageError while another one runs."""
        # A fresh process: the threads of this one would not be in a copy of it.
        context = multiprocessing.get_context("spawn")
        with self._changed:
            require(self.state["state"] not in RUNNING, "running", status=503)
            own, other = context.Pipe()
            process = context.Process(target=work, args=(other, settings), daemon=True)
            process.start()
            other.close()
            self._pipe, self._version = own, self._version + 1
            self.state = {"state": "preparing", "kind": settings.kind}
            self._changed.notify_all()
        threading.Thread(target=self._listen, args=(own, process), daemon=True).start()

    def command(self, name: str) -> None:
        """Pause, step once, continue or stop; PageError for another word, or if none runs."""
        require(name in COMMANDS, "choice", "command", ", ".join(COMMANDS), name)
        with self._changed:
            if self.state["state"] not in RUNNING or self._pipe is None:
                raise PageError("not_running")
            self._pipe.send(name)

    @property
    def model(self) -> Model:
        """The network as it was at the latest update. Raises PageError before the first."""
        with self._changed:
            if self._network is None:
                raise PageError("nothing_trained", status=404)
            self._model = self._model or Model(self._network)
            return self._model

    def events(self) -> Iterator[dict[str, Any] | None]:
        """Each new state, None after a second without a change; an end after `close`."""
        seen = -1
        while not self._closed:
            with self._changed:
                if self._version == seen:
                    self._changed.wait(1.0)
                state = self.state if self._version != seen else None
                seen = self._version
            yield state

    def close(self) -> None:
        """End the events; the process of a training ends with this one."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _listen(self, pipe: Connection, process: Any) -> None:
        """Receive the updates of a training until it ends."""
        try:
            while True:
                self._receive(pipe, pipe.recv())
        except (EOFError, OSError):
            process.join()
        with self._changed:
            if self.state["state"] in RUNNING:
                self._receive(pipe, {"state": "failed", **tell(PageError("ended"))})

    def _receive(self, pipe: Connection, update: dict[str, Any] | Network) -> None:
        with self._changed:
            if pipe is not self._pipe:
                return  # of a training that has ended
            if not isinstance(update, dict):
                self._network, self._model = update, None
                return
            self.state = {**self.state, **update}
            self._version += 1
            self._changed.notify_all()
