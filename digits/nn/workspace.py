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
        self.views: dict[str, Any] = {}
        """Views by name, each with the array that it shows."""

    def __reduce__(self) -> tuple[type["ThreadCache"], tuple[()]]:
        return ThreadCache, ()

    def array(
        self,
        name: str,
        shape: Shape,
        dtype: DTypeLike,
        like: Array | None = None,
        fill: float | None = None,
    ) -> Array:
        """The array of this name, which holds what was written to it last; where another shape or
        dtype is asked for, a new one, which holds `fill`, or anything. Its axes have the order in
        memory that those of `like` have.
        """
        made_for = shape, np.dtype(dtype), None if like is None else like.strides
        if self.made_for.get(name) != made_for:
            if like is None:
                new = np.empty(shape, dtype)
            else:
                new = np.empty_like(like, dtype, shape=shape)
            if fill is not None:
                new[...] = fill
            self.arrays[name], self.made_for[name] = new, made_for
        return self.arrays[name]
