"""Batches are prepared by a thread of their own, in order, and the thread ends with its reader."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from digits.training.prefetch import AHEAD, prefetch


def running() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert running() == []


@pytest.mark.parametrize("n", [0, 1, 2, 3, 50])
def test_prefetch_keeps_items_and_order(n: int) -> None:
    assert list(prefetch(range(n))) == list(range(n))


def test_prefetch_runs_ahead_and_not_too_far() -> None:
    prepared = 0
    full = threading.Event()

    def items() -> Iterator[int]:
        nonlocal prepared
        assert threading.current_thread().name == "prefetch"
        for item in range(100):
            prepared += 1
            if prepared == AHEAD + 2:  # one taken, two waiting, one in hand
                full.set()
            yield item

    ahead = prefetch(items())
    assert prepared == 0
    assert next(ahead) == 0
    assert full.wait(10)
    for taken in range(2, 20):
        assert next(ahead) == taken - 1
        assert prepared <= taken + AHEAD + 1
    ahead.close()


def test_an_error_of_the_thread_is_raised_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("disk on fire")

    ahead = prefetch(items())
    assert next(ahead) == 1
    with pytest.raises(OSError, match="disk on fire"):
        next(ahead)
    with pytest.raises(StopIteration):
        next(ahead)


@pytest.mark.parametrize("leave", ["break", "error", "close"])
def test_the_thread_ends_with_its_reader(leave: str) -> None:
    ahead = prefetch(itertools.count())
    with suppress(KeyboardInterrupt):
        for _ in zip(range(5), ahead, strict=False):
            assert len(running()) == 1
            if leave == "error":
                raise KeyboardInterrupt
    if leave == "close":
        ahead.close()
    del ahead
    assert running() == []
