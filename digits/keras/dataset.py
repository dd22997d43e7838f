"""The few verbs of `tf.data.Dataset` that scripts for MNIST use, on arrays in memory."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from digits.keras.random import new_generator
from digits.keras.shape import TensorSpec
from digits.keras.tensor import tensor
from digits.validation import check


class Dataset:
    """Elements that can be gone through again and again: arrays, or tuples of arrays."""

    def __init__(self, make: Callable[[], Iterator[Any]], length: float) -> None:
        self._make, self._length = make, length

    @classmethod
    def from_tensor_slices(cls, tensors: Any) -> "Dataset":
        if any(isinstance(part, dict) for part in _parts(tensors)):
            return cls(lambda: _rows(tensors), len(_first(tensors)))
        arrays = tuple(np.asarray(part) for part in _parts(tensors))
        single = not isinstance(tensors, tuple)
        made = cls(lambda: _rows(arrays[0] if single else arrays), len(arrays[0]))
        made._arrays, made._single = arrays, single
        return made

    @classmethod
    def from_generator(
        cls, generator: Callable[..., Any], *_: Any, args: Any = (), **__: Any
    ) -> "Dataset":
        return cls(lambda: iter(generator(*args)), math.nan)

    @classmethod
    def from_tensors(cls, tensors: Any) -> "Dataset":
        """One element."""
        return cls(lambda: iter([tensors]), 1)

    @classmethod
    def range(cls, *args: int, **_: Any) -> "Dataset":
        return cls.from_tensor_slices(np.arange(*args))

    _arrays: Any = None  # while elements are rows of arrays: they can be taken many at a time
    _single = False
    _order: Any = None
    _rounds: float = 1  # how often they are gone through
    _open: tuple[bool, ...] = ()  # of the first axes: whether their sizes are not always the same

    def _next(self, make: Callable[[], Iterator[Any]], length: float) -> "Dataset":
        """Other elements, of the same form."""
        made = Dataset(make, length)
        made._open = self._open
        return made

    @property
    def element_spec(self) -> Any:
        """What an element is: `tf.TensorSpec` in the place of each tensor."""
        element = next(iter(self), None)
        check(element is not None, "a data set with at least 1 element", "an empty one")
        return self._spec(element)

    def _spec(self, element: Any) -> Any:
        if isinstance(element, dict):
            return {name: self._spec(part) for name, part in element.items()}
        if isinstance(element, tuple):
            return tuple(map(self._spec, element))
        x = tensor(element)
        sizes = zip_longest(x.shape, self._open[: x.ndim], fillvalue=False)
        return TensorSpec([None if is_open else n for n, is_open in sizes], x.dtype)

    def shuffle(self, buffer_size: int = 0, seed: Any = None, **_: Any) -> "Dataset":
        rng = new_generator(seed)

        def shuffled() -> Iterator[Any]:
            source, at_once = iter(self), buffer_size if self._length == math.inf else None
            while elements := list(itertools.islice(source, at_once)):
                for i in rng.permutation(len(elements)):
                    yield elements[i]

        made = self._of_arrays(shuffled, self._length)
        made._order = rng
        return made

    def _of_arrays(self, make: Callable[[], Iterator[Any]], length: float) -> "Dataset":
        """Other elements, of the same arrays."""
        made = self._next(make, length)
        made._arrays, made._single, made._order = self._arrays, self._single, self._order
        made._rounds = self._rounds
        return made

    def batch(self, batch_size: int, drop_remainder: bool = False, **_: Any) -> "Dataset":
        count = self._length / batch_size
        if math.isfinite(count):
            count = math.floor(count) if drop_remainder else math.ceil(count)
        made = Dataset(lambda: self._stacked(batch_size, drop_remainder), count)
        made._open = (not drop_remainder, *self._open)
        if self._arrays is None:
            return made
        arrays, single, rng, rounds = self._arrays, self._single, self._order, self._rounds

        def rows(chosen: Any) -> Any:
            parts = tuple(tensor(array[chosen]) for array in arrays)
            return parts[0] if single else parts

        def batches() -> Iterator[Any]:
            n, rest = len(arrays[0]), np.empty(0, int)
            for _ in itertools.repeat(0) if rounds == math.inf else [0] * int(rounds):
                order = np.arange(n) if rng is None else rng.permutation(n)
                order = np.concatenate([rest, order])
                whole = len(order) // batch_size * batch_size
                for start in np.arange(0, whole, batch_size):
                    yield rows(order[start : start + batch_size])
                rest = order[whole:]
            if len(rest) and not drop_remainder:
                yield rows(rest)

        made._make, made._rounds = batches, rounds
        return made

    def _stacked(self, batch_size: int, drop_remainder: bool) -> Iterator[Any]:
        waiting: list[Any] = []
        for element in self:
            waiting.append(element)
            if len(waiting) == batch_size:
                yield _stack(waiting)
                waiting = []
        if waiting and not drop_remainder:
            yield _stack(waiting)

    def map(self, function: Callable[..., Any], *_: Any, **__: Any) -> "Dataset":
        return self._next(lambda: (function(*_parts(element)) for element in self), self._length)

    def repeat(self, count: int | None = None) -> "Dataset":
        rounds = math.inf if count is None or count < 0 else count
        again = itertools.repeat(self) if rounds == math.inf else [self] * int(rounds)
        made = self._of_arrays(lambda: chain.from_iterable(again), self._length * rounds)
        made._rounds *= rounds
        return made

    def take(self, count: int) -> "Dataset":
        return self._next(lambda: itertools.islice(self, count), min(count, self._length))

    def skip(self, count: int) -> "Dataset":
        length = max(0, self._length - count)
        return self._next(lambda: itertools.islice(self, count, None), length)

    def prefetch(self, *_: Any, **__: Any) -> "Dataset":
        """The elements as they are: they are in memory."""
        return self

    cache = with_options = prefetch

    def as_arrays(self) -> "Dataset":
        """The elements as NumPy's arrays, as tensorflow_datasets.as_numpy gives them."""
        return self._next(self.as_numpy_iterator, self._length)

    def as_numpy_iterator(self) -> Iterator[Any]:
        for element in self:
            yield _plain(element)

    def cardinality(self) -> Any:
        return tensor(len(self))

    def filter(self, predicate: Callable[..., Any]) -> "Dataset":
        return self._next(lambda: (e for e in self if predicate(*_parts(e))), math.nan)

    @classmethod
    def zip(cls, datasets: Any, *others: Any) -> "Dataset":
        parts = tuple(datasets) if isinstance(datasets, tuple | list) else (datasets, *others)
        length = min(part._length for part in parts)
        return parts[0]._next(lambda: zip(*parts, strict=False), length)

    def concatenate(self, dataset: "Dataset") -> "Dataset":
        return self._next(lambda: chain(self, dataset), self._length + dataset._length)

    def enumerate(self, start: int = 0) -> "Dataset":
        return self._next(lambda: enumerate(self, start), self._length)

    def unbatch(self) -> "Dataset":
        made = Dataset(lambda: chain.from_iterable(map(_rows, self)), math.nan)
        made._open = self._open[1:]
        return made

    def shard(self, num_shards: int, index: int) -> "Dataset":
        """Every so many elements, from that one on."""
        count = max(-(-(self._length - index) // num_shards), 0)
        return self._next(lambda: itertools.islice(self, index, None, num_shards), count)

    def flat_map(self, map_func: Callable[..., Any], *_: Any, **__: Any) -> "Dataset":
        """The elements of the data set that the function makes of each element."""
        return Dataset(lambda: chain.from_iterable(self.map(map_func)), math.nan)

    interleave = flat_map

    def get_single_element(self) -> Any:
        (element,) = self
        return element

    def apply(self, transformation_func: Callable[["Dataset"], "Dataset"]) -> "Dataset":
        return transformation_func(self)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any]) -> Any:
        return functools.reduce(reduce_func, self, initial_state)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"tensorflow.data.Dataset.{name} is not there: give arrays to model.fit, or a generator"
        )

    def __iter__(self) -> Iterator[Any]:
        return self._make()

    def __len__(self) -> int:
        if self._length == math.inf:
            raise ValueError("expected steps_per_epoch for batches without end; received None")
        if math.isnan(self._length):
            raise TypeError("expected a number of elements; it is not known")
        return int(self._length)


def _parts(element: Any) -> tuple[Any, ...]:
    """What an element consists of: one array, or several."""
    return element if isinstance(element, tuple) else (element,)


def _plain(element: Any) -> Any:
    """The arrays of an element as NumPy's."""
    if isinstance(element, dict):
        return {key: _plain(part) for key, part in element.items()}
    return tuple(map(_plain, element)) if isinstance(element, tuple) else np.asarray(element)[()]


def _first(element: Any) -> Any:
    """The first array in an element of tuples and dicts."""
    while isinstance(element, tuple | dict):
        element = next(iter(element.values() if isinstance(element, dict) else element))
    return element


def _rows(element: Any) -> Iterator[Any]:
    """The rows of the arrays in an element of tuples and dicts, in its form."""
    if isinstance(element, dict):
        rows = zip(*map(_rows, element.values()), strict=True)
        return (dict(zip(element, row, strict=True)) for row in rows)
    if isinstance(element, tuple):
        return zip(*map(_rows, element), strict=True)
    array = np.asarray(element)
    return map(tensor, array) if array.dtype.kind in "biuf" else iter(array)


def _stack(elements: list[Any]) -> Any:
    if isinstance(elements[0], tuple):
        return tuple(_stack(list(part)) for part in zip(*elements, strict=True))
    if isinstance(elements[0], dict):
        return {key: _stack([element[key] for element in elements]) for key in elements[0]}
    return tensor(np.stack(elements))
