"""Layers that make one tensor of several, number by number or side by side."""

import functools
from typing import Any

import numpy as np

from digits.keras.layer import arguments
from digits.keras.layers.formula import Formula
from digits.validation import check


class Merge(Formula):
    """What they share: a list of inputs; one with an axis of size 1 counts for all along it. A
    subclass gives the `function` of two of them, which goes through the list.
    """

    merges = True
    function: Any

    def make_weights(self, shape: Any) -> None:
        sizes = [set(each) - {1} for each in zip(*shape, strict=False)]
        fits = len(set(map(len, shape))) == 1 and all(len(each) <= 1 for each in sizes[1:])
        check(fits, f"inputs of one shape for {self.name}", [tuple(s[1:]) for s in shape])

    def call(self, inputs: Any, training: Any = None) -> Any:
        return functools.reduce(self.function, inputs)


class Add(Merge):
    """The sum of the inputs."""

    function = np.add


class Subtract(Merge):
    """The first input minus the second."""

    function = np.subtract


class Multiply(Merge):
    """The product of the inputs."""

    function = np.multiply


class Average(Add):
    """The mean of the inputs."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return super().call(inputs) / len(inputs)


class Maximum(Merge):
    """The largest of the inputs, number by number; the gradient goes to the first that is it."""

    function = np.maximum


class Minimum(Merge):
    """The smallest of the inputs, number by number; the gradient goes to the first that is it."""

    function = np.minimum


@arguments()
class Concatenate(Merge):
    """The inputs side by side along an axis, counted with that of the samples."""

    axis: int = -1

    def make_weights(self, shape: Any) -> None:
        others = {tuple(np.delete(sizes, self.axis)) for sizes in shape}
        expected = f"inputs for {self.name} that differ in axis {self.axis}"
        check(len(others) == 1, expected, [tuple(s[1:]) for s in shape])

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.concatenate(inputs, self.axis)


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
