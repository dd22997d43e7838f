"""Layers that make one tensor of several: `elements` gives y, and the derivative of y with respect
to each of the inputs.
"""

from typing import Any

import numpy as np

from digits.keras.layer import Layer, arguments
from digits.types import Array, Shape
from digits.validation import check


class Merge(Layer):
    """What they share: a list of inputs; one with an axis of size 1 counts for all along it."""

    merges = True

    def shape_of(self, shape: list[Shape]) -> Shape:
        same = len(set(map(len, shape))) == 1
        sizes = [set(each) for each in zip(*shape, strict=False)]
        fits = same and all(len(each - {1}) <= 1 for each in sizes)
        check(fits, f"inputs of one shape for {self.name}", shape)
        return tuple(map(max, sizes))

    def forward(self, x: list[Array], training: bool) -> Array:
        self.shapes = [array.shape for array in x]
        return super().forward(list(np.broadcast_arrays(*x)), training)

    def backward(self, dy: Array) -> list[Array]:
        return [_summed(d, s) for d, s in zip(super().backward(dy), self.shapes, strict=True)]

    @property
    def input_shape(self) -> Any:
        return [(None, *sizes) for sizes in self.input_sizes]


def _summed(dx: Array, shape: Shape) -> Array:
    """The gradient of an array that was repeated: summed along the axes where it was."""
    axes = tuple(i for i, (n, size) in enumerate(zip(dx.shape, shape, strict=True)) if n != size)
    return dx.sum(axis=axes, keepdims=True) if axes else dx


class Add(Merge):
    """The sum of the inputs."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        return np.sum(x, axis=0), [1] * len(x)


class Subtract(Merge):
    """The first input minus the second."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        return x[0] - x[1], [1, -1]


class Multiply(Merge):
    """The product of the inputs."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        return np.prod(x, axis=0), [np.prod(x[:i] + x[i + 1 :], axis=0) for i in range(len(x))]


class Average(Merge):
    """The mean of the inputs."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        return np.sum(x, axis=0) / len(x), [1 / len(x)] * len(x)


class Maximum(Merge):
    """The largest of the inputs, number by number; the gradient goes to the first that is it."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        winner = np.argmax(np.stack(x), axis=0)
        return np.max(np.stack(x), axis=0), [winner == i for i in range(len(x))]


class Minimum(Maximum):
    """The smallest of the inputs, number by number; the gradient goes to the first that is it."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        y, derivatives = super().elements([-part for part in x])
        return -y, derivatives


@arguments()
class Concatenate(Merge):
    """The inputs side by side along an axis, counted with that of the samples."""

    axis: int = -1

    def shape_of(self, shape: list[Shape]) -> Shape:
        axis = (self.axis - 1) if self.axis > 0 else self.axis  # the samples are not in `shape`
        others = {tuple(np.delete(sizes, axis)) for sizes in shape}
        check(len(others) == 1, f"inputs for {self.name} that differ in axis {self.axis}", shape)
        sizes = list(shape[0])
        sizes[axis] = sum(each[axis] for each in shape)
        return tuple(sizes)

    def forward(self, x: list[Array], training: bool) -> Array:
        self.ends = np.cumsum([array.shape[self.axis] for array in x])[:-1]
        return np.concatenate(x, self.axis)

    def backward(self, dy: Array) -> list[Array]:
        return np.split(dy, self.ends, self.axis)


def _function(kind: type[Merge]) -> Any:
    """The layer as a function of tensors."""

    def call(inputs: Any, **options: Any) -> Any:
        return kind(**options)(inputs)

    call.__name__, call.__doc__ = kind.__name__.lower(), kind.__doc__
    return call


add, subtract, multiply = _function(Add), _function(Subtract), _function(Multiply)
average, maximum, concatenate = _function(Average), _function(Maximum), _function(Concatenate)
minimum = _function(Minimum)


def merge(inputs: Any, mode: str = "sum", concat_axis: int = -1, **options: Any) -> Any:
    """One tensor of several, as Keras 1 said it: by mode "sum", "mul", "ave", "max", "concat"."""
    if mode == "concat":
        return concatenate(inputs, axis=concat_axis, **options)
    return {"sum": add, "mul": multiply, "ave": average, "max": maximum}[mode](inputs, **options)
