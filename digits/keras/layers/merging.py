"""Layers that make one tensor of several: `elements` gives y, and the derivative of y with respect
to each of the inputs.
"""

from typing import Any

import numpy as np

from digits.keras.layer import Layer, arguments
from digits.types import Array, Shape


class Merge(Layer):
    """What they share: a list of inputs."""

    merges = True

    def shape_of(self, shape: list[Shape]) -> Shape:
        if len(set(shape)) != 1:
            raise ValueError(f"{self.name} expected inputs of one shape; received {shape}")
        return shape[0]

    @property
    def input_shape(self) -> Any:
        return [(None, *sizes) for sizes in self.input_sizes]


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


class Minimum(Merge):
    """The smallest of the inputs, number by number; the gradient goes to the first that is it."""

    def elements(self, x: list[Array]) -> tuple[Array, Any]:
        winner = np.argmin(np.stack(x), axis=0)
        return np.min(np.stack(x), axis=0), [winner == i for i in range(len(x))]


@arguments()
class Concatenate(Merge):
    """The inputs side by side along an axis, counted with that of the samples."""

    axis: int = -1

    def shape_of(self, shape: list[Shape]) -> Shape:
        try:
            return np.concatenate([np.empty((0, *sizes)) for sizes in shape], self.axis).shape[1:]
        except ValueError as error:
            raise ValueError(
                f"{self.name} expected inputs of one shape but for axis {self.axis}; "
                f"received {[(None, *sizes) for sizes in shape]}"
            ) from error

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
