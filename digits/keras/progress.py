"""The progress of work in steps, as Keras prints it: a bar that moves on a terminal, one line for
each epoch elsewhere.
"""

import sys
import time
from contextlib import suppress
from typing import Any

from digits.cli import say

WIDTH = 20


def described(logs: Any) -> str:
    """The logs in one line."""
    return " - ".join(
        f"{name}: {value:.4f}" if abs(value) > 1e-3 else f"{name}: {value:.4e}"
        for name, value in dict(logs or {}).items()
    )


def show(text: str) -> None:
    """Print a line; a full disk under a log does not stop the training."""
    with suppress(OSError):
        say(text)


class Progbar:
    """A bar for so many steps; None if nobody knows how many there will be."""

    def __init__(
        self, target: int | None = None, width: int = WIDTH, verbose: int = 1, **_: Any
    ) -> None:
        self.target, self.width, self.verbose = target, width, verbose
        self.began, self.shown, self.seen = time.perf_counter(), 0.0, 0
        self.moves = sys.stdout is not None and sys.stdout.isatty()

    def is_due(self) -> bool:
        """Whether it is time to move the bar."""
        return self.moves and time.perf_counter() - self.shown > 0.1

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Show that `current` steps are done, and the logs."""
        self.seen = current
        last = current == self.target if finalize is None else finalize
        if not self.verbose or not (last or self.is_due()):
            return
        self.shown = time.perf_counter()
        seconds = self.shown - self.began
        steps = self.target or current
        filled = self.width * min(current, steps) // max(steps, 1)
        each = 1000 * seconds / max(current, 1)
        bar, dash = f"{'━' * filled}{' ' * (self.width - filled)}", ""
        if self.verbose == 2:
            bar = dash = "-"
        line = f"{current}/{steps} {bar} {seconds:.0f}s {dash}".rstrip()
        line += f" {each:.0f}ms/step" if each >= 1 else f" {1000 * each:.0f}us/step"
        if values:
            line += f" - {described(values)}"
        if self.moves and not last:
            with suppress(OSError):
                sys.stdout.write(f"\r\x1b[K{line}")
                sys.stdout.flush()
        else:
            if self.moves:
                with suppress(OSError):
                    sys.stdout.write("\r\x1b[K")
            show(line)

    def add(self, n: int, values: Any = None) -> None:
        self.update(self.seen + n, values)
