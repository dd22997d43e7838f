"""Constraints on weights: what a step has made of them is brought back to what is allowed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.keras import config
from digits.keras.legacy import renamed
from digits.keras.serialization import Configured, from_table
from digits.types import Array


class Constraint(Configured):
    """A function of weights that gives those which are allowed."""

    module = "keras.constraints"

    def __call__(self, w: Any) -> Any:
        return w


class _OfNorm(Constraint):
    """Constraints on the length of the vectors along an axis; a subclass gives `allowed`."""

    axis: Any = 0

    def __call__(self, w: Any) -> Any:
        w = np.asarray(w)
        axis = tuple(self.axis) if isinstance(self.axis, list | tuple) else self.axis
        norm = np.sqrt(np.square(w).sum(axis=axis, keepdims=True))
        return (w * (self.allowed(norm) / (norm + config.epsilon()))).astype(w.dtype)

    def allowed(self, norm: Array) -> Any:
        """The lengths that vectors of these lengths should have."""
        raise NotImplementedError


@renamed(m="max_value")
@dataclass(repr=False, eq=False)
class MaxNorm(_OfNorm):
    """No vector is longer than `max_value` (Srivastava et al. 2014)."""

    max_value: float = 2
    axis: Any = 0

    def allowed(self, norm: Array) -> Any:
        return np.minimum(norm, self.max_value)


@dataclass(repr=False, eq=False)
class UnitNorm(_OfNorm):
    """Every vector has length 1."""

    axis: Any = 0

    def allowed(self, norm: Array) -> Any:
        return 1.0


@dataclass(repr=False, eq=False)
class MinMaxNorm(_OfNorm):
    """Lengths come nearer to those between `min_value` and `max_value`, at once for rate 1."""

    min_value: float = 0.0
    max_value: float = 1.0
    rate: float = 1.0
    axis: Any = 0

    def allowed(self, norm: Array) -> Any:
        within = np.clip(norm, self.min_value, self.max_value)
        return self.rate * within + (1 - self.rate) * norm


class NonNeg(Constraint):
    """No weight is below 0."""

    def __call__(self, w: Any) -> Any:
        return np.maximum(w, 0)


max_norm = maxnorm = MaxNorm
unit_norm = unitnorm = UnitNorm
min_max_norm = MinMaxNorm
non_neg = nonneg = NonNeg


def get(identifier: Any) -> Any:
    """A constraint by name, function, class or configuration; None for None."""
    return from_table(identifier, globals(), Constraint, "a constraint")


deserialize = get
