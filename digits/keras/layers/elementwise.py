"""Layers that do the same to every number: activations, scales, and noise in training."""

from typing import Any

import numpy as np

from digits.keras import activations
from digits.keras.activations import SELU_ALPHA, SELU_SCALE
from digits.keras.layer import Layer, arguments
from digits.keras.layers.basic import activation_core
from digits.keras.layers.formula import Formula
from digits.keras.random import new_generator
from digits.nn import layers as nn
from digits.nn.layer import Layer as Core
from digits.types import Shape
from digits.validation import check


@arguments()
class Identity(Layer):
    """y = x."""


@arguments()
class Activation(Layer):
    """y = f(x), number by number (softmax: along the last axis)."""

    activation: Any

    def make(self, shape: Shape) -> list[Core]:
        return [activation_core(self.activation)]


@arguments()
class Softmax(Layer):
    """Probabilities from logits, along the last axis."""

    axis: int = -1

    def make(self, shape: Shape) -> list[Core]:
        check(self.axis in (-1, len(shape)), "axis=-1, the last", self.axis, "use Permute first")
        return [nn.Activation("softmax")]


@arguments(alpha="negative_slope")
class ReLU(Formula):
    """max(x, 0), with a slope for x below the threshold and a greatest value."""

    max_value: float | None = None
    negative_slope: float = 0.0
    threshold: float = 0.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


@arguments(alpha="negative_slope")
class LeakyReLU(Formula):
    """x where x > 0, else negative_slope * x (Maas et al. 2013)."""

    negative_slope: float = 0.3

    def call(self, inputs: Any, training: Any = None) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)


@arguments()
class ThresholdedReLU(Formula):
    """x where x > theta, else 0 (Konda et al. 2015)."""

    theta: float = 1.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        return activations.relu(inputs, threshold=self.theta)


@arguments()
class ELU(Formula):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al. 2016)."""

    alpha: float = 1.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        return activations.elu(inputs, self.alpha)


@arguments()
class Rescaling(Layer):
    """y = scale * x + offset."""

    scale: float
    offset: float = 0.0

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Rescaling(self.scale, self.offset)]


@arguments()
class Normalization(Layer):
    """y = (x - mean) / sqrt(variance), given as numbers or found by `adapt` on training data."""

    axis: Any = -1
    mean: Any = None
    variance: Any = None
    invert: bool = False

    def adapt(self, data: Any) -> None:
        """Find mean and variance of the data, one for each entry of `axis`."""
        x = np.asarray(data, np.float64)
        kept = () if self.axis is None else np.atleast_1d(self.axis) % x.ndim
        others = tuple(i for i in range(x.ndim) if i not in kept)
        self.mean, self.variance = x.mean(axis=others), x.var(axis=others)
        self.built = False

    def make(self, shape: Shape) -> list[Core]:
        check(not self.invert, "invert=False", self.invert, "use Rescaling")
        known = self.mean is not None and self.variance is not None
        check(known, f"mean and variance of {self.name}", None, "call its adapt(data) first")
        variance = np.maximum(np.asarray(self.variance, np.float64), 1e-7)
        return [nn.Normalization(np.squeeze(self.mean), np.squeeze(variance))]


class _Noise(Formula):
    """In training x becomes factor x + offset; `draw` gives both for each number."""

    seed: Any = None

    def __post_init__(self) -> None:
        self.rng = new_generator(self.seed)

    def call(self, inputs: Any, training: Any = None) -> Any:
        if not training:
            return inputs
        factor, offset = (np.asarray(part, inputs.dtype) for part in self.draw(inputs.shape))
        return inputs * factor + offset

    def draw(self, shape: Shape) -> Any:
        """The factors and the offsets."""
        raise NotImplementedError


@arguments(sigma="stddev")
class GaussianNoise(_Noise):
    """In training, normally distributed numbers are added."""

    stddev: float
    seed: Any = None

    def draw(self, shape: Shape) -> Any:
        return 1.0, self.rng.normal(0, self.stddev, shape)


@arguments(p="rate")
class GaussianDropout(_Noise):
    """In training, numbers are multiplied by normally distributed ones (Srivastava et al. 2014)."""

    rate: float
    seed: Any = None

    def draw(self, shape: Shape) -> Any:
        return self.rng.normal(1, np.sqrt(self.rate / (1 - self.rate)), shape), 0.0


class AlphaDropout(GaussianDropout):
    """In training a random fraction becomes what SELU gives at -inf, and all are scaled so that
    mean 0 and variance 1 remain (Klambauer et al. 2017).
    """

    def draw(self, shape: Shape) -> Any:
        lost, kept = -SELU_SCALE * SELU_ALPHA, self.rng.random(shape) >= self.rate
        scale = 1 / np.sqrt((1 - self.rate) * (1 + self.rate * lost**2))
        return scale * kept, scale * lost * (~kept - self.rate)


@arguments(p="rate")
class SpatialDropout2D(_Noise):
    """In training a random fraction `rate` of the channels becomes 0 (Tompson et al. 2015)."""

    rate: float
    seed: Any = None
    data_format: str | None = None

    def draw(self, shape: Shape) -> Any:
        n, *pixels, channels = shape
        kept = self.rng.random((n, *[1] * len(pixels), channels)) >= self.rate
        return kept / (1 - self.rate), 0.0


class SpatialDropout1D(SpatialDropout2D):
    """The same for rows."""
