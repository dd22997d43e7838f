"""Work is shared without anyone noticing but the clock, and NumPy is left as it was found."""

import itertools
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from digits import Adam, AveragePooling2D, Conv2D, MaxPooling2D, Sequential
from digits.compute import threads as parallel
from digits.nn.layers import Dense, Dropout, Flatten, Reshape

COUNTS = (1, 2, 3, 5)
MUCH = parallel.WORTH_SHARING


def in_use() -> set[int]:
    """How many threads NumPy's BLAS has."""
    return {blas["num_threads"] for blas in threadpool_info() if "numpy" in blas["filepath"]}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads = parallel.get_threads()
    yield
    parallel.set_threads(threads)


@pytest.fixture
def everything_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "WORTH_SHARING", 0)


@pytest.mark.parametrize("threads", COUNTS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 7, 100])
def test_every_part_is_done_once(threads: int, count: int) -> None:
    parallel.set_threads(threads)
    done = np.zeros(count, int)

    def work(part: slice) -> None:
        done[part] += 1

    for _ in range(20):
        parallel.parallel_for(work, count, MUCH)
    assert (done == 20).all()


def test_much_is_shared_and_little_is_not() -> None:
    parallel.set_threads(2)
    workers: list[tuple[slice, int]] = []

    def work(part: slice) -> None:
        workers.append((part, threading.get_ident()))
        time.sleep(0.05)

    parallel.parallel_for(work, 10, MUCH)
    assert sorted((part.start, part.stop) for part, _ in workers) == [(0, 5), (5, 10)]
    assert len({thread for _, thread in workers}) == 2
    workers.clear()
    parallel.parallel_for(work, 10, MUCH - 1)
    assert workers == [(slice(0, 10), threading.get_ident())]


@pytest.mark.parametrize("wrong", [0, 2])
def test_errors_arrive_after_all_have_finished(wrong: int) -> None:
    parallel.set_threads(3)
    finished = []

    def work(part: slice) -> None:
        if part.start == wrong:
            raise ZeroDivisionError(f"in {part.start}")
        time.sleep(0.02)
        finished.append(part.start)

    for _ in range(3):
        finished.clear()
        with pytest.raises(ZeroDivisionError, match=f"in {wrong}"):
            parallel.parallel_for(work, 3, MUCH)
        assert sorted(finished) == sorted({0, 1, 2} - {wrong})


def test_numerical_errors_are_treated_as_the_caller_says() -> None:
    parallel.set_threads(3)
    x = np.full(30, 1e300)

    def work(part: slice) -> None:
        x[part] * x[part]
        time.sleep(0.02)

    for _ in range(3):
        with np.errstate(over="ignore"):
            parallel.parallel_for(work, 30, MUCH)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            parallel.parallel_for(work, 30, MUCH)


def test_shared_work_may_share() -> None:
    parallel.set_threads(2)
    done = np.zeros((4, 6), int)

    def work(part: slice) -> None:
        def inner(columns: slice) -> None:
            done[part, columns] += 1

        parallel.parallel_for(inner, 6, MUCH)

    parallel.parallel_for(work, 4, MUCH)
    assert (done == 1).all()


def test_two_who_share_at_once() -> None:
    parallel.set_threads(2)
    done = np.zeros((2, 50, 40), int)

    def person(i: int) -> None:
        def work(part: slice) -> None:
            done[i, :, part] += 1

        for _ in range(50):
            parallel.parallel_for(work, 40, MUCH)

    with ThreadPoolExecutor(2) as people:
        assert len(list(people.map(person, range(2)))) == 2
    assert (done == 50).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_helpers_of_its_own() -> None:
    """Though another thread has limited BLAS at that moment."""
    parallel.set_threads(2)
    parallel.parallel_for(lambda part: None, 2, MUCH)
    limited, forked = threading.Event(), threading.Event()

    def limit() -> None:
        with parallel.single_threaded_blas:
            limited.set()
            forked.wait(30)

    thread = threading.Thread(target=limit)
    thread.start()
    assert limited.wait(30)
    child = os.fork()
    if child == 0:
        done = np.zeros(2)

        def work(part: slice) -> None:
            time.sleep(0.05)
            done[part] = 1

        parallel.parallel_for(work, 2, MUCH)
        with parallel.single_threaded_blas:
            inside = in_use()
        os._exit(0 if done.all() and (inside, in_use()) == ({1}, {2}) else 1)
    forked.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("count", [0, -1])
def test_no_thread_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"expected 1 to 1,024 threads; received {count}"):
        parallel.set_threads(count)


@pytest.mark.usefixtures("everything_is_shared")
@pytest.mark.parametrize("threads", COUNTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (1, 7, 5), (13, 1, 2), (3, 31, 17), (17, 5, 3), (0, 3, 4), (4, 0, 3)]
)
def test_shared_products_are_right(threads: int, dtype: Any, shape: tuple[int, int, int]) -> None:
    parallel.set_threads(threads)
    rng, (rows, inner, columns) = np.random.default_rng(0), shape
    a = rng.standard_normal((rows, inner)).astype(dtype)
    b = rng.standard_normal((inner, columns)).astype(dtype)
    for left, right, ours in itertools.product(
        (a, np.asfortranarray(a)), (b, np.asfortranarray(b)), (True, False)
    ):
        with parallel.single_threaded_blas if ours else nullcontext():
            y = parallel.matmul(left, right)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, a @ b, rtol=1e-4, atol=1e-5)
            out = np.empty((rows, columns), dtype)
            assert parallel.matmul(left, right, out=out) is out
            np.testing.assert_array_equal(out, y)


def test_blas_is_left_as_it_was_found() -> None:
    for threads in (2, 1, 3):
        parallel.set_threads(threads)
        assert in_use() == {threads} == {parallel.get_threads()}
        with pytest.raises(KeyError), parallel.single_threaded_blas:
            assert in_use() == {1}
            raise KeyError
        assert in_use() == {threads}
        with parallel.single_threaded_blas:
            with parallel.single_threaded_blas:
                assert in_use() == {1}
            parallel.set_threads(threads)
            assert in_use() == {1}
        assert in_use() == {threads}
        network = Sequential([Dense(3)])
        network.loss_and_gradient(np.zeros((2, 784), np.float32), [0, 1])
        network.predict(np.zeros((2, 784), np.float32))
        assert in_use() == {threads}


def trained(threads: int, dtype: Any) -> tuple[np.ndarray[Any, Any], float]:
    """The weights of a small network with a bit of everything, after a few steps; its last loss."""
    parallel.set_threads(threads)
    rng = np.random.default_rng(0)
    layers = [Reshape((28, 28, 1)), Conv2D(6, 5, padding="same", activation="relu")]
    layers += [MaxPooling2D(2), Conv2D(16, 5, padding="same", activation="relu")]
    layers += [AveragePooling2D(2), MaxPooling2D(3, strides=2)]  # windows that overlap
    layers += [Flatten(), Dense(30, activation="sigmoid"), Dropout(0.5), Dense(10)]
    network = Sequential(layers, rng=rng, dtype=dtype)
    optimizer, loss = Adam(0.001, weight_decay=0.01, use_ema=True), 0.0
    for _ in range(3):
        x, t = rng.random((11, 784)).astype(dtype), rng.integers(0, 10, 11)
        loss, grads = network.loss_and_gradient(x, t)
        optimizer.update(network.params, grads)
    return network.params.flat, loss


@pytest.mark.usefixtures("everything_is_shared")
def test_training_is_the_same_with_any_number_of_threads() -> None:
    alone, loss = trained(1, np.float64)
    for threads in COUNTS:
        weights, other_loss = trained(threads, np.float64)
        np.testing.assert_allclose(weights, alone, rtol=1e-9, atol=1e-9)
        assert other_loss == pytest.approx(loss)
        first, second = trained(threads, np.float32), trained(threads, np.float32)
        np.testing.assert_array_equal(first[0], second[0])  # to the last bit


def test_blas_uses_one_thread_on_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel.set_threads(2)
    pool, contention = parallel._pool, parallel._Contention()
    monkeypatch.setattr(pool, "adaptive", True)
    monkeypatch.setattr(parallel, "_contention", contention)
    used = []
    for busy in (False, True, False, False, False, False):
        monkeypatch.setattr(contention, "_measure", lambda busy=busy: busy)
        contention.measured_at = -np.inf
        with parallel.adaptive_blas, parallel.adaptive_blas:
            used.append(in_use())
    assert used[:3] == [{2}, {1}, {1}]  # one good measurement may be luck
    assert used[-1] == {2} == in_use()
    contention.quiet = 0
    parallel.set_threads(2)  # a number that was asked for is kept
    with parallel.adaptive_blas:
        assert in_use() == {2}
