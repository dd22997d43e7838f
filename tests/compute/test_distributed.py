"""Several ranks do what one process does: ranks that are threads, and real ones under mpiexec."""

import json
import math
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from programs import environment, run
from tiny_data import digits, fit, small_with_dropout, write_data_set

import train_net
from digits import RECIPES, SGD
from digits.compute.distributed import (
    SINGLE_PROCESS,
    SIZE_VARIABLES,
    ProcessGroup,
    all_reduce_mean,
    global_batch,
    init,
)
from digits.training.batches import ShuffledBatches
from digits.training.callbacks import Callback, CtrlC, Training
from digits.types import Array
from train_net import train_loop


class Room:
    """Where threads meet that are ranks: each brings something, and sees what all have brought."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.brought: list[Any] = [None] * size

    def exchange(self, rank: int, thing: Any) -> list[Any]:
        self.brought[rank] = thing
        self.barrier.wait()
        everything = list(self.brought)
        self.barrier.wait()  # nobody brings the next thing before all have seen this one
        return everything


class Communicator:
    """One rank's end of a room, with the methods of mpi4py that are used."""

    def __init__(self, room: Room, rank: int) -> None:
        self.room, self.rank = room, rank

    def Get_rank(self) -> int:
        return self.rank

    def Get_size(self) -> int:
        return self.room.size

    def bcast(self, obj: Any) -> Any:
        return pickle.loads(self.room.exchange(self.rank, pickle.dumps(obj))[0])

    def allgather(self, sendobj: Any) -> list[Any]:
        return [pickle.loads(m) for m in self.room.exchange(self.rank, pickle.dumps(sendobj))]

    def Allreduce(self, sendbuf: None, recvbuf: Array) -> None:
        assert sendbuf is None
        parts = self.room.exchange(self.rank, recvbuf.copy())
        assert len({(part.shape, part.dtype) for part in parts}) == 1
        recvbuf[...] = sum(parts[1:], parts[0])

    def Abort(self, errorcode: int) -> None:
        self.room.barrier.abort()


def by_ranks(size: int, work: Callable[[ProcessGroup], Any]) -> list[Any]:
    """What work(ranks) gives at each of `size` ranks; an error at one is raised here."""
    room, results, errors = Room(size), [None] * size, list[BaseException]()

    def live(rank: int) -> None:
        try:
            results[rank] = work(ProcessGroup(Communicator(room, rank)))
        except BaseException as error:
            errors.append(error)
            room.barrier.abort()

    with ThreadPoolExecutor(size) as threads:
        assert len(list(threads.map(live, range(size)))) == size
    for error in errors:  # the first one broke the barrier for the others
        raise error
    return results


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 2, 5, 10, 100])
def test_parts_are_even_and_gathered_in_order(size: int, n: int) -> None:
    def work(ranks: ProcessGroup) -> tuple[int, Array]:
        own = np.arange(n)[ranks.shard(n)]
        return len(own), ranks.all_gather(own)

    lengths, gathered = zip(*by_ranks(size, work), strict=True)
    assert max(lengths) - min(lengths) <= 1
    for rows in gathered:
        np.testing.assert_array_equal(rows, np.arange(n))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
def test_an_average_is_the_mean_of_the_batch(size: int, n: int) -> None:
    """Also where some ranks have more rows than others, or none."""
    x = np.random.default_rng(n).random((n, 4))

    def work(ranks: ProcessGroup) -> tuple[Array, Array]:
        with ranks.sharded_batch(n) as rows:
            assert global_batch(x[rows]) == (n, rows)
            return all_reduce_mean(np.mean(x[rows], axis=0)), x[rows]

    for mean, own in by_ranks(size, work):
        np.testing.assert_allclose(mean, x.mean(axis=0), rtol=1e-12)
        assert 1 <= len(own) <= math.ceil(n / size)


def test_outside_a_shared_batch_and_alone_nothing_is_averaged() -> None:
    x = np.ones((3, 4))
    assert all_reduce_mean(x) is x
    assert (x == 1).all()
    assert global_batch(x) == (3, slice(None))
    with SINGLE_PROCESS.sharded_batch(3) as rows:
        assert rows == slice(0, 3)
        assert (all_reduce_mean(x) == 1).all()
        assert global_batch(x) == (3, slice(None))


def test_what_rank_0_cannot_do_ends_the_others_in_silence() -> None:
    def work(ranks: ProcessGroup) -> str:
        with pytest.raises((ZeroDivisionError, SystemExit)) as caught:
            ranks.broadcast(lambda: 1 / 0)
        return repr(caught.value)

    left = "SystemExit()"
    assert by_ranks(3, work) == ["ZeroDivisionError('division by zero')", left, left]


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux tells where one may run")
@pytest.mark.parametrize(
    ("machines", "cores"),
    [
        ([("a", {0, 1, 2, 3})], 4),
        ([("a", {0, 1, 2, 3}), ("a", {0, 1, 2, 3})], 2),  # all may run everywhere
        ([("a", {0, 1}), ("a", {2, 3})], 2),  # mpiexec has bound them
        ([("a", {0}), ("a", {0}), ("a", {0})], 1),  # more ranks than processors
        ([("a", {0, 1, 2, 3}), ("b", {0, 1, 2, 3})], 4),  # another machine
    ],
)
def test_cores_are_divided_among_the_ranks_of_a_machine(
    machines: list[tuple[str, set[int]]], cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    communicator = Communicator(Room(1), 0)
    monkeypatch.setattr("platform.node", lambda: machines[0][0])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: machines[0][1])
    assert ProcessGroup().cores() == len(machines[0][1])
    monkeypatch.setattr(communicator, "allgather", lambda here: [here, *machines[1:]])
    assert ProcessGroup(communicator).cores() == cores


def trained(name: str, ranks: ProcessGroup = SINGLE_PROCESS) -> dict[str, Array]:
    """What four batches, which no number of ranks divides, make of a recipe's network."""
    recipe = RECIPES[name]
    network = recipe.build(np.random.default_rng(0), np.float64)
    options: dict[str, Any] = {"batch_size": 8, "iterations": 4, "augment": recipe.augment}
    optimizer = recipe.optimizer(recipe.learning_rate, 4)
    history = fit(network, digits(17, 7, 5), optimizer, group=ranks, **options)
    figures = [list(vars(record).values()) for record in history.epochs]
    arrays = {"params": network.params.flat.copy(), "state": network.buffers.flat.copy()}
    return arrays | {"losses": np.array(history.losses), "figures": np.array(figures, np.float64)}


def same(one: dict[str, Array], other: dict[str, Array], rtol: float = 0) -> None:
    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_allclose(other[key], array, rtol=rtol, atol=rtol, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two-layer", "conv", "lenet5-1998", "best"])
def test_a_recipe_is_trained_as_by_one_process(name: str) -> None:
    first, *others = by_ranks(3, lambda ranks: trained(name, ranks))
    same(trained(name), first, rtol=1e-8)
    for other in others:
        same(first, other)


def test_ctrl_c_in_one_process_stops_all_after_the_same_batch() -> None:
    class PressThird(Callback):
        def __init__(self, ctrl_c: CtrlC) -> None:
            self.ctrl_c = ctrl_c

        def on_batch_begin(self, training: Training) -> None:
            if training.batch == 2 and self.ctrl_c.group.rank == 1:
                self.ctrl_c.pressed = True

    def work(group: ProcessGroup) -> tuple[int, bool]:
        network, data = small_with_dropout(np.random.default_rng(0)), digits(20, 0, 5)
        batches, ctrl_c = ShuffledBatches(data.x_train, data.t_train, 5), CtrlC(group)
        callbacks = [ctrl_c, PressThird(ctrl_c)]
        history = train_loop(group.parallel(network), batches, SGD(0.1), 20, callbacks)
        return len(history.losses), history.interrupted

    assert by_ranks(3, work) == [(3, True)] * 3


Start = Callable[[str, int], None]


@pytest.fixture
def no_mpi4py(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpi4py", None)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Start:
    """Have mpiexec, of one make or the other, start so many processes."""
    for name in SIZE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return lambda name, number: monkeypatch.setenv(name, str(number))


@pytest.mark.parametrize("name", SIZE_VARIABLES)
@pytest.mark.usefixtures("no_mpi4py")
def test_one_process_needs_no_mpi(name: str, started: Start) -> None:
    assert init() is SINGLE_PROCESS
    started(name, 1)
    assert init() is SINGLE_PROCESS


@pytest.mark.parametrize("name", SIZE_VARIABLES)
@pytest.mark.usefixtures("no_mpi4py")
def test_many_processes_without_mpi4py_learn_what_to_install(
    name: str, started: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started(name, 3)
    assert train_net.main(["--out", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "mpiexec started 3 processes" in told and "pip install mpi4py" in told
    assert not list(tmp_path.iterdir())


def test_another_mpi_than_that_of_mpiexec(started: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    mpi = Mock(COMM_WORLD=Communicator(Room(1), 0), Get_library_version=lambda: "Some MPI 1.0\n!")
    monkeypatch.setitem(sys.modules, "mpi4py", Mock(MPI=mpi))
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)
    started("PMI_SIZE", 4)
    with pytest.raises(ConnectionError, match=r"started 4 .* found 1: it uses Some MPI 1.0;"):
        init()


PLACES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
MPIEXEC = shutil.which("mpiexec", path=PLACES)
with_mpi = pytest.mark.skipif(
    not (MPIEXEC and find_spec("mpi4py")),
    reason="needs mpi4py and an mpiexec: pip install mpi4py, and the mpich of Debian or PyPI",
)


def mpiexec(ranks: int, *words: str) -> subprocess.CompletedProcess[str]:
    return run(
        [MPIEXEC, "-n", ranks, sys.executable, *words],
        timeout=120,
        # Open MPI asks twice whether one means it, and once more for more ranks than processors.
        env=environment(
            **{f"OMPI_ALLOW_RUN_AS_ROOT{again}": "1" for again in ("", "_CONFIRM")},
            OMPI_MCA_rmaps_base_oversubscribe="1",
            PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe",
        ),
    )


@with_mpi
@pytest.mark.slow
def test_the_command_line_by_two_ranks_resumed_by_three(root: Path, tmp_path: Path) -> None:
    data, script = write_data_set(tmp_path / "data"), str(root / "train_net.py")
    alone, together = tmp_path / "alone", tmp_path / "together"
    begin = ["--recipe", "mlp-adam", "--dataset", "synthetic", "--dataset-dir", str(data)]
    begin += ["--dtype", "float64"]
    assert train_net.main([*begin, "--epochs", "2", "--out", str(alone), "--quiet"]) == 0
    done = mpiexec(2, script, *begin, "--epochs", "1", "--out", str(together))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("parameters;") == done.stdout.count("epoch 1/1") == 1
    rest = ["--resume", str(together), "--dataset-dir", str(data), "--epochs", "2", "--quiet"]
    done = mpiexec(3, script, *rest)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    reports = [json.loads((out / "report.json").read_text()) for out in (alone, together)]
    assert reports[0]["test_accuracy"] == reports[1]["test_accuracy"]
    assert reports[0]["test_loss"] == pytest.approx(reports[1]["test_loss"], rel=1e-9)
    assert {path.name for path in together.iterdir()} == {path.name for path in alone.iterdir()}


@with_mpi
@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--epochs", "many"], ["--resume", "nowhere"]])
def test_mistakes_are_told_once(root: Path, arguments: list[str]) -> None:
    done = mpiexec(2, str(root / "train_net.py"), *arguments)
    assert done.returncode != 0
    assert done.stderr.count("many" if "many" in arguments else "nowhere") == 1
    assert "Traceback" not in done.stderr


DYING = """
import os, signal, sys
import numpy as np
from digits.compute.distributed import all_reduce_mean, init
ranks = init()
for step in range(1000):
    with ranks.sharded_batch(10):
        all_reduce_mean(np.ones(10))
        if step == 5 and ranks.rank == 1:
            {death}
"""


@with_mpi
@pytest.mark.slow
@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("raise ZeroDivisionError('the end of rank 1')", "the end of rank 1"),
        ("ranks.abort('train_net: the disk is full', 3)", "the disk is full (rank 1 of 3, on "),
        ("os.kill(os.getpid(), signal.SIGKILL)", ""),
    ],
)
def test_a_rank_that_dies_ends_the_run(death: str, told: str) -> None:
    done = mpiexec(3, "-c", DYING.format(death=death))
    assert done.returncode != 0 and told in done.stderr
