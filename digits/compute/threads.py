"""Work shared between a few threads: NumPy lets go of Python's lock while it calculates, so two
threads keep two processors busy.  There are as many as NumPy's matrix products would use by
themselves, unless `set_threads` says otherwise; the first work worth sharing starts them.

Results for the same number of threads are the same to the last bit.  With another number sums may
be taken in another order, and differ by a rounding.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from digits.types import Array

WORTH_SHARING = 10_000_000
"""Multiplications of a matrix product.  They take some 200 microseconds, several times as long as
waking another thread."""

MOST_THREADS = 1024
"""More than any machine has processors that share a memory so well."""

ELEMENTWISE = 5
"""How many multiplications of a matrix product take the time of one that is done element by
element, as in a * b: what `parallel_for` is told is counted in those of matrix products."""


def get_threads() -> int:
    """How many threads share the work."""
    return _team.size


def set_threads(count: int) -> None:
    """Let so many threads share the work, here and in NumPy's matrix products; 1 means no helpers.

    Raises ValueError for less than 1 or more than MOST_THREADS.
    """
    if not 1 <= count <= MOST_THREADS:
        raise ValueError(f"expected 1 to {MOST_THREADS:,} threads; received {count:,}")
    _team.size = count
    _team.count_single_threaded_blas(0)  # tells NumPy, too


def parallel_for(work: Callable[[slice], None], count: int, multiplications: float) -> None:
    """Call work(part) for slices that together are range(count), one in each thread.

    `multiplications` says about how much there is to do: for a little nobody is woken.  What `work`
    raises is raised here, after all have finished.  If the team is busy, as it is when shared work
    calls `parallel_for` itself, the work is done here.
    """
    alone = min(_team.size, count) < 2 or multiplications < WORTH_SHARING
    if alone or not _team.free.acquire(blocking=False):
        work(slice(0, count))
        return
    try:
        _team.run(work, count)
    finally:
        _team.free.release()


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The matrix product a @ b.  NumPy's own threads share a large one, or, inside
    `single_threaded_blas`, ours do: its longer side is cut among them.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    small = rows * inner * columns < WORTH_SHARING
    if small or not _team.want_single_threaded_blas or _team.size == 1 or _BLAS is None:
        return np.matmul(a, b, out=out)
    y = np.empty((rows, columns), np.result_type(a, b)) if out is None else out

    def some_rows(part: slice) -> None:
        np.matmul(a[part], b, out=y[part])

    def some_columns(part: slice) -> None:
        np.matmul(a, b[:, part], out=y[:, part])

    if rows >= columns:
        parallel_for(some_rows, rows, rows * inner * columns)
    else:
        parallel_for(some_columns, columns, rows * inner * columns)
    return y


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Inside, NumPy's matrix products use one thread each, so that none waits for the others.

    Its own threads wait by asking again and again.  That is quick where nothing else runs, but on
    a busy machine they keep each other from working, and small products take a thousand times as
    long.
    """
    _team.count_single_threaded_blas(+1)
    try:
        yield
    finally:
        _team.count_single_threaded_blas(-1)


# --- helpers --------------------------------------------------------------------------------------


class _Helper:
    """A thread that waits for work, does it, and waits again.

    Its two locks are signals: closed from the start, one that is released lets one `acquire` pass
    and is closed again.
    """

    def __init__(self) -> None:
        self.begin, self.done = threading.Lock(), threading.Lock()
        self.begin.acquire()
        self.done.acquire()
        self.work: Callable[[], None] | None = None
        self.error: BaseException | None = None
        threading.Thread(target=self._live, daemon=True).start()

    def _live(self) -> None:
        while True:
            self.begin.acquire()
            self._do()
            self.done.release()

    def _do(self) -> None:
        work, self.work, self.error = self.work, None, None
        try:
            if work is not None:
                work()
        except BaseException as error:
            self.error = error

    def start(self, work: Callable[[], None]) -> None:
        self.work = work
        self.begin.release()

    def finish(self) -> BaseException | None:
        """Wait for the end; what went wrong, if anything did.  If the thread has not even begun, as
        the processors are busy with something else, the work is done here instead.
        """
        if self.begin.acquire(blocking=False):
            self._do()
        else:
            self.done.acquire()
        error, self.error = self.error, None
        return error


class _Team:
    def __init__(self, size: int) -> None:
        self.size = size
        self.free, self.counting = threading.Lock(), threading.Lock()
        self.helpers: list[_Helper] = []
        self.want_single_threaded_blas = 0

    def count_single_threaded_blas(self, change: int) -> None:
        """Note that so many more are inside `single_threaded_blas`, and tell NumPy how many threads
        its products may use from now on.
        """
        with self.counting:
            self.want_single_threaded_blas += change
            _set_blas_threads(1 if self.want_single_threaded_blas else self.size)

    def run(self, work: Callable[[slice], None], count: int) -> None:
        """One share here, and one in each helper."""
        shares = min(self.size, count)
        bounds = [count * i // shares for i in range(shares + 1)]
        own, *others = (slice(start, stop) for start, stop in pairwise(bounds))
        while len(self.helpers) < len(others):
            self.helpers.append(_Helper())
        busy = self.helpers[: len(others)]
        for helper, part in zip(busy, others, strict=True):
            context = copy_context()  # NumPy's errstate is the caller's there, too
            helper.start(partial(context.run, work, part))
        try:
            work(own)
        finally:
            try:
                errors = [helper.finish() for helper in busy]
            except KeyboardInterrupt:
                self.helpers = []  # they end what they do, and nobody asks them again
                raise
        for error in errors:
            if error is not None:
                raise error


# --- NumPy's own threads --------------------------------------------------------------------------


def _openblas() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """How to ask the library behind NumPy's matrix products its number of threads, and how to tell
    it another, if it is an OpenBLAS; any other is left alone.
    """
    # In the first file, a part of NumPy, a name is found if it is in any library that this file has
    # loaded.  Not so on Windows: there OpenBLAS' own file has to be asked.
    numpy = Path(np.__file__).parent
    files = [*numpy.glob("_core/_multiarray_umath.*"), *numpy.parent.glob("numpy.libs/*openblas*")]
    for file in files:
        try:
            library = ctypes.CDLL(str(file))
        except OSError:
            continue
        for name in ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}"):
            if hasattr(library, name.format("set_num_threads")):
                ask, tell = name.format("get_num_threads"), name.format("set_num_threads")
                return getattr(library, ask), getattr(library, tell)
    return None


_BLAS = _openblas()
_team = _Team(_BLAS[0]() if _BLAS else os.cpu_count() or 1)


def _set_blas_threads(count: int) -> None:
    if _BLAS:
        _BLAS[1](count)


def _after_fork() -> None:
    """A forked process has none of its parent's threads."""
    _team.helpers, _team.free, _team.counting = [], threading.Lock(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
