"""The layers that take any features: dense ones, those without weights that give another shape or
scale, and those that behave differently in training. Names and arguments are those of Keras.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from digits.compute.distributed import all_reduce_mean, global_batch
from digits.compute.matmul import IN_PLACE
from digits.compute.threads import matmul
from digits.nn.activations import LINEAR, RELU, ActivationFunction
from digits.nn.initializers import Initializer, get_initializer
from digits.nn.layer import ActivatedLayer, Layer
from digits.types import Array, Shape
from digits.validation import check, positive_int

# --- dense layers ---------------------------------------------------------------------------------


class Dense(ActivatedLayer):
    """y = activation(x W + b): every input reaches every output.

    Inputs (n, features), outputs (n, units); W (features, units), b (units,).
    """

    def __init__(
        self,
        units: int,
        activation: str | Callable[..., Array] | ActivationFunction | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
    ) -> None:
        super().__init__(activation)
        self.units, self.use_bias = positive_int(units, "units"), use_bias
        self.kernel_initializer = get_initializer(kernel_initializer)
        self.bias_initializer = get_initializer(bias_initializer)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._expect_rank(1, "(features,)", "put Flatten() before it")
        self.output_shape = (self.units,)
        self.weight_shapes = {"W": (input_shape[0], self.units)}
        if self.use_bias:
            self.weight_shapes["b"] = (self.units,)

    def initialize(self) -> None:
        W, (fan_in, fan_out) = self.weights["W"], self.weight_shapes["W"]
        W[...] = self.kernel_initializer(W.shape, fan_in, fan_out, self.rng)
        if self.use_bias:
            self.weights["b"][...] = self.bias_initializer((fan_out,), fan_in, fan_out, self.rng)

    def _reserve(self, n: int) -> None:
        """Make the arrays that batches of n samples are computed in, and the views of them."""
        cache, shape = self.cache, (n, self.units)
        cache.size, cache.zeros, cache.ones = n, np.zeros(shape, self.dtype), np.ones(n, self.dtype)
        cache.y, cache.da = np.empty(shape, self.dtype), np.empty(shape, self.dtype)
        cache.positive = np.empty(shape, bool)
        cache.da_T = np.empty(shape[::-1], self.dtype)
        cache.dx_T = np.empty((*self.input_shape, n), self.dtype)
        small = n * self.units * self.input_shape[0] <= IN_PLACE
        cache.matmul = np.dot if small else matmul  # np.dot is faster to call

    def forward(self, x: Array, training: bool = False) -> Array:
        cache = self.cache
        if cache.size != len(x):
            self._reserve(len(x))
        cache.x = x
        y: Array = cache.y
        cache.matmul(x, self.weights["W"], out=y)  # (n, features) @ (features, units)
        if self.use_bias:
            np.add(y, self.weights["b"], out=y)
        activation = self.applied_activation
        if activation is RELU:  # NumPy compares two arrays faster than array and 0
            np.maximum(y, cache.zeros, out=y)
        else:
            activation.apply(y)
        return y

    def backward(self, dy: Array) -> Array | None:
        """With a = x W + b and da the gradient with respect to a: W_ij adds x_i W_ij to a_j in
        every sample, so dW_ij is the sum of x_i da_j over the samples, dW = x^T da; b is the weight
        of an input that is always 1, so db = 1^T da; x_i adds x_i W_ij to every a_j, so dx_i is the
        sum of da_j W_ij over the units, dx = da W^T.
        """
        cache, activation = self.cache, self.applied_activation
        da = dy if activation is LINEAR else cache.da
        if activation is RELU:
            np.multiply(dy, np.greater(cache.y, cache.zeros, out=cache.positive), out=da)
        elif activation is not LINEAR:
            activation.apply_backward(dy, cache.y, out=da)
        cache.matmul(cache.x.T, da, out=self.grads["W"])  # (features, n) @ (n, units)
        if self.use_bias:  # (n,) @ (n, units): faster than np.sum over the samples
            np.dot(cache.ones, da, out=self.grads["b"])
        if not self.needs_dx:
            return None
        # The transposed product, dx^T = W da^T, is faster than da W^T if both of its factors lie in
        # memory row after row. (features, units) @ (units, n)
        np.copyto(cache.da_T, da.T)
        dx: Array = cache.matmul(self.weights["W"], cache.da_T, out=cache.dx_T).T
        return dx

    def get_config(self) -> dict[str, Any]:
        return {
            "units": self.units,
            "activation": self._activation_config(),
            "use_bias": self.use_bias,
        }


class Maxout(Layer):
    """y = the largest of `pieces` linear functions, for each of `units` (Goodfellow et al. 2013).

    Inputs (n, features), outputs (n, units); W (features, units * pieces), b (units * pieces,): the
    pieces of the first unit, then those of the second, and so on.
    """

    def __init__(
        self, units: int, pieces: int = 2, kernel_initializer: str | Initializer = "glorot_uniform"
    ) -> None:
        super().__init__()
        self.units, self.pieces = positive_int(units, "units"), positive_int(pieces, "pieces")
        self.kernel_initializer = get_initializer(kernel_initializer)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self._expect_rank(1, "(features,)", "put Flatten() before it")
        self.output_shape = (self.units,)
        width = self.units * self.pieces
        self.weight_shapes = {"W": (input_shape[0], width), "b": (width,)}

    def initialize(self) -> None:
        shape = self.weights["W"].shape
        self.weights["W"][...] = self.kernel_initializer(shape, shape[0], self.units, self.rng)
        self.weights["b"][...] = 0

    def forward(self, x: Array, training: bool = False) -> Array:
        a = matmul(x, self.weights["W"]) + self.weights["b"]
        a = a.reshape(len(x), self.units, self.pieces)
        winner = np.argmax(a, axis=2)[:, :, np.newaxis]  # (n, units, 1), the index of a piece
        self.cache.x, self.cache.winner = x, winner
        return np.take_along_axis(a, winner, axis=2)[:, :, 0]

    def backward(self, dy: Array) -> Array | None:
        """Only the winning piece reached the loss, so only it has a gradient."""
        da = np.zeros((*dy.shape, self.pieces), dy.dtype)
        np.put_along_axis(da, self.cache.winner, dy[:, :, np.newaxis], axis=2)
        da = da.reshape(len(dy), -1)  # (n, units * pieces)
        matmul(self.cache.x.T, da, out=self.grads["W"])
        np.sum(da, axis=0, out=self.grads["b"])
        return matmul(da, self.weights["W"].T) if self.needs_dx else None

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "pieces": self.pieces}


# --- layers without weights -----------------------------------------------------------------------


class Activation(ActivatedLayer):
    """y = f(x), element by element (softmax: along the last axis)."""

    def forward(self, x: Array, training: bool = False) -> Array:
        self.cache.y = x if self.gives_logits else self._activation.function(x)
        return self.cache.y

    def backward(self, dy: Array) -> Array:
        return self.applied_activation.backward(dy, self.cache.y)

    def get_config(self) -> dict[str, Any]:
        return {"activation": self._activation_config()}


class Reshape(Layer):
    """The same numbers in another shape: Reshape((28, 28, 1)) makes an image of 784 pixels.

    One number may be -1: it follows from the others.
    """

    def __init__(self, target_shape: int | Sequence[int]) -> None:
        super().__init__()
        sizes = np.atleast_1d(target_shape).tolist()
        self.target_shape = tuple(d if d == -1 else positive_int(d, "a dimension") for d in sizes)
        check(self.target_shape.count(-1) <= 1, "at most one -1 in a shape", target_shape)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        size, known = math.prod(input_shape), math.prod(d for d in self.target_shape if d != -1)
        self.output_shape = tuple(size // known if d == -1 else d for d in self.target_shape)
        if math.prod(self.output_shape) != size:
            raise ValueError(
                f"Reshape expected a shape of {size} numbers for inputs {input_shape}; "
                f"received {self.target_shape}"
            )

    def forward(self, x: Array, training: bool = False) -> Array:
        return x.reshape(len(x), *self.output_shape)

    def backward(self, dy: Array) -> Array:
        return dy.reshape(len(dy), *self.input_shape)

    def get_config(self) -> dict[str, Any]:
        return {"target_shape": list(self.target_shape)}


class Flatten(Reshape):
    """Each sample as one row of numbers."""

    def __init__(self) -> None:
        super().__init__((-1,))

    def get_config(self) -> dict[str, Any]:
        return {}


class Rescaling(Layer):
    """y = scale * x + offset: pixels to another range."""

    def __init__(self, scale: float, offset: float = 0.0) -> None:
        super().__init__()
        self.scale, self.offset = float(scale), float(offset)
        check(math.isfinite(scale) and math.isfinite(offset), "finite numbers", (scale, offset))

    def forward(self, x: Array, training: bool = False) -> Array:
        return x * self.scale + self.offset

    def backward(self, dy: Array) -> Array:
        return dy * self.scale

    def get_config(self) -> dict[str, Any]:
        return {"scale": self.scale, "offset": self.offset}


class Normalization(Layer):
    """y = (x - mean) / sqrt(variance), with numbers computed from the training images: one for all
    features, one for each, or one for each channel of images.
    """

    def __init__(self, mean: ArrayLike = 0.0, variance: ArrayLike = 1.0) -> None:
        super().__init__()
        for numbers in (mean, variance):
            check(np.asarray(numbers).dtype.kind in "biuf", "real numbers", numbers)
        self.mean, self.variance = np.asarray(mean, np.float64), np.asarray(variance, np.float64)
        check(bool(np.isfinite(self.mean).all()), "a finite mean", mean)
        positive = np.isfinite(self.variance) & (self.variance > 0)
        check(bool(positive.all()), "a finite variance above 0", variance)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        for numbers in (self.mean, self.variance):
            check(
                numbers.shape in ((), input_shape, input_shape[-1:]),
                f"one number, or one for each of the features {input_shape}",
                numbers.shape,
            )

    def bind(self, *arrays: Any) -> None:
        super().bind(*arrays)
        self._mean = self.mean.astype(self.dtype)
        self._inverse_deviation = np.asarray(1 / np.sqrt(self.variance), self.dtype)

    def forward(self, x: Array, training: bool = False) -> Array:
        y = np.subtract(x, self._mean, out=self.workspace("y", x.shape))
        return np.multiply(y, self._inverse_deviation, out=y)

    def backward(self, dy: Array) -> Array:
        return dy * self._inverse_deviation

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "variance": self.variance.tolist()}


# --- layers that behave differently in training ---------------------------------------------------


class Dropout(Layer):
    """In training a random fraction `rate` of the inputs becomes 0 and the others grow by
    1 / (1 - rate), so that their sum stays the same on average; otherwise y = x.

    No unit can rely on another one, so each learns something of its own (Srivastava et al. 2014).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        check(0 <= rate < 1, "a rate in [0, 1): the fraction of inputs that are dropped", rate)
        self.rate = float(rate)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.cache.mask = None
        if not training or self.rate == 0:
            return x
        n, here = global_batch(x)  # for one process, len(x) and all of them
        kept = self.rng.random((n, *x.shape[1:]), dtype=np.float32)[here] >= self.rate
        mask = self.cache.mask = self.workspace("mask", x.shape)
        np.multiply(kept, np.asarray(1 / (1 - self.rate), x.dtype), out=mask)
        return np.multiply(x, mask, out=self.workspace("y", x.shape))

    def backward(self, dy: Array) -> Array:
        mask = self.cache.mask
        return dy if mask is None else np.multiply(dy, mask, out=self.workspace("dx", dy.shape))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}


class BatchNormalization(Layer):
    """Each channel is brought to mean 0 and variance 1 over the batch (and over the positions of an
    image), then to a scale gamma and a center beta that are learned (Ioffe and Szegedy 2015).

    When it is not training, moving averages of mean and variance replace those of the batch, so
    that the prediction for one image does not depend on the others.
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 1e-3) -> None:
        super().__init__()
        check(0 <= momentum < 1, "a momentum in [0, 1)", momentum)
        # Smaller ones would be rounded to 0, or nearly, in float32.
        good = float(np.finfo(np.float32).tiny) <= epsilon < math.inf
        check(good, "an epsilon above 0", epsilon)
        self.momentum, self.epsilon = float(momentum), float(epsilon)

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        channels = input_shape[-1:]
        self.weight_shapes = {"gamma": channels, "beta": channels}
        self.buffer_shapes = {"moving_mean": channels, "moving_variance": channels}

    def initialize(self) -> None:
        self.weights["gamma"][...] = 1
        self.buffers["moving_variance"][...] = 1

    def forward(self, x: Array, training: bool = False) -> Array:
        mean, variance = self.buffers["moving_mean"], self.buffers["moving_variance"]
        cache = self.cache
        y, z = (cache.array(name, x.shape, x.dtype, like=x) for name in "yz")
        if training:
            count = x.size // x.shape[-1]  # samples, times positions of an image
            batch_mean = all_reduce_mean(_sum_per_channel(x) / count)
            np.subtract(x, batch_mean, out=z)
            # About the mean of the global batch, not of the rows here: so it can be averaged, too.
            batch_variance = all_reduce_mean(_sum_per_channel(np.square(z, out=y)) / count)
            mean += (1 - self.momentum) * (batch_mean - mean)
            variance += (1 - self.momentum) * (batch_variance - variance)
            variance = batch_variance
        else:
            np.subtract(x, mean, out=z)
        cache.training, cache.z, cache.inverse = training, z, 1 / np.sqrt(variance + self.epsilon)
        np.multiply(z, cache.inverse, out=z)
        np.multiply(z, self.weights["gamma"], out=y)
        return np.add(y, self.weights["beta"], out=y)

    def backward(self, dy: Array) -> Array | None:
        """Write z for the normalized x: y = gamma z + beta, so dgamma = sum(dy z), dbeta = sum(dy).

        In training z = (x - mean) / deviation, where mean and deviation depend on every x: a shift
        or a scaling of all x leaves z as it was. So of the gradient with respect to z, gamma dy,
        what is constant and what is proportional to z is taken out before it passes through:
        dx = gamma / deviation * (dy - mean(dy) - z mean(dy z)). Every step is in
        docs/guide/9-depth.md.
        """
        dgamma, dbeta, z = self.grads["gamma"], self.grads["beta"], self.cache.z
        dx = self.cache.array("dx", z.shape, z.dtype, like=z)
        dgamma[...] = _sum_per_channel(np.multiply(dy, z, out=dx))
        dbeta[...] = _sum_per_channel(dy)
        if not self.needs_dx:
            return None
        if self.cache.training:
            # Where processes share a batch, dy is the gradient of the mean loss of the rows here:
            # larger than that of the global batch as these are fewer. So `all_reduce_mean` makes of
            # these sums those of the global batch, and the number of values here brings them to
            # dy's scale.
            count = dy.size // dy.shape[-1]
            dbeta, dgamma = all_reduce_mean(np.stack([dbeta, dgamma])) / count
            np.multiply(z, dgamma, out=dx)
            dx += dbeta
            dy = np.subtract(dy, dx, out=dx)
        return np.multiply(dy, self.weights["gamma"] * self.cache.inverse, out=dx)

    def get_config(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "epsilon": self.epsilon}


def _sum_per_channel(x: Array) -> Array:
    """The sums over all axes but the last."""
    *others, channels = x.shape
    if x.strides[-1] > x.itemsize:
        return cast("Array", np.sum(x, axis=tuple(range(len(others)))))
    # Channels are innermost in memory. A product with ones is eight times as fast then.
    order = sorted(range(len(others)), key=lambda axis: -x.strides[axis])
    rows = x.transpose(*order, -1).reshape(-1, channels)
    return np.ones(len(rows), x.dtype) @ rows
