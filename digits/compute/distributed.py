"""Processes that train one network together, on one machine or many: each of them, called a rank,
works on its share of every batch, and what they find is averaged.  `mpiexec -n N` starts them and
carries their messages; a process that is started by itself is the only rank.

The weights, the noise and the order of the images are the same at every rank, so N ranks do what
one process does, to rounding, and the same number of ranks does the same to the last bit.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import TracebackType
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from digits.types import Array

T = TypeVar("T")

NUMBER_STARTED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Where mpiexec tells a process how many it has started: Open MPI's, and that of MPICH and its
kin."""


class Communicator(Protocol):
    """What is used of an mpi4py communicator."""

    def Get_rank(self) -> int: ...
    def Get_size(self) -> int: ...
    def bcast(self, obj: Any) -> Any: ...
    def allgather(self, sendobj: Any) -> list[Any]: ...
    def Allreduce(self, sendbuf: None, recvbuf: Array) -> None: ...
    def Abort(self, errorcode: int) -> Any: ...


class _Batch(NamedTuple):
    """A batch that ranks share: its size, the rows that are worked on here, and the share of the
    batch that they are, which is the weight of their means.
    """

    size: int
    rows: slice
    weight: float
    communicator: Communicator


_batch: ContextVar[_Batch | None] = ContextVar("_batch", default=None)


class Ranks:
    """The ranks of a run as one of them sees them; without a communicator, this process alone."""

    def __init__(self, communicator: Communicator | None = None) -> None:
        self.communicator = communicator
        self.rank = communicator.Get_rank() if communicator else 0
        self.size = communicator.Get_size() if communicator else 1

    def part(self, n: int) -> slice:
        """This rank's share of n rows; the shares of all are range(n), and none is longer than
        another by more than one.
        """
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    @contextmanager
    def share(self, n: int) -> Iterator[slice]:
        """Yields the rows of a batch of n samples that this rank is to work on.  Inside, `average`
        and `whole_batch` speak of the batch.

        Where n is less than the number of ranks, one whose share is empty works on the first row
        and counts for nothing: the others wait for it at every average.
        """
        if self.communicator is None:
            yield slice(0, n)
            return
        rows = self.part(n)
        weight = (rows.stop - rows.start) / n
        rows = rows if weight else slice(0, 1)
        before = _batch.set(_Batch(n, rows, weight, self.communicator))
        try:
            yield rows
        finally:
            _batch.reset(before)

    def gather(self, rows: Array) -> Array:
        """The rows of all ranks, each having given those of its `part`, at every rank."""
        if self.communicator is None:
            return rows
        return np.concatenate(self.communicator.allgather(rows))

    def first(self, work: Callable[[], T]) -> T:
        """What work() gives at rank 0, at every rank.  If it raises there, the others leave with
        SystemExit: rank 0 says why.
        """
        if self.communicator is None:
            return work()
        answer: list[T] = []
        try:
            if self.rank == 0:
                answer.append(work())
        finally:
            answer = self.communicator.bcast(answer)
        if not answer:
            raise SystemExit
        return answer[0]

    def cores(self) -> int:
        """How many processors each rank of this machine may keep busy, at least 1."""
        # mpiexec may have bound ranks to processors of their own, or left all to all of them.
        affinity = getattr(os, "sched_getaffinity", lambda _: set(range(os.cpu_count() or 1)))
        here = (platform.node(), affinity(0))
        all_ranks = self.communicator.allgather(here) if self.communicator else [here]
        neighbours = [cores for machine, cores in all_ranks if machine == here[0]]
        return max(1, len(set().union(*neighbours)) // len(neighbours))

    def leave(self, why: str, status: int) -> int:
        """Say why on stderr, and end the run of all ranks, who would wait for this one for ever.
        For a process alone, only the exit status to end with.
        """
        if self.communicator is not None:
            why = f"{why} (rank {self.rank} of {self.size}, on {platform.node()})"
        if self.rank:
            time.sleep(1)  # if the same befell all, rank 0 says so and ends the run meanwhile
        with suppress(OSError):  # nobody reads it
            sys.stderr.write(f"{why}\n")
            sys.stderr.flush()
        if self.communicator is None:
            return status
        self.communicator.Abort(status)
        return status


ALONE = Ranks()
"""A process that was started by itself."""


def join() -> Ranks:
    """The ranks that mpiexec started, this process among them; or this process alone.  An error
    that nobody catches ends the run of all.

    Raises ConnectionError if mpi4py is missing, or does not find as many processes as were started.
    """
    started = max(int(os.environ.get(name, "1")) for name in NUMBER_STARTED)
    if started == 1:
        return ALONE
    try:
        from mpi4py import MPI  # noqa: PLC0415  (it starts MPI, which a process alone does not need)
    except (ImportError, RuntimeError) as error:
        raise ConnectionError(
            f"mpiexec started {started} processes, which need mpi4py and an MPI library to work "
            f"together; found: {' '.join(str(error).split())}. pip install mpi4py mpich, or start "
            "one process without mpiexec"
        ) from error
    world = MPI.COMM_WORLD
    if world.Get_size() != started:
        raise ConnectionError(
            f"mpiexec started {started} processes, but mpi4py found {world.Get_size()}: it uses "
            f"{MPI.Get_library_version().splitlines()[0].strip()}; start them with the mpiexec of "
            "that library"
        )

    def end_all(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        sys.__excepthook__(kind, error, trace)
        world.Abort(1)

    sys.excepthook = end_all
    return Ranks(world)


# --- inside a shared batch ------------------------------------------------------------------------


def average(x: Array) -> Array:
    """Turn means over the rows that are here into means over the whole batch: x, changed in place.

    A mean over n rows is sum_r (n_r / n) mean_r, over the ranks r and their n_r rows.  Every rank
    must ask for it, as often as the others and in the same order.
    """
    batch = _batch.get()
    if batch is not None:
        x *= batch.weight
        batch.communicator.Allreduce(None, x)  # None: the sum takes the place of the summands
    return x


def whole_batch(x: Array) -> tuple[int, slice]:
    """How many rows the batch has of which x are those here, and which of them x are.

    Noise is drawn for all rows at every rank, and so does not depend on who works on them.
    """
    batch = _batch.get()
    return (len(x), slice(None)) if batch is None else (batch.size, batch.rows)
