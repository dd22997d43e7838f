"""Layers: the parts that a network is stacked from.  A layer turns a batch x into y, and on the way
back the slope of the loss by y, called dy, into the slopes by its weights and by x.

Names and arguments are those of Keras.  Arrays have the samples first and the channels last:
(n, features) or (n, height, width, channels).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

import functions
from digits.compute.distributed import all_reduce_mean, global_batch
from digits.compute.threads import matmul
from digits.nn.initializers import Initializer, get_initializer
from digits.types import Array, Shape
from digits.validation import check, positive_int

# --- activations ----------------------------------------------------------------------------------
# The slope of each of these functions can be told from its output y alone, so a layer need not
# remember its input: "name": (x -> y, (dy, y) -> dx).

ACTIVATIONS: dict[str, tuple[Callable[[Array], Array], Callable[[Array, Array], Array]]] = {
    "linear": (lambda x: x, lambda dy, y: dy),
    "sigmoid": (functions.sigmoid, lambda dy, y: dy * y * (1 - y)),
    "tanh": (functions.tanh, lambda dy, y: dy * (1 - y * y)),
    # With y = a tanh(b x): y' = a b (1 - tanh^2) = b (a - y^2 / a).
    "scaled_tanh": (
        functions.scaled_tanh,
        lambda dy, y: dy * ((2 / 3) * (1.7159 - y * y * (1 / 1.7159))),
    ),
    "relu": (functions.relu, lambda dy, y: dy * (y > 0)),
    "leaky_relu": (functions.leaky_relu, lambda dy, y: np.where(y > 0, dy, 0.2 * dy)),
    # Where x < 0, y = exp(x) - 1, whose slope exp(x) is y + 1.
    "elu": (functions.elu, lambda dy, y: np.where(y > 0, dy, dy * (y + 1))),
    "softmax": (  # as derived in functions.softmax_grad
        functions.softmax,
        lambda dy, y: y * (dy - np.sum(dy * y, axis=-1, keepdims=True)),
    ),
}


def activation_name(activation: str | Callable[..., Array] | None) -> str:
    """The name of an activation given by name, as a function of `functions`, or as None."""
    name = "linear" if activation is None else getattr(activation, "__name__", activation)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(
            f"expected an activation among {', '.join(ACTIVATIONS)}; received {activation!r}"
        )
    return name


def activate(activation: str, x: Array) -> None:
    """Turn x into y, in place."""
    if activation == "relu":  # that of most layers: as functions.relu, without an array for y
        np.maximum(x, np.zeros_like(x), out=x)
    elif activation != "linear":
        x[...] = ACTIVATIONS[activation][0](x)


def activation_backward(activation: str, dy: Array, y: Array, out: Array) -> None:
    """Write dx into `out`, an array as large as dy and y."""
    if activation == "relu":
        np.multiply(dy, y > 0, out=out)
    else:
        out[...] = ACTIVATIONS[activation][1](dy, y)


# --- what all layers share ------------------------------------------------------------------------


class Layer:
    """A layer lives in three steps: it is described (`__init__`), told the shape of its inputs
    (`build`), and given its arrays (`bind`).  Then it can go forward and backward.

    `weight_shapes` names what training fits, `buffer_shapes` what it merely gathers.
    """

    shares_work = False
    """Whether the layer does its work in the threads of `digits.compute.threads`."""

    def __init__(self) -> None:
        self.input_shape: Shape = ()
        self.output_shape: Shape = ()
        self.weight_shapes: dict[str, Shape] = {}
        self.buffer_shapes: dict[str, Shape] = {}
        self.needs_dx = True
        """False for the first layer with weights: nobody asks for the slope by the pixels."""

    def build(self, input_shape: Shape) -> None:
        """Learn the shape of one input, find that of one output and of the weights.

        Raises ValueError if the layer cannot take such inputs.
        """
        self.input_shape = self.output_shape = input_shape

    def bind(
        self,
        weights: dict[str, Array],
        grads: dict[str, Array],
        buffers: dict[str, Array],
        rng: np.random.Generator,
        dtype: DTypeLike,
    ) -> None:
        """Receive the arrays, views of the network's own, and the source of noise."""
        self.weights, self.grads, self.buffers = weights, grads, buffers
        self.rng, self.dtype = rng, dtype

    def require_free(self) -> None:
        """Raise ValueError if the layer has its arrays already, from another network."""
        if hasattr(self, "weights"):
            raise ValueError(
                f"this {type(self).__name__} is part of another network: make a new one"
            )

    def initialize(self) -> None:
        """Fill weights and state with their first values."""

    def forward(self, x: Array, training: bool = False) -> Array:
        """y from x; remembers what `backward` will need.  x is never changed."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array | None:
        """dx from dy, for the latest `forward`; fills `grads`.  None if not `needs_dx`."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The arguments that build this layer again, as plain values."""
        return {}

    def _expect_rank(self, rank: int, meaning: str, advice: str) -> None:
        if len(self.input_shape) != rank:
            raise ValueError(
                f"{type(self).__name__} expected inputs of shape {meaning}; "
                f"received {self.input_shape}: {advice}"
            )


# --- dense layers ---------------------------------------------------------------------------------


class Dense(Layer):
    """y = activation(x W + b): every output is fed by every input.

    Inputs (n, features), outputs (n, units); W (features, units), b (units,).
    """

    def __init__(
        self,
        units: int,
        activation: str | Callable[..., Array] | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Initializer = "glorot_uniform",
        bias_initializer: str | Initializer = "zeros",
    ) -> None:
        super().__init__()
        self.units, self.use_bias = positive_int(units, "units"), use_bias
        self.activation = activation_name(activation)
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
        fan_in, fan_out = self.weights["W"].shape
        self.weights["W"][...] = self.kernel_initializer(
            (fan_in, fan_out), fan_in, fan_out, self.rng
        )
        if self.use_bias:
            self.weights["b"][...] = self.bias_initializer((fan_out,), fan_in, fan_out, self.rng)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x
        a = matmul(x, self.weights["W"])  # (n, features) @ (features, units)
        if self.use_bias:
            a += self.weights["b"]
        activate(self.activation, a)
        self.y = a
        return self.y

    def backward(self, dy: Array) -> Array | None:
        """With a = x W + b and da the slope by a: the weight W_ij adds x_i W_ij to a_j in every
        sample, so dW_ij is the sum of x_i da_j over the samples, dW = x^T da; b is the weight of an
        input that is always 1, so db = 1^T da; the input x_i adds x_i W_ij to every a_j, so dx_i is
        the sum of da_j W_ij over the units, dx = da W^T.
        """
        da = ACTIVATIONS[self.activation][1](dy, self.y)
        matmul(self.x.T, da, out=self.grads["W"])  # (features, n) @ (n, units)
        if self.use_bias:  # (n,) @ (n, units): quicker than np.sum over the samples
            np.matmul(np.ones(len(da), da.dtype), da, out=self.grads["b"])
        if not self.needs_dx:
            return None
        # The transposed product, dx^T = W da^T, is quicker than da W^T: both of its factors lie in
        # memory row after row.  (features, units) @ (units, n)
        return matmul(self.weights["W"], np.ascontiguousarray(da.T)).T

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "activation": self.activation, "use_bias": self.use_bias}


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
        self.x = x
        a = matmul(x, self.weights["W"]) + self.weights["b"]
        a = a.reshape(len(x), self.units, self.pieces)
        self.winner = np.argmax(a, axis=2)[:, :, np.newaxis]  # (n, units, 1), each a piece's number
        return np.take_along_axis(a, self.winner, axis=2)[:, :, 0]

    def backward(self, dy: Array) -> Array | None:
        """Only the winning piece reached the loss, so only it has a slope."""
        da = np.zeros((*dy.shape, self.pieces), dy.dtype)
        np.put_along_axis(da, self.winner, dy[:, :, np.newaxis], axis=2)
        da = da.reshape(len(dy), -1)  # (n, units * pieces)
        matmul(self.x.T, da, out=self.grads["W"])
        np.sum(da, axis=0, out=self.grads["b"])
        return matmul(da, self.weights["W"].T) if self.needs_dx else None

    def get_config(self) -> dict[str, Any]:
        return {"units": self.units, "pieces": self.pieces}


# --- layers without weights -----------------------------------------------------------------------


class Activation(Layer):
    """y = f(x), element by element (softmax: along the last axis)."""

    def __init__(self, activation: str | Callable[..., Array]) -> None:
        super().__init__()
        self.activation = activation_name(activation)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.y = ACTIVATIONS[self.activation][0](x)
        return self.y

    def backward(self, dy: Array) -> Array:
        return ACTIVATIONS[self.activation][1](dy, self.y)

    def get_config(self) -> dict[str, Any]:
        return {"activation": self.activation}


class Reshape(Layer):
    """The same numbers in another shape: Reshape((28, 28, 1)) makes an image of 784 pixels.

    One number may be -1: it follows from the others.
    """

    def __init__(self, target_shape: Sequence[int]) -> None:
        super().__init__()
        self.target_shape = tuple(
            d if d == -1 else positive_int(d, "a dimension") for d in target_shape
        )
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
    """y = (x - mean) / sqrt(variance), with numbers that were found on the training images: one for
    all features, one for each, or one for each channel of images.
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

    def forward(self, x: Array, training: bool = False) -> Array:
        return (x - self.mean.astype(x.dtype)) * self._slope(x)

    def backward(self, dy: Array) -> Array:
        return dy * self._slope(dy)

    def _slope(self, x: Array) -> Array:
        return np.asarray(1 / np.sqrt(self.variance), x.dtype)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean.tolist(), "variance": self.variance.tolist()}


# --- layers that behave otherwise in training -----------------------------------------------------


class Dropout(Layer):
    """In training a random share `rate` of the inputs becomes 0 and the others grow by
    1 / (1 - rate), so that their sum stays the same on average; otherwise y = x.

    No unit can rely on another one, so each learns something of its own (Srivastava et al. 2014).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        check(0 <= rate < 1, "a rate in [0, 1): the share of inputs that are dropped", rate)
        self.rate = float(rate)

    def forward(self, x: Array, training: bool = False) -> Array:
        self.mask: Array | None = None
        if not training or self.rate == 0:
            return x
        n, here = global_batch(x)  # for one process, len(x) and all of them
        kept = self.rng.random((n, *x.shape[1:]), dtype=np.float32)[here] >= self.rate
        self.mask = kept.astype(x.dtype) * (1 / (1 - self.rate))
        return x * self.mask

    def backward(self, dy: Array) -> Array:
        return dy if self.mask is None else dy * self.mask

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate}


class BatchNormalization(Layer):
    """Each channel is brought to mean 0 and variance 1 over the batch (and over the positions of an
    image), then to a scale gamma and a centre beta that are learned (Ioffe and Szegedy 2015).

    When it is not training, moving averages of mean and variance stand in for those of the batch,
    so that the answer to one image does not depend on the others.
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
        self.training = training
        mean, variance = self.buffers["moving_mean"], self.buffers["moving_variance"]
        if training:
            others = tuple(range(x.ndim - 1))  # samples, and positions of an image
            batch_mean = all_reduce_mean(np.mean(x, axis=others))
            # About the mean of the whole batch, not of the rows here: so it can be averaged, too.
            batch_variance = all_reduce_mean(np.var(x, axis=others, mean=batch_mean))
            mean += (1 - self.momentum) * (batch_mean - mean)
            variance += (1 - self.momentum) * (batch_variance - variance)
            mean, variance = batch_mean, batch_variance
        self.inverse = 1 / np.sqrt(variance + self.epsilon)
        self.z = (x - mean) * self.inverse
        return self.z * self.weights["gamma"] + self.weights["beta"]

    def backward(self, dy: Array) -> Array | None:
        """Write z for the normalized x: y = gamma z + beta, so dgamma = sum(dy z), dbeta = sum(dy).

        In training z = (x - mean) / deviation, where mean and deviation depend on every x: raising
        them all, or stretching them all, leaves z as it was.  So of the slope by z, gamma dy, what
        is constant and what is proportional to z is taken out before it passes through:
        dx = gamma / deviation * (dy - mean(dy) - z mean(dy z)).  Every step is in
        docs/guide/9-depth.md.
        """
        dgamma, dbeta = self.grads["gamma"], self.grads["beta"]
        others = tuple(range(dy.ndim - 1))
        np.sum(dy * self.z, axis=others, out=dgamma)
        np.sum(dy, axis=others, out=dbeta)
        if not self.needs_dx:
            return None
        if self.training:
            # Where ranks share a batch, dy is the slope of the mean loss of the rows here: larger
            # than that of the whole batch as these are fewer.  So `average` makes of these sums
            # those of the whole batch, and the number of values here brings them to dy's scale.
            dbeta, dgamma = all_reduce_mean(np.stack([dbeta, dgamma]))
            dy = dy - (dbeta + self.z * dgamma) / math.prod(dy.shape[:-1])
        return dy * (self.weights["gamma"] * self.inverse)

    def get_config(self) -> dict[str, Any]:
        return {"momentum": self.momentum, "epsilon": self.epsilon}
