"""Penalties on weights: what they add to the loss, and to its gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.keras.serialization import Configured, from_table
from digits.keras.tape import recorded
from digits.keras.tensor import tensor
from digits.types import Array


class Regularizer(Configured):
    """A penalty: a function of weights that gives a number. One's own is recorded, so that it has
    a gradient.
    """

    module = "keras.regularizers"

    def __call__(self, x: Any) -> Any:
        return 0.0

    def gradient(self, x: Array) -> Array:
        """The derivative of the penalty with respect to x."""
        gradient = recorded(self, x)[1]()
        return np.zeros_like(x) if gradient is None else gradient


class FunctionRegularizer(Regularizer):
    """A function of one's own as a regularizer."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, x: Any) -> Any:
        return self.function(tensor(x))

    def serialize(self) -> Any:
        return self.__name__


class _OfNorms(Regularizer):
    """l1 sum(|W|) + l2 sum(W^2), whose derivative is l1 sign(W) + 2 l2 W."""

    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x: Any) -> Any:
        return self.l1 * np.sum(np.abs(x)) + self.l2 * np.sum(np.square(x))

    def gradient(self, x: Array) -> Array:
        gradient = 2 * self.l2 * x
        return gradient + self.l1 * np.sign(x) if self.l1 else gradient


@dataclass(repr=False, eq=False)
class L1(_OfNorms):
    """A penalty on absolute values: many weights become 0."""

    l1: float = 0.01


@dataclass(repr=False, eq=False)
class L2(_OfNorms):
    """A penalty on squares: weights stay small."""

    l2: float = 0.01


@dataclass(repr=False, eq=False)
class L1L2(_OfNorms):
    """Both penalties."""

    l1: float = 0.0
    l2: float = 0.0


l1, l2 = L1, L2


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    return L1L2(l1, l2)


l1l2 = l1_l2  # Keras 1
WeightRegularizer = L1L2


def get(identifier: Any) -> Any:
    """A regularizer by name, class or configuration; None for None."""
    if identifier in ("l1_l2", "l1l2"):
        return l1_l2()
    found = from_table(identifier, globals(), Regularizer, "a regularizer")
    return found if found is None or hasattr(found, "gradient") else FunctionRegularizer(found)


deserialize = get
