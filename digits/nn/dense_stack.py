"""Dense layers one after the other, as one step: what `Dense` computes layer by layer, the same but
for rounding, in fewer calls of NumPy and without transposed copies.

Samples are innermost in memory: arrays between the layers are (units, n), so each product reads its
factors row after row, and elementwise functions run through memory in order.

A bias is the weight of an input that is always 1. In the vector of parameters b follows W; read as
one matrix V = [W; b], (features + 1, units), and with a row of ones below x,

    a = V^T [x; 1],    dV = [x; 1] da^T,    dx = W da,

where the last row of dV is db, the sum of da over the samples.

The gradients of neighbors of the same size are one product of stacks of matrices.
"""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from digits.compute.matmul import IN_PLACE
from digits.compute.threads import matmul
from digits.nn.activations import RELU
from digits.nn.layers import Dense
from digits.nn.workspace import ThreadCache
from digits.types import Array


class DenseStack:
    """What these layers, which have biases, do one after the other, for inputs (n, features).
    Weights and gradients are theirs.
    """

    def __init__(self, layers: list[Dense]) -> None:
        self.layers = layers
        self.cache = ThreadCache()

    def forward(self, x: Array, training: bool = False) -> Array:
        if self.cache.size != len(x):
            self._reserve(len(x))
        np.copyto(self.cache.x, x.T)
        for layer in self.cache.layers:
            layer.forward()
        y: Array = self.cache.y
        return y.T

    def backward(self, dy: Array) -> Array:
        dy = dy.T
        for layer in reversed(self.cache.layers):
            layer.backward(dy)
            dy = layer.dx
        for stack in self.cache.gradients:
            stack.compute()
        return dy.T

    def _reserve(self, n: int) -> None:
        """Make the arrays for batches of n samples, and the views of them."""
        cache, dtype = self.cache, self.layers[0].dtype
        x_of, da_of, cache.gradients = list[Array](), list[Array](), list[Gradients]()
        for shapes, group in groupby(self.layers, lambda layer: layer.weight_shapes):
            (features, units), equal = shapes["W"], list(group)
            x = np.ones((len(equal), features + 1, n), dtype)
            da = np.empty((len(equal), units, n), dtype)
            dV = with_bias(equal[0].grads["W"])
            dV = as_strided(dV, (len(equal), *dV.shape), (dV.nbytes, *dV.strides))
            cache.gradients.append(Gradients(x, da.swapaxes(1, 2), dV))
            x_of.extend(x)
            da_of.extend(da)
        cache.size, cache.x, cache.y = n, x_of[0][:-1], np.empty_like(da_of[-1])
        y_of = [*(x[:-1] for x in x_of[1:]), cache.y]
        dx_of = [np.empty_like(cache.x), *da_of[:-1]]  # dx becomes da of the layer before, in place
        arrays = zip(self.layers, x_of, y_of, da_of, dx_of, strict=True)
        cache.layers = [StackedLayer(*each) for each in arrays]


class StackedLayer:
    """A layer for batches of n samples, and the arrays it computes in: x is (features + 1, n) with
    ones in its last row, y and da are (units, n), dx is (features, n).
    """

    def __init__(self, layer: Dense, x: Array, y: Array, da: Array, dx: Array) -> None:
        self.x, self.y, self.da, self.dx = x, y, da, dx
        self.W, self.V_T = layer.weights["W"], with_bias(layer.weights["W"]).T
        self.activation = layer.applied_activation
        self.zeros, self.positive = np.zeros_like(y), np.empty(y.shape, bool)
        small = y.shape[1] * self.W.size <= IN_PLACE
        self.matmul: Callable[..., Array] = np.matmul if small else matmul  # faster to call

    def forward(self) -> None:
        """y from x."""
        self.matmul(self.V_T, self.x, out=self.y)  # (units, features + 1) @ (features + 1, n)
        if self.activation is RELU:  # NumPy compares two arrays faster than array and 0
            np.maximum(self.y, self.zeros, out=self.y)
        else:
            self.activation.apply(self.y.T)

    def backward(self, dy: Array) -> None:
        """da and dx from dy, which may be da itself."""
        if self.activation is RELU:
            np.greater(self.y, self.zeros, out=self.positive)
            np.multiply(dy, self.positive, out=self.da)
        else:
            self.activation.apply_backward(dy.T, self.y.T, out=self.da.T)
        self.matmul(self.W, self.da, out=self.dx)  # (features, units) @ (units, n)


class Gradients(NamedTuple):
    """For neighbors of the same size, dV = x da^T."""

    x: Array
    """(layers, features + 1, n)."""
    da_T: Array
    """(layers, n, units)."""
    dV: Array
    """(layers, features + 1, units): the layers' own gradients, which follow one another."""

    def compute(self) -> None:
        n = self.x.shape[2]
        if n == 1:  # then it is the same, and faster
            np.multiply(self.x, self.da_T, out=self.dV)
        elif n * self.dV[0].size <= IN_PLACE:
            np.matmul(self.x, self.da_T, out=self.dV)
        else:
            for x, da_T, dV in zip(*self, strict=True):
                matmul(x, da_T, out=dV)


def with_bias(W: Array) -> Array:
    """[W; b], (features + 1, units), from W: b is what follows it in the vector of parameters."""
    features, units = W.shape
    return as_strided(W, (features + 1, units))
