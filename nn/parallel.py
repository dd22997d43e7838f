"""Work shared between a few threads: NumPy lets go of Python's lock while it calculates, so two
threads keep two processors busy.  There are as many as NumPy's matrix products use by themselves,
unless `set_threads` says otherwise; the first shared work starts them.

Results for the same number of threads are the same to the last bit.  With another number sums may
be taken in another order, and differ by a rounding.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np

Work = Callable[[slice], None]

WORTH_SHARING = 100_000
"""Array elements whose arithmetic takes a few times as long as waking another thread."""


def threads() -> int:
    """How many threads share the work."""
    return _team.size


def set_threads(count: int) -> None:
    """Let so many threads share the work, here and in NumPy's matrix products; 1 means no helpers.

    Raises ValueError for less than 1.
    """
    if count < 1:
        raise ValueError(f"expected at least 1 thread; received {count}")
    _blas.set_threads(count)
    _team.size = count


def share(work: Work, count: int, numbers: int) -> None:
    """Call work(part) for slices that together are range(count), one in each thread.

    `numbers` says about how many array elements that is: for a few nobody is woken.  Matrix
    products inside use one thread each.  What `work` raises is raised here, after all have
    finished.  Work that shares its own work does all of that itself.
    """
    alone = min(_team.size, count) < 2 or numbers < WORTH_SHARING
    if alone or not _team.free.acquire(blocking=False):
        work(slice(0, count))
        return
    try:
        _blas.set_threads(1)
        _team.run(work, count)
    finally:
        _blas.set_threads(_team.size)
        _team.free.release()


# --- helpers --------------------------------------------------------------------------------------


class _Helper:
    """A thread that waits for work, does it, and waits again."""

    def __init__(self) -> None:
        self.begin, self.done = threading.Lock(), threading.Lock()
        self.begin.acquire()
        self.done.acquire()
        self.work: Callable[[], None] = lambda: None
        self.error: BaseException | None = None
        threading.Thread(target=self._live, daemon=True).start()

    def _live(self) -> None:
        while True:
            self.begin.acquire()
            try:
                self.work()
            except BaseException as error:
                self.error = error
            self.done.release()

    def start(self, work: Callable[[], None]) -> None:
        self.work, self.error = work, None
        self.begin.release()

    def wait(self) -> BaseException | None:
        """What went wrong, if anything did."""
        self.done.acquire()
        self.work = lambda: None  # let go of its arrays
        return self.error


class _Team:
    def __init__(self, size: int) -> None:
        self.size = size
        self.free = threading.Lock()
        self.helpers: list[_Helper] = []

    def run(self, work: Work, count: int) -> None:
        """One share here, and one in each helper."""
        shares = min(self.size, count)
        bounds = [count * i // shares for i in range(shares + 1)]
        own, *others = (slice(start, stop) for start, stop in pairwise(bounds))
        while len(self.helpers) < len(others):
            self.helpers.append(_Helper())
        busy = self.helpers[: len(others)]
        for helper, part in zip(busy, others, strict=True):
            helper.start(partial(work, part))
        try:
            work(own)
        finally:
            try:
                errors = [helper.wait() for helper in busy]
            except KeyboardInterrupt:
                self.helpers = []  # they end what they do, and nobody asks them again
                raise
        for error in errors:
            if error is not None:
                raise error


# --- NumPy's own threads --------------------------------------------------------------------------


class _Blas:
    """The library behind NumPy's matrix products, if it is an OpenBLAS that can be told how many
    threads to use; any other is left alone.
    """

    def __init__(self) -> None:
        self.get: Callable[[], int] | None = None
        self.set: Callable[[int], None] | None = None
        try:
            # A name that is not in this file is looked for in the libraries that it has loaded.
            library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
        except (AttributeError, OSError):
            return
        for name in ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
            if hasattr(library, name.format("set_num_threads")):
                self.get = getattr(library, name.format("get_num_threads"))
                self.set = getattr(library, name.format("set_num_threads"))
                return

    def threads(self) -> int:
        if self.get is not None:
            return self.get()
        return os.cpu_count() or 1

    def set_threads(self, count: int) -> None:
        if self.set is not None:
            self.set(count)


_blas = _Blas()
_team = _Team(_blas.threads())


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    _team.helpers, _team.free = [], threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
