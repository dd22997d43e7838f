"""Arrays that are kept from one batch to the next. A layer writes its outputs and gradients into
the same arrays again and again, as making new ones takes as long as the arithmetic; and each thread
has its own, so that several threads may ask one network at the same time.
"""

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from digits.types import Array, Shape


class ThreadCache(threading.local):
    """What `forward` leaves for `backward`, as attributes, and named arrays.

    Every thread sees attributes and arrays of its own. A copy, or what comes out of a pickle, is
    empty.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self) -> None:
        self.size = -1
        """Of the batches that a layer has made its arrays for."""
        self.arrays: dict[str, Array] = {}
        self.made_for: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type["ThreadCache"], tuple[()]]:
        return ThreadCache, ()

    def array(self, name: str, shape: Shape, dtype: DTypeLike, fill: float | None = None) -> Array:
        """The array of this name; a new one if shape or dtype have changed. It holds what was
        written to it last; a new one holds `fill`, or anything.
        """
        array = self.arrays.get(name)
        if array is None or array.shape != shape or array.dtype != dtype:
            array = np.empty(shape, dtype) if fill is None else np.full(shape, fill, dtype)
            self.arrays[name] = array
        return array

    def array_like(self, name: str, x: Array, shape: Shape, fill: float | None = None) -> Array:
        """The same, in the order of axes in memory that x has, and of the dtype of x."""
        made_for = shape, x.dtype, x.strides
        if self.made_for.get(name) != made_for:
            self.made_for[name] = made_for
            self.arrays[name] = np.empty_like(x, shape=shape)
            if fill is not None:
                self.arrays[name][...] = fill
        return self.arrays[name]
