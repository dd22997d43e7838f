"""Layers with a formula of their own: normalizations, learned slopes, tables and products."""

from typing import Any

import numpy as np

from digits.keras import ops
from digits.keras.layer import arguments
from digits.keras.layers.basic import Scaled
from digits.keras.layers.formula import Formula
from digits.keras.legacy import note
from digits.validation import check


def standardized(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    """x brought to mean 0 and variance 1 along these axes."""
    centered = x - np.mean(x, axes, keepdims=True)
    return centered / np.sqrt(np.var(x, axes, keepdims=True) + epsilon)


@arguments()
class LayerNormalization(Scaled, Formula):
    """y = gamma (x - mean) / sqrt(variance + epsilon) + beta, with mean and variance of each sample
    along the last axis, or the last axes (Ba et al. 2016).
    """

    axis: Any = -1
    epsilon: float = 1e-3

    def make_weights(self, shape: Any) -> None:
        rank = len(shape)
        self.axes = tuple(sorted(int(axis) % rank for axis in np.ravel(self.axis)))
        last = self.axes == tuple(range(rank - len(self.axes), rank))
        check(last, f"the last axes for {self.name}", self.axis, "use Permute first")
        sizes = shape[-len(self.axes) :]
        self.gamma = self.variable("gamma", sizes) if self.scale else 1.0
        self.beta = self.variable("beta", sizes) if self.center else 0.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self.gamma * standardized(inputs, self.axes, self.epsilon) + self.beta


@arguments()
class GroupNormalization(Scaled, Formula):
    """The same with mean and variance of groups of channels, over all pixels (Wu and He 2018)."""

    groups: int = 32
    axis: int = -1
    epsilon: float = 1e-3

    def make_weights(self, shape: Any) -> None:
        last = self.axis in (-1, len(shape) - 1)
        check(last, f"axis=-1, the last, for {self.name}", self.axis, "use Permute first")
        self.count = shape[-1] if self.groups == -1 else self.groups
        fits = shape[-1] % self.count == 0
        check(fits, f"groups that divide the {shape[-1]} channels", self.groups)
        self.gamma = self.variable("gamma", shape[-1:]) if self.scale else 1.0
        self.beta = self.variable("beta", shape[-1:]) if self.center else 0.0

    def call(self, inputs: Any, training: Any = None) -> Any:
        n, channels = np.shape(inputs)[0], np.shape(inputs)[-1]
        groups = np.reshape(inputs, (n, -1, self.count, channels // self.count))
        y = np.reshape(standardized(groups, (1, 3), self.epsilon), np.shape(inputs))
        return self.gamma * y + self.beta


@arguments()
class UnitNormalization(Formula):
    """y = x / |x|: each vector along the axis gets the length 1."""

    axis: Any = -1

    def call(self, inputs: Any, training: Any = None) -> Any:
        axes = tuple(self.axis) if isinstance(self.axis, list | tuple) else self.axis
        return ops.l2_normalize(inputs, axes)


@arguments()
class PReLU(Formula):
    """x where x > 0, else alpha x with an alpha that is learned (He et al. 2015).

    shared_axes: axes along which all numbers have the same alpha, counted from 1.
    """

    alpha_initializer: Any = "zeros"
    alpha_regularizer: Any = None
    shared_axes: Any = None

    def make_weights(self, shape: Any) -> None:
        shared = np.ravel(() if self.shared_axes is None else self.shared_axes)
        sizes = [1 if i in shared else size for i, size in enumerate(shape[1:], 1)]
        self.alpha = self.variable("alpha", sizes)

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.where(inputs > 0, inputs, self.alpha * inputs)


@arguments()
class Embedding(Formula):
    """A row of a table for each index from 0 to input_dim - 1: (n, ...) becomes (n, ...,
    output_dim).
    """

    input_dim: int
    output_dim: int
    embeddings_initializer: Any = "uniform"
    embeddings_regularizer: Any = None
    mask_zero: bool = False

    def make_weights(self, shape: Any) -> None:
        if self.mask_zero:
            note("mask_zero=True has no effect: index 0 counts as any other")
        self.embeddings = self.variable("embeddings", (self.input_dim, self.output_dim))

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.take(self.embeddings, np.asarray(inputs, int), axis=0)


@arguments()
class Dot(Formula):
    """Products of the vectors of two inputs, summed along an axis of each: (n, a, k) and (n, b, k)
    with axes=2 become (n, a, b). `normalize` brings the vectors to length 1 first, for the cosine.
    """

    axes: Any
    normalize: bool = False

    def call(self, inputs: Any, training: Any = None) -> Any:
        pair = self.axes if isinstance(self.axes, list | tuple) else (self.axes, self.axes)
        if self.normalize:
            inputs = [ops.l2_normalize(x, axis) for x, axis in zip(inputs, pair, strict=True)]
        first, second = (np.moveaxis(x, a, -1) for x, a in zip(inputs, pair, strict=True))
        n, *rows, size = np.shape(first)
        _, *columns, _ = np.shape(second)
        m1, m2 = np.reshape(first, (n, -1, size)), np.reshape(second, (n, -1, size))
        y = np.matmul(m1, np.swapaxes(m2, 1, 2))
        return np.reshape(y, (n, *(rows + columns or [1])))


def dot(inputs: Any, axes: Any = -1, **options: Any) -> Any:
    return Dot(axes, **options)(inputs)
