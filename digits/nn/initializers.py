"""How initial weights are drawn: small enough not to saturate a layer, large enough that a signal
survives many of them. Names and arguments are those of Keras.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from digits.types import Array, Shape
from digits.validation import check

Rng = np.random.Generator

Initializer = Callable[[Shape, int, int, Rng], Array]
"""(shape, fan_in, fan_out, rng) -> initial weights, float64. fan_in: how many inputs feed a unit;
fan_out: how many units an input feeds."""


@dataclass(frozen=True)
class Constant:
    """The same value everywhere."""

    value: float = 0.0

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class RandomNormal:
    """A normal distribution."""

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """A normal distribution without values beyond two standard deviations: those are redrawn."""

    def __call__(self, shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
        z = rng.standard_normal(shape)
        while (far := np.abs(z) > 2).any():
            z[far] = rng.standard_normal(int(far.sum()))
        return self.mean + self.stddev * z


def glorot_uniform(shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
    """Uniform with variance 2 / (fan_in + fan_out): activations and gradients both keep their size
    through layers that are linear around 0, such as tanh (Glorot and Bengio 2010).
    """
    limit = math.sqrt(6 / (fan_in + fan_out))  # from -a to a the variance is a^2 / 3
    return rng.uniform(-limit, limit, shape)


def glorot_normal(shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
    """As `glorot_uniform`, from a truncated normal distribution."""
    return _truncated(math.sqrt(2 / (fan_in + fan_out)), shape, rng)


def he_uniform(shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
    """Uniform with variance 2 / fan_in: makes up for the half of the signal that relu sets to 0
    (He et al. 2015).
    """
    limit = math.sqrt(6 / fan_in)
    return rng.uniform(-limit, limit, shape)


def he_normal(shape: Shape, fan_in: int, fan_out: int, rng: Rng) -> Array:
    """As `he_uniform`, from a truncated normal distribution."""
    return _truncated(math.sqrt(2 / fan_in), shape, rng)


def _truncated(stddev: float, shape: Shape, rng: Rng) -> Array:
    # Cutting the tails off at two standard deviations leaves 0.8796 of the deviation.
    return TruncatedNormal(stddev=stddev / 0.87962566103423978)(shape, 0, 0, rng)


INITIALIZERS: dict[str, Initializer] = {
    "zeros": Constant(0.0),
    "ones": Constant(1.0),
    "random_normal": RandomNormal(),
    "truncated_normal": TruncatedNormal(),
    "glorot_uniform": glorot_uniform,
    "glorot_normal": glorot_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
}


def get_initializer(initializer: str | Initializer) -> Initializer:
    """An initializer by its name; a function is one already."""
    if callable(initializer):
        return initializer
    known = f"an initializer among {', '.join(INITIALIZERS)}, or a function"
    check(str(initializer) in INITIALIZERS, known, initializer)
    return INITIALIZERS[initializer]
