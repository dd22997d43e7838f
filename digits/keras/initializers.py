"""How initial weights are drawn, as objects: `HeNormal(seed=1)((784, 50))` gives an array. Each
also goes by the names that Keras gave it over the years.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.keras import config
from digits.keras.random import new_generator
from digits.keras.serialization import Configured, from_table, plain
from digits.nn.initializers import TruncatedNormal as _TruncatedNormal
from digits.types import Array

TRUNCATED_STDDEV = 0.87962566103423978
"""What is left of a standard deviation of 1 when the tails beyond 2 are cut off."""


class Initializer(Configured):
    """An object that makes arrays; a subclass gives `draw`."""

    module = "keras.initializers"
    seed: Any = None

    def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Array:
        """Initial weights of that shape."""
        rng = new_generator(self.seed)
        return self.draw(tuple(shape), rng).astype(dtype or config.floatx())

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        """The numbers, float64."""
        raise NotImplementedError


@dataclass(repr=False)
class Constant(Initializer):
    """The same value everywhere."""

    value: Any = 0.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return np.full(shape, self.value, np.float64)


def _filled(name: str, value: float) -> Any:
    """A class whose arrays hold the same number everywhere."""
    methods = {"draw": lambda self, shape, rng: np.full(shape, value)}
    return type(name, (Initializer,), {"__doc__": f"{value:.0f} everywhere.", **methods})


Zeros, Ones = _filled("Zeros", 0.0), _filled("Ones", 1.0)


@dataclass(repr=False)
class Identity(Initializer):
    """1 on the diagonal of a matrix, else 0."""

    gain: float = 1.0

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return self.gain * np.eye(shape[0], shape[1])


@dataclass(repr=False)
class RandomNormal(Initializer):
    """A normal distribution."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: Any = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """A normal distribution whose values beyond two standard deviations are drawn again."""

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return _TruncatedNormal(self.mean, self.stddev)(shape, 0, 0, rng)


@dataclass(repr=False)
class RandomUniform(Initializer):
    """Evenly distributed between two numbers."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: Any = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        return rng.uniform(self.minval, self.maxval, shape)


@dataclass(repr=False)
class Orthogonal(Initializer):
    """A matrix with orthogonal rows or columns, whichever are fewer (Saxe et al. 2014)."""

    gain: float = 1.0
    seed: Any = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # so that all such matrices are equally likely
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


@dataclass(repr=False)
class VarianceScaling(Initializer):
    """Variance scale / fan, where fan is how many inputs feed a unit (fan_in), how many units an
    input feeds (fan_out), or the mean of both (fan_avg).
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: Any = None

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
        area = math.prod(shape[:-2]) if len(shape) > 1 else 1  # pixels under a kernel
        fan_in, fan_out = area * shape[max(-2, -len(shape))], area * shape[-1]
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            return rng.uniform(-math.sqrt(3) * stddev, math.sqrt(3) * stddev, shape)
        if self.distribution == "untruncated_normal":
            return rng.normal(0, stddev, shape)
        return _TruncatedNormal(0, stddev / TRUNCATED_STDDEV)(shape, 0, 0, rng)


def _scaling(name: str, scale: float, mode: str, distribution: str, source: str) -> Any:
    """A VarianceScaling under a name of its own, which takes only a seed."""

    def __init__(self: Any, seed: Any = None) -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed)

    doc = f"Variance {scale} / {mode}, {distribution} ({source})."
    return type(name, (VarianceScaling,), {"__init__": __init__, "__doc__": doc})


GLOROT, HE, LECUN = "Glorot and Bengio 2010", "He et al. 2015", "LeCun et al. 1998"
GlorotUniform = _scaling("GlorotUniform", 1.0, "fan_avg", "uniform", GLOROT)
GlorotNormal = _scaling("GlorotNormal", 1.0, "fan_avg", "truncated_normal", GLOROT)
HeUniform = _scaling("HeUniform", 2.0, "fan_in", "uniform", HE)
HeNormal = _scaling("HeNormal", 2.0, "fan_in", "truncated_normal", HE)
LecunUniform = _scaling("LecunUniform", 1.0, "fan_in", "uniform", LECUN)
LecunNormal = _scaling("LecunNormal", 1.0, "fan_in", "truncated_normal", LECUN)

zeros, ones, constant, identity = Zeros, Ones, Constant, Identity
normal = random_normal = RandomNormal
uniform = random_uniform = RandomUniform
truncated_normal, orthogonal, variance_scaling = TruncatedNormal, Orthogonal, VarianceScaling
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal
zero, one = Zeros, Ones  # Keras 1


def get(identifier: Any) -> Any:
    """An initializer by name, class, configuration, number or array; None for None."""
    if isinstance(identifier, int | float | np.ndarray):
        return Constant(identifier)
    return from_table(identifier, globals(), Initializer, "an initializer")


serialize, deserialize = plain, get
