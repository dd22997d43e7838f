"""Work shared between a few threads: NumPy releases Python's lock while it calculates, so two
threads keep two processors busy. There are as many as NumPy's matrix products use by themselves,
unless `set_threads` says otherwise; the first work worth sharing starts them.

Results for the same number of threads are the same to the last bit. With another number sums may
be taken in another order, and differ by a rounding.
"""

import functools
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import ContextDecorator, suppress
from contextvars import copy_context
from functools import partial
from itertools import pairwise
from queue import Empty, SimpleQueue

import numpy as np

from digits.compute.matmul import IN_PLACE, blas_libraries, matmul_by_rows
from digits.types import Array

WORTH_SHARING = 10_000_000
"""Multiplications of a matrix product. They take some 200 microseconds, several times as long as
waking another thread."""

WORTH_SHARING_BY_BLAS = 3_500_000
"""The same for the threads of BLAS, which are quicker to wake. Smaller products are done in blocks
of rows, each too small for BLAS to share: one thread takes about as long if nothing else runs and
much less if something does, and leaves the weights in the cache of the processor that will update
them. Where `matmul_by_rows` makes no blocks, BLAS decides.
"""

MAX_THREADS = 1024
"""More than any machine has processors that share a memory so well."""

ELEMENTWISE = 5
"""How many multiplications of a matrix product take the time of one that is done element by
element, as in a * b: what `parallel_for` is told is counted in those of matrix products."""


def get_threads() -> int:
    """How many threads share the work."""
    return _pool.size


def set_threads(count: int) -> None:
    """Let so many threads share the work, here and in NumPy's matrix products, however busy the
    machine is; 1 means no workers.

    Raises ValueError for less than 1 or more than MAX_THREADS.
    """
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"expected 1 to {MAX_THREADS:,} threads; received {count:,}")
    _pool.set_size(count)


def parallel_for(work: Callable[[slice], None], count: int, multiplications: float) -> None:
    """Call work(part) for slices that together are range(count), one in each thread.

    `multiplications` says about how much there is to do: for a little no thread is woken. What
    `work` raises is raised here, after all have finished. If the pool is in use, as it is when work
    calls `parallel_for` itself, all is done in the calling thread.
    """
    alone = multiplications < WORTH_SHARING or min(_pool.size, count) < 2
    if alone or not _pool.available.acquire(blocking=False):
        work(slice(0, count))
        return
    try:
        _pool.run(work, count)
    finally:
        _pool.available.release()


def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The matrix product a @ b. A large one is shared by the threads of BLAS, the library behind
    NumPy, or, inside `single_threaded_blas`, by ours: its longer side is cut among them.
    """
    (rows, inner), columns = a.shape, b.shape[1]
    multiplications = rows * inner * columns
    shared_by_blas = _pool.size > 1 and not _pool.blas_limits
    if multiplications <= IN_PLACE or (shared_by_blas and multiplications > WORTH_SHARING_BY_BLAS):
        return np.matmul(a, b, out=out)
    y = np.empty((rows, columns), np.result_type(a, b)) if out is None else out
    if multiplications < WORTH_SHARING:
        matmul_by_rows(a, b, y)
    elif rows >= columns:
        parallel_for(lambda part: matmul_by_rows(a[part], b, y[part]), rows, multiplications)
    else:
        parallel_for(
            lambda part: matmul_by_rows(a, b[:, part], y[:, part]), columns, multiplications
        )
    return y


class SingleThreadedBLAS(ContextDecorator):
    """Inside `with`, or a function so decorated, NumPy's matrix products use one thread each.

    The threads of BLAS wait by asking again and again. That is fast where nothing else runs, but on
    a busy machine they keep each other from working, and small products take a thousand times as
    long.
    """

    def __enter__(self) -> None:
        _pool.limit_blas(+1)

    def __exit__(self, *_: object) -> None:
        _pool.limit_blas(-1)


class AdaptiveBLAS(SingleThreadedBLAS):
    """Inside, NumPy's matrix products use the threads of BLAS, unless other programs keep
    the processors busy: then one thread each. Rounding may then differ; `set_threads` makes sure
    that it does not.
    """

    def __init__(self) -> None:
        self.calls = _Calls()

    def __enter__(self) -> None:
        limited = _pool.adaptive and _contention.found()
        self.calls.limited.append(limited)
        if limited:
            super().__enter__()

    def __exit__(self, *_: object) -> None:
        if self.calls.limited.pop():
            super().__exit__()


class _Calls(threading.local):
    """For each `with` that a thread is inside of, whether BLAS is limited there."""

    def __init__(self) -> None:
        self.limited: list[bool] = []


single_threaded_blas = SingleThreadedBLAS()
adaptive_blas = AdaptiveBLAS()

# --- the pool -------------------------------------------------------------------------------------


Task = Callable[[], None]


def _live(tasks: SimpleQueue[Task]) -> None:
    """What a worker does: wait for a task, do it, and wait again."""
    while True:
        tasks.get()()


def _do(work: Task, done: SimpleQueue[BaseException | None]) -> None:
    """Do the work, and say that it is done, or what it raised."""
    try:
        work()
        done.put(None)
    except BaseException as error:
        done.put(error)


class _Pool:
    """The workers, and how many threads BLAS uses."""

    def __init__(self) -> None:
        self.adaptive = True  # until `set_threads` asks for a number
        self.available, self.counting = threading.Lock(), threading.Lock()
        self.workers, self.tasks = 0, SimpleQueue[Task]()
        self.blas_limits = 0
        """How many are inside `single_threaded_blas`."""

    @functools.cached_property
    def size(self) -> int:
        counts = [library.num_threads for library in blas_libraries()]
        return max(counts) if counts else os.cpu_count() or 1

    def set_size(self, count: int) -> None:
        with self.counting:
            self.size, self.adaptive = count, False
            self._set_blas_threads()

    def limit_blas(self, change: int) -> None:
        """Count one more or one less inside `single_threaded_blas`, and tell BLAS."""
        with self.counting:
            before = self.blas_limits
            self.blas_limits += change
            if self.size > 1 and (before == 0 or self.blas_limits == 0):
                self._set_blas_threads()

    def _set_blas_threads(self) -> None:
        count = 1 if self.blas_limits else self.size
        for library in blas_libraries():
            # threadpoolctl's own function is slower, and deaf to all threads but the first.
            getattr(library, "_real_set_num_threads", library.set_num_threads)(count)

    def run(self, work: Callable[[slice], None], count: int) -> None:
        """One part in the calling thread, and one in each worker."""
        parts = min(self.size, count)
        bounds = [count * i // parts for i in range(parts + 1)]
        own, *others = (slice(start, stop) for start, stop in pairwise(bounds))
        while self.workers < len(others):
            threading.Thread(target=_live, args=(self.tasks,), daemon=True).start()
            self.workers += 1
        done = SimpleQueue[BaseException | None]()
        for part in others:
            context = copy_context()  # NumPy's errstate is the caller's there, too
            self.tasks.put(partial(_do, partial(context.run, work, part), done))
        try:
            work(own)
        finally:
            # What no worker has begun, because the processors are busy with something else.
            with suppress(Empty):
                while True:
                    self.tasks.get_nowait()()
            errors = [done.get() for _ in others]
        for error in errors:
            if error is not None:
                raise error


_pool = _Pool()


# --- a busy machine -------------------------------------------------------------------------------


class _Contention:
    """Whether other programs keep the threads of BLAS from working, measured now and then."""

    INTERVAL, PATIENCE = 0.1, 2.0
    """Seconds until the next measurement: usually, and at most. One takes a quarter of a
    millisecond on an idle machine and some ten on a busy one. So it is repeated soon, and later
    with every time in a row that it finds contention.
    """

    QUIET = 3
    """How many measurements in a row have to find none, before threads are used again: beside other
    programs two threads are sometimes lucky, and run at the same time.
    """

    def __init__(self) -> None:
        self.measured_at, self.quiet = -math.inf, self.QUIET
        self.wait = self.INTERVAL
        self.measuring = threading.Lock()
        self.alone = math.inf
        """Seconds that a product takes with one thread, at best."""

    def found(self) -> bool:
        due = time.monotonic() - self.measured_at > self.wait
        if due and _pool.size > 1 and self.measuring.acquire(blocking=False):
            try:
                if self._measure():
                    self.quiet, self.wait = 0, min(4 * self.wait, self.PATIENCE)
                else:
                    self.quiet, self.wait = self.quiet + 1, self.INTERVAL
                self.measured_at = time.monotonic()
            finally:
                self.measuring.release()
        return self.quiet < self.QUIET

    def _measure(self) -> bool:
        a = np.ones((128, 256), np.float32)

        def seconds() -> float:
            start = time.perf_counter()
            np.matmul(a, a.T)
            return time.perf_counter() - start

        if self.quiet < self.QUIET or self.alone == math.inf:
            with single_threaded_blas:
                self.alone = min(self.alone, *(seconds() for _ in range(3)))
        # The first one wakes the threads, which takes long after a pause, but not that long.
        if seconds() > 30 * self.alone:
            return True
        limit = 1.5 * self.alone  # on an idle machine it takes about half as long as alone
        return sorted(seconds() for _ in range(9))[2] > limit  # no more than two were fast


_contention = _Contention()


def _after_fork() -> None:
    """A forked process has none of its parent's threads, and none that would open its locks."""
    _pool.workers, _pool.tasks = 0, SimpleQueue()
    _pool.available, _pool.counting, _pool.blas_limits = threading.Lock(), threading.Lock(), 0
    _contention.measuring = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
