"""Processes that train one network together, on one machine or many: data parallelism over MPI.
Each process works on its shard of every batch, and their gradients are averaged; `mpiexec -n N`
starts them, and a process that is started by itself is a group of one.

Weights, random generators and the order of the images are the same in every process, so N of them
do what one does, to rounding, and the same number of processes does the same to the last bit.
"""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import numpy as np

from digits.types import Array

T = TypeVar("T")

SIZE_VARIABLES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE")
"""Where mpiexec tells a process how many it has started: in Open MPI, and in MPICH and its kin."""

FORWARDING = 0.2
"""Seconds in which mpiexec passes on what a process has written, before it is told to abort."""


class _GlobalBatch(NamedTuple):
    """A batch that a group shares, as one process sees it."""

    size: int
    rows: slice  # those of this process
    weight: float  # the fraction of the batch that they are
    communicator: Any


_global_batch: ContextVar[_GlobalBatch | None] = ContextVar("_global_batch", default=None)


class ProcessGroup:
    """The processes of a run, as number `rank` of `size` sees them over an mpi4py communicator;
    without one, this process alone.
    """

    def __init__(self, communicator: Any = None) -> None:
        self.communicator = communicator
        self.rank: int = communicator.Get_rank() if communicator else 0
        self.size: int = communicator.Get_size() if communicator else 1

    def shard(self, n: int) -> slice:
        """This process's shard of n rows; the lengths of all shards differ by at most one."""
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    @contextmanager
    def sharded_batch(self, n: int) -> Iterator[slice]:
        """Yields the rows of a batch of n samples that this process works on; inside,
        `all_reduce_mean` and `global_batch` speak of the whole batch. A process whose shard is
        empty works on the first row with a weight of 0, as the others wait for it at every mean.
        """
        rows = self.shard(n)
        weight = (rows.stop - rows.start) / n
        rows = rows if weight else slice(0, 1)
        batch = _GlobalBatch(n, rows, weight, self.communicator) if self.communicator else None
        before = _global_batch.set(batch)
        try:
            yield rows
        finally:
            _global_batch.reset(before)

    def all_gather(self, rows: Array) -> Array:
        """The rows of all shards, in every process."""
        return np.concatenate(self.communicator.allgather(rows)) if self.communicator else rows

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process, known to all."""
        return any(self.communicator.allgather(flag)) if self.communicator else flag

    def broadcast(self, work: Callable[[], T]) -> T:
        """What work() returns in process 0; if it raises there, the others end with SystemExit."""
        if not self.communicator:
            return work()
        result: list[T] = []
        try:
            if self.rank == 0:
                result.append(work())
        finally:
            result = self.communicator.bcast(result)
        if not result:
            raise SystemExit
        return result[0]

    def synchronize(self, network: Any, optimizer: Any, history: T) -> T:
        """Bring network and optimizer to the state of those of process 0; its history."""
        if not self.communicator:
            return history
        params, buffers = network.params.flat, network.buffers.flat
        drawn, made = network.rng.bit_generator.state, (optimizer.iterations, optimizer.slots)
        first = self.broadcast(lambda: (params, buffers, drawn, made, history))
        params[...], buffers[...], network.rng.bit_generator.state, made, history = first
        optimizer.iterations, optimizer.slots = made
        return history

    def parallel(self, network: Any) -> Any:
        """The network, its batches sharded over the group if that has several processes."""
        return DataParallel(network, self) if self.communicator else network

    def cores(self) -> int:
        """How many processors each process of this machine may keep busy, at least 1."""
        # mpiexec may have bound processes to processors of their own, or left all to all of them.
        affinity = getattr(os, "sched_getaffinity", lambda _: set(range(os.cpu_count() or 1)))
        here = (platform.node(), affinity(0))
        everywhere = self.communicator.allgather(here) if self.communicator else [here]
        neighbors = [cores for machine, cores in everywhere if machine == here[0]]
        return max(1, len(set().union(*neighbors)) // len(neighbors))

    def abort(self, why: str, status: int) -> int:
        """Say why on stderr and end the run of all processes; the status, for one alone."""
        if self.communicator:
            why = f"{why} (rank {self.rank} of {self.size}, on {platform.node()})"
        if self.rank:
            time.sleep(1)  # if the same happened in all, rank 0 says so and ends the run meanwhile
        with suppress(OSError):  # a closed pipe
            sys.stderr.write(f"{why}\n")
            sys.stderr.flush()
        if self.communicator:
            time.sleep(FORWARDING)
            self.communicator.Abort(status)
        return status


SINGLE_PROCESS = ProcessGroup()
"""A process that was started by itself."""


class DataParallel:
    """A network whose batches are sharded over a group; for all else it is the network itself."""

    def __init__(self, network: Any, group: ProcessGroup) -> None:
        self.network, self.group = network, group

    def loss_and_gradient(self, x: Array, t: Array, *, scale: float = 1.0) -> tuple[float, Any]:
        """Mean loss over all shards, and its gradient times `scale`."""
        with self.group.sharded_batch(len(x)) as rows:
            loss, grads = self.network.loss_and_gradient(x[rows], t[rows], scale=scale)
            all_reduce_mean(grads.flat)
            return all_reduce_mean(np.array([loss])).item(), grads

    def predict(self, x: Array) -> Array:
        """Probabilities for all rows."""
        return self.group.all_gather(self.network.predict(x[self.group.shard(len(x))]))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)


def init() -> ProcessGroup:
    """The group that mpiexec started, or this process alone; an uncaught error ends the run of all.

    Raises ConnectionError if mpi4py is missing, or does not find as many processes as were started.
    """
    started = max(int(os.environ.get(name, "1")) for name in SIZE_VARIABLES)
    if started == 1:
        return SINGLE_PROCESS
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

    def end_all(*error: Any) -> None:
        sys.__excepthook__(*error)
        time.sleep(FORWARDING)
        world.Abort(1)

    sys.excepthook = end_all
    return ProcessGroup(world)


# --- for layers, inside a sharded batch -----------------------------------------------------------


def all_reduce_mean(x: Array) -> Array:
    """Turn means x over the rows of this process, in place, into means over the whole batch:
    sum_r (n_r / n) mean_r over the processes r and their n_r rows. All must call it.
    """
    batch = _global_batch.get()
    if batch is not None:
        x *= batch.weight
        batch.communicator.Allreduce(None, x)  # None: the sum takes the place of the summands
    return x


def global_batch(x: Array) -> tuple[int, slice]:
    """How many rows the whole batch has, and which of them x are: dropout draws its masks for all
    rows in every process, so they do not depend on the shards.
    """
    batch = _global_batch.get()
    return (len(x), slice(None)) if batch is None else (batch.size, batch.rows)
