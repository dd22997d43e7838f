"""Layers for rows of numbers: dense, reshaping, dropout, normalization."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from digits.keras import activations, config
from digits.keras.arguments import sizes_of
from digits.keras.graph import KerasTensor
from digits.keras.layer import Layer, arguments
from digits.keras.layers.formula import Formula
from digits.keras.resizing import PLACEHOLDER
from digits.keras.serialization import get_custom_objects
from digits.nn import layers as nn
from digits.nn.layer import Layer as Core
from digits.types import Array, Shape
from digits.validation import check

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
    """An activation that digits.nn does not have."""

    def __init__(self, activation: Any) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Array, training: bool = False) -> Array:
        y, self.cache.backward = activations.activated(self.activation, x)
        return y

    def backward(self, dy: Array) -> Array:
        dx: Array = self.cache.backward(dy)
        return dx


def activation_core(activation: Any) -> Core:
    """The activation as a layer of its own."""
    known = activation in activations.IN_NN
    return nn.Activation(activation) if known else OtherActivation(activation)


def fused(activation: Any) -> tuple[str, list[Core]]:
    """The activation as an argument for a layer of digits.nn, and the layers that follow if it has
    to be one of its own. Softmax and sigmoid always are: a loss may take them in.
    """
    if activation not in activations.IN_NN or activation in ("softmax", "sigmoid"):
        return "linear", [activation_core(activation)]
    return activation, []


class InputLayer(Layer):
    """Where arrays enter a model."""

    def __init__(
        self, shape: Any = None, batch_size: Any = None, name: str | None = None, **options: Any
    ) -> None:
        if shape is None and options.get("batch_shape") is not None:
            shape = options.pop("batch_shape")[1:]
        super().__init__(name or config.new_name("input_layer"), **options)
        if shape is None:
            shape = self.declared_shape
        if shape is None:
            raise ValueError("expected the shape of one input, such as (28, 28, 1); received none")
        self.given_shape: Any = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
        """The shape as it was given; the first data tell what None stands for."""
        self.learn(sizes_of([PLACEHOLDER if size is None else size for size in self.given_shape]))
        self.waits, self.built = None in self.given_shape, True
        self.call_results = [KerasTensor(self.shape, self)]

    def learn(self, sizes: Shape) -> None:
        """Take inputs of these sizes."""
        self.waits, self.shape, self.input_sizes, self.output_sizes = False, sizes, sizes, sizes

    def sizes_for(self, shape: Shape) -> Shape:
        """The sizes of this input, if the first sample has that shape."""
        shape = (*shape, *(1,) * (len(self.given_shape) - len(shape)))
        fits = len(shape) == len(self.given_shape)
        check(fits, f"inputs of shape {(None, *self.given_shape)}", (None, *shape))
        pairs = zip(self.given_shape, shape, strict=True)
        return tuple(n if size is None else size for size, n in pairs) if self.waits else self.shape

    def get_config(self) -> dict[str, Any]:
        sizes = self.given_shape if self.waits else self.shape
        return {"batch_shape": [None, *sizes], "dtype": self.dtype, "name": self.name}


def Input(
    shape: Any = None, batch_size: Any = None, name: str | None = None, **options: Any
) -> KerasTensor:
    """The tensor with which a model begins, for samples of that shape."""
    return InputLayer(shape, batch_size, name, **options).output


class LastAxisDense(nn.Dense):
    """A dense layer for inputs (n, ..., features): the same weights for every row of numbers."""

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape[-1:])
        self.shape, self.output_shape = input_shape, (*input_shape[:-1], self.units)

    def forward(self, x: Array, training: bool = False) -> Array:
        y = super().forward(x.reshape(-1, x.shape[-1]), training)
        return y.reshape(len(x), *self.output_shape)

    def backward(self, dy: Array) -> Array | None:
        dx = super().backward(dy.reshape(-1, dy.shape[-1]))
        return None if dx is None else dx.reshape(len(dy), *self.shape)


@dataclass(kw_only=True, eq=False, repr=False)
class Weighted(Layer):
    """Arguments of layers with a kernel and a bias."""

    kernel_initializer: Any = "glorot_uniform"
    bias_initializer: Any = "zeros"
    kernel_regularizer: Any = None
    bias_regularizer: Any = None


@dataclass(kw_only=True, eq=False, repr=False)
class Scaled(Layer):
    """Arguments of layers with a learned scale, gamma, and center, beta."""

    center: bool = True
    scale: bool = True
    beta_initializer: Any = "zeros"
    gamma_initializer: Any = "ones"
    beta_regularizer: Any = None
    gamma_regularizer: Any = None


@arguments(**KERAS_1)
class Dense(Weighted):
    """y = activation(x W + b): every output is fed by every input."""

    units: int
    activation: Any = None
    use_bias: bool = True

    def make(self, shape: Shape) -> list[Core]:
        activation, more = fused(self.activation)
        kind = nn.Dense if len(shape) == 1 else LastAxisDense
        return [kind(self.units, activation, self.use_bias), *more]


@arguments()
class Flatten(Layer):
    """Each sample as one row of numbers."""

    data_format: str | None = None

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Flatten()]


@arguments(dims="target_shape")
class Reshape(Layer):
    """The same numbers in another shape; one size may be -1."""

    target_shape: Any

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Reshape(tuple(self.target_shape))]


@arguments()
class Permute(Formula):
    """The axes in another order, counted from 1: Permute((2, 1)) turns (28, 14) into (14, 28)."""

    dims: Any

    def call(self, inputs: Any, training: Any = None) -> Any:
        return np.transpose(inputs, (0, *self.dims))


@arguments(p="rate")
class Dropout(Layer):
    """In training a random fraction `rate` of the inputs becomes 0 (Srivastava et al. 2014)."""

    rate: float
    seed: Any = None

    def make(self, shape: Shape) -> list[Core]:
        return [nn.Dropout(self.rate)]


class MoveAxis(Core):
    """One axis at another position."""

    def __init__(self, source: int, target: int) -> None:
        super().__init__()
        self.source, self.target = source, target

    def build(self, input_shape: Shape) -> None:
        super().build(input_shape)
        self.output_shape = self.forward(np.empty((0, *input_shape))).shape[1:]

    def forward(self, x: Array, training: bool = False) -> Array:
        return np.moveaxis(x, self.source, self.target)

    def backward(self, dy: Array) -> Array:
        return np.moveaxis(dy, self.target, self.source)


@arguments(mode=None, gamma_init="gamma_initializer", beta_init="beta_initializer")
class BatchNormalization(Scaled):
    """Each channel brought to mean 0 and variance 1, then to a learned scale and center (Ioffe and
    Szegedy 2015).
    """

    axis: Any = -1
    momentum: float = 0.99
    epsilon: float = 1e-3
    moving_mean_initializer: Any = "zeros"
    moving_variance_initializer: Any = "ones"

    def make(self, shape: Shape) -> list[Core]:
        self.unused = ("gamma",) * (not self.scale) + ("beta",) * (not self.center)
        axis = self.axis[0] if isinstance(self.axis, list | tuple) else self.axis
        core = nn.BatchNormalization(self.momentum, self.epsilon)
        if axis in (-1, len(shape)):
            return [core]
        return [MoveAxis(axis, -1), core, MoveAxis(-1, axis)]

    def forward(self, x: Array, training: bool) -> Array:
        return super().forward(x, training and self.trainable)  # a frozen one learns no averages


@arguments(output_shape=None, mask=None)
class Lambda(Formula):
    """A function of one's own, of one tensor or of a list of them. It is recorded, so that it has a
    gradient.

    A file holds the name of the function alone; who reads it passes custom_objects={"name": f}.
    """

    function: Any
    arguments: Any = None

    def call(self, inputs: Any, training: Any = None) -> Any:
        return self.function(inputs, **self.arguments or {})

    def get_config(self) -> dict[str, Any]:
        name, advice = getattr(self.function, "__name__", "<lambda>"), "define it with def"
        check(name.isidentifier(), "a Lambda of a function with a name, for a file", name, advice)
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any], **_: Any) -> Any:
        name = config["function"]
        function = get_custom_objects().get(name) if isinstance(name, str) else None
        advice = "pass custom_objects={'name of the function': function}"
        check(function is not None, "the function of a Lambda", name, advice)
        return cls(**config | {"function": function})
