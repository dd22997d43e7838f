"""The convolutional layer. There are two ways to compute it: as matrix products of patches
(`digits.nn.patches`), for any geometry, and in the frequency domain (`digits.nn.fourier`), where
that takes fewer multiplications.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from digits.nn.activations import ActivationFunction
from digits.nn.fourier import FourierConvolution
from digits.nn.geometry import KernelLayer, pair
from digits.nn.initializers import Initializer, get_initializer
from digits.nn.patches import PatchConvolution
from digits.types import Array, Shape
from digits.validation import check, positive_int


class Conv2D(KernelLayer):
    """Each filter is a small image W[:, :, :, f] that is compared with the pixels under the kernel,
    at every position (LeCun et al. 1998). With strides of one pixel and no padding

        y[p, q, f] = activation(sum over i, j, c of x[p + i, q + j, c] W[i, j, c, f] + b[f])

    Inputs (n, height, width, channels), outputs (n, rows, columns, filters);
    W (kernel height, kernel width, channels, filters), b (filters,).

    connections: (channels, filters) of 0 and 1, which input maps a filter uses; None means all. W
    is then (kernel height, kernel width, number of ones): there are no weights for the zeros.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        strides: int | tuple[int, int] = 1,
        padding: str = "valid",
        activation: str | Callable[..., Array] | ActivationFunction | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
        connections: ArrayLike | None = None,
    ) -> None:
        kernel = pair(kernel_size, "a kernel_size")
        super().__init__(kernel, pair(strides, "strides"), padding, activation)
        self.filters, self.use_bias = positive_int(filters, "filters"), use_bias
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.bias_initializer = get_initializer(bias_initializer)
        self.connections: Array | None = None
        if connections is not None:
            table = np.asarray(connections)
            good = table.ndim == 2 and np.isin(table, (0, 1)).all() and table.any(axis=0).all()
            check(bool(good), "a table of 0 and 1 in which each filter uses a map", connections)
            self.connections = table.astype(bool)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        channels = input_shape[2]
        self.output_shape = (*self.geometry.output, self.filters)
        self.weight_shapes = {"W": (*self.kernel, channels, self.filters)}
        if self.connections is not None:
            shape, expected = self.connections.shape, (channels, self.filters)
            check(shape == expected, f"a connection table of shape {expected}", shape)
            self.weight_shapes["W"] = (*self.kernel, int(self.connections.sum()))
        if self.use_bias:
            self.weight_shapes["b"] = (self.filters,)

    def bind(self, *arrays: Any) -> None:
        super().bind(*arrays)
        self.patches = PatchConvolution(self.geometry, self.filters, self.needs_dx, self.dtype)
        self.fourier: FourierConvolution | None = None
        if self.strides == (1, 1):
            self.fourier = FourierConvolution(self.geometry, self.filters, self.dtype)

    def initialize(self) -> None:
        W, area = self.weights["W"], math.prod(self.kernel)
        fan_in, fan_out = area * self.input_shape[2], area * self.filters
        if self.connections is not None:  # filters use different numbers of maps: on average
            fan_in, fan_out = W.size // self.filters, W.size // self.input_shape[2]
        W[...] = self.kernel_initializer(W.shape, fan_in, fan_out, self.rng)
        if self.use_bias:
            b = self.weights["b"]
            b[...] = self.bias_initializer(b.shape, fan_in, fan_out, self.rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        return self.activated_by(self.applied_activation, x)

    def activated_by(self, activation: ActivationFunction, x: Array) -> Array:
        """`forward` with another activation."""
        algorithm = self.cache.algorithm = self.algorithm(len(x))
        self.cache.activation = activation
        W = full_kernel(self.weights["W"], self.connections)
        W = W.reshape(*self.kernel, -1, self.filters)
        return algorithm.forward(x, W, self.weights.get("b"), activation)

    def backward(self, dy: Array) -> Array | None:
        algorithm, activation = self.cache.algorithm, self.cache.activation
        dW, db, dx = algorithm.backward(dy, activation, self.needs_dx)
        dW = dW if self.connections is None else dW[:, :, self.connections]
        self.grads["W"][...] = dW.reshape(self.grads["W"].shape)
        if self.use_bias:
            self.grads["b"][...] = db
        return dx

    def algorithm(self, n: int) -> PatchConvolution | FourierConvolution:
        """The faster one for n images. The frequency domain has to save more than a quarter of the
        multiplications: for less it does not pay, as those of patches are faster.
        """
        patches, fourier = self.patches, self.fourier
        if fourier is None or n == 0:
            return patches
        cheaper = 4 * fourier.multiplications(n) < 3 * patches.multiplications(n)
        return fourier if cheaper else patches

    def get_config(self) -> dict[str, Any]:
        connections = None if self.connections is None else self.connections.astype(int).tolist()
        return {
            "filters": self.filters,
            "kernel_size": list(self.kernel),
            **self._geometry_config(),
            "activation": self._activation_config(),
            "use_bias": self.use_bias,
            "connections": connections,
        }


def full_kernel(W: Array, connections: ArrayLike | None) -> Array:
    """W of shape (kernel height, kernel width, channels, filters), with zeros for the weights that
    do not exist.
    """
    if connections is None:
        return W
    table = np.asarray(connections, bool)
    full = np.zeros((*W.shape[:2], *table.shape), W.dtype)
    full[:, :, table] = W.reshape(*W.shape[:2], -1)
    return full
