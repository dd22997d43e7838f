"""Pooling: one number for all pixels of a window, for each channel. The image shrinks, and what
moves by less than a window hardly changes it. Zero padding is here, too.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from digits.compute.threads import ELEMENTWISE, parallel_for
from digits.nn.activations import LINEAR, ActivationFunction, get_activation
from digits.nn.geometry import Geometry, KernelLayer, pair
from digits.nn.layer import Layer
from digits.types import Array, Shape


class Pooling(KernelLayer):
    """What the kinds of pooling share; the window is the kernel of the geometry."""

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        strides: int | tuple[int, int] | None = None,
        padding: str = "valid",
    ) -> None:
        window = pair(pool_size, "a pool_size")
        strides = window if strides is None else pair(strides, "strides")
        super().__init__(window, strides, padding)
        self.windows_overlap = any(s < w for s, w in zip(strides, window, strict=True))

    def zeros_like(self, x: Array) -> Array:
        """Zeros to write gradients with respect to x to. Where windows do not overlap, `add`
        overwrites all that the batch before wrote.
        """
        dx = self.cache.array("dx", x.shape, x.dtype, like=x, fill=0)
        if self.windows_overlap:
            dx[...] = 0
        return dx

    def taps(self, name: str, x: Array) -> list[Array]:
        """Those of the geometry: views that are made once for each array."""
        known = self.cache.views.get(name)
        if known is None or known[0] is not x:
            known = self.cache.views[name] = x, list(self.geometry.taps(x))
        taps: list[Array] = known[1]
        return taps

    def add(self, gradients: Array, pixels: Array) -> None:
        """Add gradients to pixels, which no other window has if they do not overlap."""
        if self.windows_overlap:
            pixels += gradients
        else:
            pixels[...] = gradients

    def parallel_for_windows(self, work: Callable[[slice], None], multiplications: float) -> None:
        """`parallel_for` work that writes to the pixels under rows of windows."""
        if self.strides[0] < self.kernel[0]:  # two threads would write to the same pixels
            work(slice(0, self.geometry.output[0]))
        else:
            parallel_for(work, self.geometry.output[0], multiplications)

    def get_config(self) -> dict[str, Any]:
        return {"pool_size": list(self.kernel), **self._geometry_config()}


class MaxPooling2D(Pooling):
    """y = the largest number in the window."""

    def forward(self, x: Array, training: bool = False) -> Array:
        return self.activated_maximum(x, LINEAR, training)

    def activated_maximum(self, x: Array, activation: ActivationFunction, training: bool) -> Array:
        """y = activation(the largest number in the window)."""
        cache = self.cache
        padded = self.geometry.pad(x, cache, fill=-np.inf)  # padding that is never the largest
        y = cache.array("y", (len(x), *self.output_shape), x.dtype, like=padded)
        first, *others = self.taps("pixels", padded)
        # Where a pixel of the window is larger than all before it, which only `backward` asks.
        names = (f"larger {i}" for i in range(len(others) if training else 0))
        larger = [cache.array(name, y.shape, bool, like=y) for name in names]

        def maximum_of_rows(part: slice) -> None:
            rows = y[:, part]
            rows[...] = first[:, part]
            for i, tap in enumerate(others):
                if training:
                    np.greater(tap[:, part], rows, out=larger[i][:, part])
                np.maximum(rows, tap[:, part], out=rows)
            activation.apply(rows.swapaxes(0, 1))

        parallel_for(maximum_of_rows, self.output_shape[0], ELEMENTWISE * x.size)
        cache.x, cache.padded, cache.y, cache.activation = x, padded, y, activation
        cache.training, cache.larger = training, larger
        return y

    def backward(self, dy: Array) -> Array:
        """The gradient goes where the maximum came from: the first pixel in reading order, if
        several are equal. That is the last one that was larger than all before it.
        """
        cache, geometry = self.cache, self.geometry
        activation = cache.activation
        if not cache.training:
            self.activated_maximum(cache.x, activation, training=True)
        y, winners, dx = cache.y, cache.larger[::-1], self.zeros_like(cache.padded)
        unclaimed = cache.array("unclaimed", y.shape, y.dtype, like=y)
        first, *others = self.taps("gradients", dx)

        def backward_of_rows(part: slice) -> None:
            rest = unclaimed[:, part]  # of windows whose maximum is still to be found, else 0
            activation.apply_backward(dy[:, part], y[:, part], out=rest)
            for larger, tap in zip(winners, reversed(others), strict=True):
                if self.windows_overlap:
                    found = rest * larger[:, part]
                    tap[:, part] += found
                else:
                    found = np.multiply(rest, larger[:, part], out=tap[:, part])
                rest -= found
            self.add(rest, first[:, part])

        self.parallel_for_windows(backward_of_rows, 5 * ELEMENTWISE * dx.size)
        return geometry.inside(dx)


class AveragePooling2D(Pooling):
    """y = the mean of the numbers in the window, padding not counted."""

    def forward(self, x: Array, training: bool = False) -> Array:
        padded = self.cache.padded = self.geometry.pad(x, self.cache)
        y = self.cache.array("mean", (len(x), *self.output_shape), x.dtype, like=padded)
        first, *others = self.taps("pixels", padded)
        count = self._count(x.dtype)

        def means_of_rows(part: slice) -> None:
            total = first[:, part]
            for tap in others:
                total = np.add(total, tap[:, part], out=y[:, part])
            np.divide(total, count[part] if count.ndim else count, out=y[:, part])

        parallel_for(means_of_rows, self.output_shape[0], ELEMENTWISE * x.size)
        return y

    def backward(self, dy: Array) -> Array:
        """Each number in the window has the same weight in the mean."""
        dx = self.zeros_like(self.cache.padded)
        quotient = dy / self._count(dy.dtype)
        taps = self.taps("gradients", dx)

        def backward_of_rows(part: slice) -> None:
            for tap in taps:
                self.add(quotient[:, part], tap[:, part])

        self.parallel_for_windows(backward_of_rows, ELEMENTWISE * dx.size)
        return self.geometry.inside(dx)

    def _count(self, dtype: Any) -> Array:
        """How many pixels of the image lie in the window at each position, (rows, columns, 1); or
        one number, where there is no padding.
        """
        if not self.geometry.has_padding:
            return np.array(math.prod(self.kernel), dtype)
        inside = []  # for each row of positions the rows of pixels in the image; then for columns
        for axis, (before, _) in enumerate(self.geometry.padding):
            starts = np.arange(self.output_shape[axis]) * self.strides[axis] - before
            ends = np.minimum(starts + self.kernel[axis], self.input_shape[axis])
            inside.append(ends - np.maximum(starts, 0))
        return np.multiply.outer(*inside)[:, :, np.newaxis].astype(dtype)


class Subsampling2D(AveragePooling2D):
    """y = activation(coefficient * mean + b): pooling as in LeNet-5, with two weights to train for
    each channel (LeCun et al. 1998, section II.B).

    The paper takes the sum over the window instead of its mean: here the coefficient is as many
    times larger as the window has pixels.
    """

    def __init__(
        self,
        pool_size: int | tuple[int, int] = 2,
        activation: str | Callable[..., Array] | ActivationFunction | None = None,
    ) -> None:
        super().__init__(pool_size)
        self._activation = get_activation(activation)
        self.activation = self._activation.name

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.weight_shapes = {"coefficient": input_shape[2:], "b": input_shape[2:]}

    def initialize(self) -> None:
        self.weights["coefficient"][...] = 1
        self.weights["b"][...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        mean = super().forward(x, training)
        y = self._activation.function(mean * self.weights["coefficient"] + self.weights["b"])
        self.cache.mean, self.cache.y = mean, y
        return y

    def backward(self, dy: Array) -> Array:
        """The two weights of a channel act at every position of it in every image, so their
        gradients are sums over all of these.
        """
        da = self._activation.backward(dy, self.cache.y)
        np.sum(da * self.cache.mean, axis=(0, 1, 2), out=self.grads["coefficient"])
        np.sum(da, axis=(0, 1, 2), out=self.grads["b"])
        return super().backward(da * self.weights["coefficient"])

    def get_config(self) -> dict[str, Any]:
        return {"pool_size": list(self.kernel), "activation": self._activation_config()}


class ZeroPadding2D(Layer):
    """Zeros around the image: padding=2 makes 28x28 images 32x32."""

    def __init__(self, padding: int | tuple[int, int] = 1) -> None:
        super().__init__()
        self.rows, self.columns = pair(padding, "padding")

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.expect_images()
        around = (self.rows, self.rows), (self.columns, self.columns)
        self.geometry = Geometry(input_shape, (1, 1), (1, 1), around, (0, 0))
        self.output_shape = self.geometry.padded

    def forward(self, x: Array, training: bool = False) -> Array:
        return self.geometry.pad(x, self.cache)

    def backward(self, dy: Array) -> Array:
        return self.geometry.inside(dy)

    def get_config(self) -> dict[str, Any]:
        return {"padding": [self.rows, self.columns]}
