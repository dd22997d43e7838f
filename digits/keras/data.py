"""What `fit`, `evaluate` and `predict` are given, as batches: arrays, generators, `Sequence` and
`Dataset` objects, with targets and weights for samples.
"""

import math
from collections.abc import Iterator
from itertools import chain, cycle, islice
from typing import Any

import numpy as np

from digits.keras.legacy import note
from digits.keras.network import Targets
from digits.keras.objectives import for_outputs
from digits.types import Array, Shape
from digits.validation import check

Batch = tuple[list[Array], list[Targets]]


def as_inputs(x: Any, sizes: dict[str, Shape], dtype: str) -> list[Array]:
    """The inputs of a model as arrays of its dtype, one for each input, (n, *shape); those of a
    dict by their names, or in its order if it has others.
    """
    shapes = list(sizes.values())
    if isinstance(x, dict):
        x = [x[name] for name in (sizes if sizes.keys() <= x.keys() else x)]
    several = isinstance(x, list | tuple) and (len(shapes) > 1 or _is_list_of_arrays(x, shapes))
    arrays = [np.asarray(part) for part in (x if several else [x])]
    check(len(arrays) == len(shapes), f"{len(shapes)} inputs", len(arrays))
    return [_fitted(array, shape, dtype) for array, shape in zip(arrays, shapes, strict=True)]


def _is_list_of_arrays(x: Any, shapes: list[Shape]) -> bool:
    return len(x) == 1 and np.ndim(x[0]) > len(shapes[0])


def _fitted(array: Array, shape: Shape, dtype: str) -> Array:
    """The array as (n, *shape), where it only lacks, or has, axes of size 1 at its end."""
    check(array.dtype.kind in "biuf", "numbers", array.dtype)
    got, want = array.shape[1:], tuple(shape)
    if got != want:
        while got and got[-1] == 1:
            got = got[:-1]
        while want and want[-1] == 1:
            want = want[:-1]
        fits = math.prod(array.shape[1:]) == math.prod(shape)
        advice = f"reshape them with x.reshape{(-1, *shape)}" if fits else "bring all to that shape"
        same = got == want and array.ndim > 0
        check(same, f"inputs of shape {(None, *shape)}", array.shape, advice)
    return array.astype(dtype, copy=False).reshape(len(array), *shape)


def shapes_in(x: Any, names: list[str]) -> list[Shape]:
    """The shape of one sample of each input, for a model that is told none; in the order of these
    names, where the inputs have them.
    """
    if isinstance(x, dict):
        known = bool(names) and set(names) <= x.keys()
        return [np.shape(x[name])[1:] for name in (names if known else x)]
    parts = x if isinstance(x, list | tuple) else [x]
    if isinstance(x, list | tuple) and (not len(x) or np.ndim(x[0]) <= 1):
        parts = [np.asarray(x)]
    return [np.shape(part)[1:] for part in parts]


def class_weights(class_weight: Any, t: Any) -> Array:
    """A weight for each sample, by its class; a class that is not named weighs 1."""
    t = np.asarray(t)
    labels = t.argmax(axis=-1) if t.ndim > 1 and t.shape[-1] > 1 else t.reshape(len(t)).astype(int)
    weights = np.ones(len(labels), np.float32)
    for label, weight in class_weight.items():
        weights[labels == label] = weight
    return weights


def targets_of(y: Any, weight: Any, class_weight: Any, names: list[str]) -> list[Targets]:
    """The targets, and weights, of each output by these names; none for outputs without targets."""
    if len(names) == 1:
        (y,) = for_outputs(y, names, "targets") if isinstance(y, dict) else (y,)
        y = y[0] if isinstance(y, list) and len(y) == 1 else y
        given = [(y, weight, class_weight)]
    else:
        fits = y is None or isinstance(y, list | tuple | dict)
        check(fits, f"a list of targets for {len(names)} outputs", type(y).__name__)
        parts = isinstance(weight, dict)
        parts = parts or (isinstance(weight, list | tuple) and np.ndim(weight[0]) > 0)
        weights = for_outputs(weight, names, "sample_weight") if parts else [weight] * len(names)
        classes = for_outputs(class_weight, names, "class_weight")
        given = list(zip(for_outputs(y, names, "targets"), weights, classes, strict=True))
    return [_targets(*parts) for parts in given if parts[0] is not None]


def _targets(t: Any, weight: Any, class_weight: Any) -> Targets:
    weight = None if weight is None else np.asarray(weight)
    if class_weight is not None:
        by_class = class_weights(class_weight, t)
        weight = by_class if weight is None else weight * by_class
    return Targets(np.asarray(t), weight)


def parts_of(batch: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of what a generator gives."""
    if not isinstance(batch, tuple | list) or len(batch) > 3:
        return batch, None, None
    x, y, weight = (*batch, None, None)[:3]
    return x, y, weight


class ArrayBatches:
    """Arrays in batches, in another order every epoch if `shuffle`."""

    def __init__(
        self,
        x: list[Array],
        targets: list[Targets],
        batch_size: int,
        shuffle: bool,
        rng: np.random.Generator,
        steps: int | None = None,
    ) -> None:
        self.x, self.targets, self.batch_size, self.shuffle = x, targets, batch_size, shuffle
        self.rng, self.n = rng, len(x[0])
        check(batch_size >= 1, "a batch_size of at least 1", batch_size)
        check(self.n > 0, "at least 1 sample", self.n)
        for t, weight in targets:
            for name, part in (("targets", t), ("weights", weight)):
                count = self.n if part is None else len(part)
                check(count == self.n, f"{name} for each of {self.n:,} samples", count)
        self.steps = steps or math.ceil(self.n / batch_size)

    def __len__(self) -> int:
        return self.steps

    def split(self, fraction: float) -> tuple["ArrayBatches", "ArrayBatches"]:
        """Batches of the first samples, and of the last `fraction` of them."""
        check(0 < fraction < 1, "a validation_split above 0 and below 1", fraction)
        cut = math.floor(self.n * (1 - fraction))
        check(0 < cut < self.n, f"enough samples to split {fraction:.0%} off", self.n)
        return self._rows(slice(cut)), self._rows(slice(cut, None))

    def _rows(self, rows: slice) -> "ArrayBatches":
        return ArrayBatches(*self._take(rows), self.batch_size, self.shuffle, self.rng)

    def _take(self, rows: Any) -> Batch:
        targets = [
            Targets(t[rows], None if weight is None else weight[rows]) for t, weight in self.targets
        ]
        return [array[rows] for array in self.x], targets

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch."""
        order = self.rng.permutation(self.n) if self.shuffle else np.arange(self.n)
        for i in range(start, self.steps):
            begin = i * self.batch_size % (math.ceil(self.n / self.batch_size) * self.batch_size)
            rows: Any = order[begin : begin + self.batch_size]
            if not self.shuffle:
                rows = slice(begin, begin + self.batch_size)  # a view, not a copy
            yield self._take(rows)


class SourceBatches:
    """Batches from a generator, a `Sequence`, or anything else that gives them one by one."""

    def __init__(
        self,
        source: Any,
        shapes: dict[str, Shape],
        names: list[str],
        dtype: str,
        class_weight: Any,
        steps: int | None,
        shuffle: bool,
        rng: np.random.Generator,
    ) -> None:
        self.source, self.shapes, self.names, self.dtype = source, shapes, names, dtype
        self.class_weight, self.steps, self.shuffle, self.rng = class_weight, steps, shuffle, rng
        if self.steps is None:
            self.steps = number_of_batches(source)
        self.running: Iterator[Any] = iter(())

    def __len__(self) -> int:
        return int(self.steps or 0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch; a generator goes on where the epoch before has ended."""
        by_number = hasattr(self.source, "__getitem__") and hasattr(self.source, "__len__")
        if by_number:
            n = len(self.source)
            order = self.rng.permutation(n).tolist() if self.shuffle else range(n)
            for number in islice(cycle(order), len(self)):
                yield self._batch(self.source[number])
            if hasattr(self.source, "on_epoch_end"):
                self.source.on_epoch_end()
            return
        for _ in range(start, len(self)):
            yield self._batch(self._next())

    def _next(self) -> Any:
        batch = next(self.running, None)
        if batch is None:  # before its beginning, or at its end: it may begin again
            self.running = iter(self.source)
            batch = next(self.running, None)
        advice = "let it go on for ever, or make steps_per_epoch times epochs as small as it is"
        check(batch is not None, "more batches from the generator", "its end", advice)
        return batch

    def _batch(self, batch: Any) -> Batch:
        x, y, weight = parts_of(batch)
        targets = targets_of(y, weight, self.class_weight, self.names)
        return as_inputs(x, self.shapes, self.dtype), targets


def number_of_batches(source: Any) -> int:
    """How many batches an epoch has; they are counted where the source does not tell."""
    try:
        return len(source)
    except TypeError:
        endless = iter(source) is source
    check(not endless, "steps_per_epoch, the number of batches in an epoch, for a generator", None)
    return sum(1 for _ in source)


def is_source(x: Any) -> bool:
    """Whether x gives batches one by one, and is no array."""
    if isinstance(x, list | tuple | dict | np.ndarray) or hasattr(x, "__array__"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__getitem__")


def first_batch(source: Any) -> tuple[Any, Any]:
    """The first batch of a source, and the source as if nothing had been taken out of it."""
    if hasattr(source, "__getitem__"):
        return source[0], source
    iterator = iter(source)
    batch = next(iterator)
    return batch, source if iterator is not source else chain([batch], iterator)


def note_shuffle(shuffle: Any) -> bool:
    """Whether to shuffle; "batch" was for files that are read in order."""
    if shuffle == "batch":
        note("shuffle='batch' is taken for True")
    return bool(shuffle)
