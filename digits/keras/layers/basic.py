"""Layers for rows of numbers, and layers that do the same to every number."""

from typing import Any

import numpy as np

from digits.keras import activations, config
from digits.keras.graph import KerasTensor
from digits.keras.layer import Layer, resolve, sizes_of
from digits.keras.legacy import note, renamed
from digits.nn import layers as nn
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape

KERAS_1 = {
    "output_dim": "units",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "bias": "use_bias",
}
"""What Keras 1 called the arguments of layers with weights."""


class OtherActivation(Core):
    """An activation that digits.nn does not have: y = f(x), element by element."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.function, self.gradient = activations.MORE[activation]

    def forward(self, x: Array, training: bool = False) -> Array:
        self.x = x.copy()
        return self.function(x)

    def backward(self, dy: Array) -> Array:
        return self.gradient(self.x, dy)


def fused(activation: str) -> tuple[str, list[Core]]:
    """The activation as an argument for a layer of digits.nn, and the layers that follow if it has
    to be one of its own. Softmax and sigmoid always are: a loss may take them in.
    """
    if activation in activations.MORE:
        return "linear", [OtherActivation(activation)]
    if activation in ("softmax", "sigmoid"):
        return "linear", [nn.Activation(activation)]
    return activation, []


class LastAxisDense(nn.Dense):
    """A dense layer for inputs (n, ..., features): the same weights for every row of numbers."""

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape[-1:])
        self.input_shape, self.output_shape = input_shape, (*input_shape[:-1], self.units)

    def forward(self, x: Array, training: bool = False) -> Array:
        y = super().forward(x.reshape(-1, x.shape[-1]), training)
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy: Array) -> Array | None:
        dx = super().backward(dy.reshape(-1, dy.shape[-1]))
        return None if dx is None else dx.reshape(len(dy), *self.input_shape)


class InputLayer(Layer):
    """Where arrays enter a model."""

    def __init__(
        self, shape: Any = None, batch_size: Any = None, name: str | None = None, **options: Any
    ) -> None:
        super().__init__(name or config.new_name("input_layer"), **options)
        if shape is None and self.declared_shape is None:
            raise ValueError("expected the shape of one input, such as (28, 28, 1); received none")
        self.shape = sizes_of(shape) if shape is not None else self.declared_shape or ()
        self.built, self.input_sizes, self.output_sizes = True, self.shape, self.shape
        self.calls = [KerasTensor(self.shape, self)]

    def get_config(self) -> dict[str, Any]:
        return {"batch_shape": [None, *self.shape], "dtype": self.dtype, "name": self.name}


def Input(
    shape: Any = None, batch_size: Any = None, name: str | None = None, **options: Any
) -> KerasTensor:
    """The tensor with which a model begins, for samples of that shape."""
    return InputLayer(shape, batch_size, name, **options).output


class Dense(Layer):
    """y = activation(x W + b): every output is fed by every input."""

    @renamed(**KERAS_1)
    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units, self.use_bias = int(units), use_bias
        resolve(self, activation=activation)
        resolve(self, kernel_initializer=kernel_initializer, bias_initializer=bias_initializer)
        resolve(self, kernel_regularizer=kernel_regularizer, bias_regularizer=bias_regularizer)

    def make(self, shape: Shape) -> list[Core]:
        activation, more = fused(self.activation)
        kind = nn.Dense if len(shape) == 1 else LastAxisDense
        return [kind(self.units, activation, self.use_bias), *more]


class Activation(Layer):
    """y = f(x), element by element (softmax: along the last axis)."""

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        resolve(self, activation=activation)

    def make(self, shape: Shape) -> list[Core]:
        if self.activation in activations.MORE:
            return [OtherActivation(self.activation)]
        return [nn.Activation(self.activation)]


class Softmax(Layer):
    """Probabilities from logits, along the last axis."""

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = axis

    def make(self, shape: Shape) -> list[Core]:
        if self.axis not in (-1, len(shape)):
            raise ValueError(f"expected axis=-1, the last; received {self.axis}: use Permute first")
        return [nn.Activation("softmax")]


class ReLU(Layer):
    """max(x, 0), with a slope for x below the threshold and a greatest value."""

    @renamed(alpha="negative_slope")
    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope = max_value, float(negative_slope)
        self.threshold = float(threshold)

    def forward(self, x: Array, training: bool) -> Array:
        above = x > self.threshold
        self.slope = np.where(above, x.dtype.type(1), x.dtype.type(self.negative_slope))
        y = np.where(above, x, self.negative_slope * (x - self.threshold)).astype(x.dtype)
        if self.max_value is not None:
            self.slope *= y < self.max_value
            y = np.minimum(y, x.dtype.type(self.max_value))
        return y

    def backward(self, dy: Array) -> Array:
        return dy * self.slope


class LeakyReLU(ReLU):
    """x where x > 0, else negative_slope * x (Maas et al. 2013)."""

    @renamed(alpha="negative_slope")
    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(negative_slope=negative_slope, **options)


class ELU(Layer):
    """x where x > 0, else alpha (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = float(alpha)

    def forward(self, x: Array, training: bool) -> Array:
        below = np.exp(np.minimum(x, 0))
        self.slope = np.where(x > 0, x.dtype.type(1), self.alpha * below).astype(x.dtype)
        return np.where(x > 0, x, self.alpha * (below - 1)).astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        return dy * self.slope


class Flatten(Layer):
    """Each sample as one row of numbers."""

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Flatten()]


class Reshape(Layer):
    """The same numbers in another shape; one size may be -1."""

    @renamed(dims="target_shape")
    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Reshape(self.target_shape)]


class Permute(Layer):
    """The axes in another order, counted from 1: Permute((2, 1)) turns (28, 14) into (14, 28)."""

    def __init__(self, dims: Any, **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)

    def shape_of(self, shape: Shape) -> Shape:
        return tuple(shape[d - 1] for d in self.dims)

    def forward(self, x: Array, training: bool) -> Array:
        return x.transpose(0, *self.dims)

    def backward(self, dy: Array) -> Array:
        return dy.transpose(0, *(np.argsort(self.dims) + 1))


class Dropout(Layer):
    """In training a random share `rate` of the inputs becomes 0 (Srivastava et al. 2014)."""

    @renamed(p="rate")
    def __init__(self, rate: float, seed: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.seed = float(rate), seed

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Dropout(self.rate)]


class BatchNormalization(Layer):
    """Each channel brought to mean 0 and variance 1, then to a learned scale and center (Ioffe and
    Szegedy 2015).
    """

    @renamed(mode=None, gamma_init="gamma_initializer", beta_init="beta_initializer")
    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self.center, self.scale = center, scale
        self.unused = ("gamma",) * (not scale) + ("beta",) * (not center)
        resolve(self, beta_initializer=beta_initializer, gamma_initializer=gamma_initializer)
        resolve(self, moving_mean_initializer=moving_mean_initializer)
        resolve(self, moving_variance_initializer=moving_variance_initializer)
        resolve(self, beta_regularizer=beta_regularizer, gamma_regularizer=gamma_regularizer)

    def make(self, shape: Shape) -> list[Core]:
        axis = self.axis[0] if isinstance(self.axis, list | tuple) else self.axis
        around: list[list[Core]] = [[], []]
        if axis not in (-1, len(shape)):
            around = [[MoveAxis(axis, -1)], [MoveAxis(-1, axis)]]
        return [*around[0], nn.BatchNormalization(self.momentum, self.epsilon), *around[1]]

    def forward(self, x: Array, training: bool) -> Array:
        return super().forward(x, training and self.trainable)  # a frozen one learns no averages


class MoveAxis(Core):
    """One axis at another position."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.source, self.target = source, target

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.output_shape = np.moveaxis(
            np.empty((0, *input_shape)), self.source, self.target
        ).shape[1:]

    def forward(self, x: Array, training: bool = False) -> Array:
        return np.moveaxis(x, self.source, self.target)

    def backward(self, dy: Array) -> Array:
        return np.moveaxis(dy, self.target, self.source)


class Lambda(Layer):
    """A function of one's own, NumPy in and NumPy out. It has no derivative, so no layer before it
    can be trained.
    """

    def __init__(self, function: Any, output_shape: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.function = function
        note(f"{self.name}: layers before a Lambda are not trained, as it has no derivative here")

    def shape_of(self, shape: Shape) -> Shape:
        return np.asarray(self.function(np.zeros((1, *shape), self.dtype))).shape[1:]

    def forward(self, x: Array, training: bool) -> Array:
        return np.asarray(self.function(x), self.dtype)

    def backward(self, dy: Array) -> None:
        return None

    def get_config(self) -> dict[str, Any]:
        raise ValueError("a Lambda cannot be written to a file: use layers that have names")
