"""Penalties on weights: what they add to the loss, and to its gradient."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.keras.serialization import Configured, from_table
from digits.types import Array
from digits.validation import check


class Regularizer(Configured):
    """l1 sum(|W|) + l2 sum(W^2), whose derivative is l1 sign(W) + 2 l2 W."""

    module = "keras.regularizers"
    l1: float = 0.0
    l2: float = 0.0

    def __call__(self, x: Any) -> Any:
        x = np.asarray(x)
        return self.l1 * np.abs(x).sum() + self.l2 * np.vdot(x, x)

    def gradient(self, x: Array) -> Array:
        """The derivative of the penalty with respect to x."""
        gradient = 2 * self.l2 * x
        return gradient + self.l1 * np.sign(x) if self.l1 else gradient


@dataclass(repr=False, eq=False)
class L1(Regularizer):
    """A penalty on absolute values: many weights become 0."""

    l1: float = 0.01


@dataclass(repr=False, eq=False)
class L2(Regularizer):
    """A penalty on squares: weights stay small."""

    l2: float = 0.01


@dataclass(repr=False, eq=False)
class L1L2(Regularizer):
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
    known, advice = found is None or hasattr(found, "gradient"), "a function has no gradient here"
    check(known, "a regularizer such as L2(0.01)", identifier, advice)
    return found


deserialize = get
