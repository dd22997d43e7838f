"""A weight of a layer of digits.keras, as Keras shows it: with a name, a shape and `assign`. The
numbers are in an array of the layer of digits.nn that computes with them, the `core`.
"""

from typing import Any

import numpy as np

from digits.nn.layer import Layer as Core
from digits.types import Array, Shape
from digits.validation import check

KERAS_NAMES = {"W": "kernel", "b": "bias"}
"""Names of the book, and Keras' names for the same weights."""


class Variable:
    """A weight of a layer: a window on an array that training may move elsewhere."""

    def __init__(self, layer: Any, core: Core, key: str) -> None:
        self.layer, self.core, self.key = layer, core, key
        self.name = getattr(core, "names", KERAS_NAMES).get(key, KERAS_NAMES.get(key, key))
        self.path = f"{layer.name}/{self.name}"
        self.argument = self.name.removesuffix("_kernel")  # as in depthwise_initializer=

    @property
    def trainable(self) -> bool:
        return self.key in self.core.weights and self.layer.trainable

    @property
    def value(self) -> Array:
        return {**self.core.weights, **self.core.buffers}[self.key]

    @property
    def shape(self) -> Shape:
        return self.value.shape

    @property
    def dtype(self) -> Any:
        return self.value.dtype

    def numpy(self) -> Array:
        return self.value.copy()

    def assign(self, value: Any) -> None:
        """Put other numbers into the array; ValueError for another shape."""
        value = np.asarray(value)
        check(value.shape == self.shape, f"{self.path} of shape {self.shape}", value.shape)
        self.value[...] = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.value, dtype)

    def __getitem__(self, key: Any) -> Array:
        return self.numpy()[key]

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}>"
