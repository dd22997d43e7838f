"""All the weights of a network as one flat vector, with a named and shaped view of each part. The
views are what the formulas read (`params["W1"]`), the vector is what optimizers, checkpoints and
gradient checks work on (`params.flat`): the same memory, so there is nothing to keep in step.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from digits.compute.memory import keep_freed_memory
from digits.types import Array, Shape
from digits.validation import check

MAX_SIZE = 2**28
"""Numbers in one vector, 1 GB in float32. Training takes several such vectors."""


class Parameters(Mapping[str, Array]):
    """A read-only set of names, each with an array that is a view of `flat`.

    >>> params = Parameters({"W1": (784, 50), "b1": (50,)})
    >>> params["W1"].shape, params.flat.shape
    ((784, 50), (39250,))

    The arrays can be written, in place or by assignment: `params["W1"] -= 0.1 * grads["W1"]` and
    `params["W1"] = W` both copy into the view, so it stays a part of the vector.

    Raises ValueError for a dtype other than float32 and float64, for sizes that are not integers
    above 0, and, before any memory is asked for, for more than MAX_SIZE numbers.
    """

    __array_ufunc__ = None  # arithmetic is that of `flat`; NumPy would compute with the names

    def __init__(self, shapes: Mapping[str, Shape], dtype: DTypeLike = np.float32) -> None:
        real = np.dtype(dtype) in (np.float32, np.float64)
        check(real, "parameters of dtype float32 or float64", dtype)
        for name, shape in shapes.items():
            positive = all(isinstance(size, int | np.integer) and size > 0 for size in shape)
            check(positive, f"{name} of a shape of integers above 0", shape)
        keep_freed_memory()  # whoever has parameters is going to compute with them
        size = sum(math.prod(map(int, shape)) for shape in shapes.values())
        if size > MAX_SIZE:
            raise ValueError(
                f"expected at most {MAX_SIZE:,} parameters; received {size:,}, which would take "
                f"{size * np.dtype(dtype).itemsize / 1e9:,.1f} GB, and several times that while "
                "they are trained: use fewer units"
            )
        self._make_views(dict(shapes), np.zeros(size, dtype))

    def __getstate__(self) -> tuple[dict[str, Shape], Array]:
        """What pickling takes along: not the views, which would become arrays of their own."""
        return self.shapes, self.flat

    def __setstate__(self, state: tuple[dict[str, Shape], Array]) -> None:
        shapes, flat = state
        self._make_views(shapes, np.require(flat, requirements=["W", "E"]))  # joblib maps files

    def _make_views(self, shapes: dict[str, Shape], flat: Array) -> None:
        self.shapes, self._flat, start = shapes, flat, 0
        self._views: dict[str, Array] = {}
        for name, shape in shapes.items():
            end = start + math.prod(shape)
            self._views[name] = flat[start:end].reshape(shape)
            start = end

    @property
    def flat(self) -> Array:
        """The vector; what is assigned to it is copied into it, as the views are of its memory."""
        return self._flat

    @flat.setter
    def flat(self, value: ArrayLike) -> None:
        value = np.asarray(value)
        if value is not self._flat:  # what `params.flat -= step` hands back: already done, in place
            check(value.shape == self._flat.shape, f"a vector {self._flat.shape}", value.shape)
            self._flat[...] = value

    def __getitem__(self, name: str) -> Array:
        if name not in self._views:
            raise KeyError(f"expected a name among {', '.join(self)}; received {name!r}")
        return self._views[name]

    def __setitem__(self, name: str, value: ArrayLike) -> None:
        view, value = self[name], np.asarray(value)
        if value is view:  # what `params[name] -= step` hands back: already done, in place
            return
        if value.shape != view.shape:  # never broadcast: a bias is not a weight matrix
            raise ValueError(f"expected {name} of shape {view.shape}; received shape {value.shape}")
        view[...] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)

    def __repr__(self) -> str:
        return f"Parameters({self.shapes}, dtype={self.flat.dtype})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the vector, and of every view."""
        return self.flat.dtype

    def zeros_like(self) -> "Parameters":
        """The same names and shapes, filled with zeros: room for gradients."""
        other = self.empty_like()
        other.flat.fill(0)
        return other

    def empty_like(self) -> "Parameters":
        """The same names and shapes, holding anything: room for what will be written all over."""
        other = object.__new__(Parameters)  # what `__init__` checks has been checked
        other._make_views(self.shapes, np.empty_like(self.flat))
        return other

    def astype(self, dtype: DTypeLike) -> "Parameters":
        """A copy in another dtype."""
        other = Parameters(self.shapes, dtype)
        other.flat[...] = self.flat
        return other

    def copy(self) -> "Parameters":
        """A copy that shares no memory with this one."""
        return self.astype(self.dtype)

    __copy__ = copy
