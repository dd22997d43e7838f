"""Activation functions under Keras' names, for arrays and for the tensors of a model."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import functions
from digits.keras.graph import KerasTensor
from digits.keras.legacy import renamed
from digits.keras.lookup import look_up
from digits.keras.serialization import get_custom_objects
from digits.keras.tape import recorded
from digits.keras.tensor import Tensor, record, tensor
from digits.nn.activations import ACTIVATIONS
from digits.types import Array
from digits.validation import check

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""With these, means of 0 and variances of 1 stay so from layer to layer (Klambauer et al. 2017)."""

IN_NN = ("linear", "relu", "sigmoid", "tanh", "softmax", "elu", "leaky_relu")
"""Activations of digits.nn under the same name and with the same constants."""
MORE = (
    *("selu", "gelu", "silu", "softplus", "softsign", "mish", "exponential", "hard_sigmoid"),
    *("hard_silu", "relu6", "log_softmax"),
)
"""Activations beyond those of digits.nn, as formulas on tensors."""


def _of_floats(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function of a tensor of floats: of a tensor of a model, it is a layer."""

    @functools.wraps(function)
    def call(x: Any, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        if isinstance(x, KerasTensor):
            if args or kwargs:
                return look_up("dispatch.between")(call, (x, *args), kwargs)
            return look_up("layers.Activation")(function.__name__)(x)
        return function(_floats(x), *args, **kwargs)

    return call


def _floats(x: Any) -> Tensor:
    x = tensor(x)
    return x if x.dtype.kind == "f" else tensor(x, np.float32)


def linear(x: Any) -> Any:
    """x itself."""
    return x


def _in_nn(name: str, x: Tensor) -> Tensor:
    """An activation of digits.nn, recorded."""
    y = ACTIVATIONS[name].function(x.array)
    return record(y, [x], lambda dy: [ACTIVATIONS[name].backward(dy, y)])


@_of_floats
def sigmoid(x: Any) -> Any:
    return _in_nn("sigmoid", x)


@_of_floats
def tanh(x: Any) -> Any:
    return _in_nn("tanh", x)


def softmax(x: Any = None, axis: int = -1, logits: Any = None, name: str | None = None) -> Any:
    """Probabilities from logits, along an axis."""
    x = logits if x is None else x
    if isinstance(x, KerasTensor):
        if axis in (-1, len(x.shape) - 1):
            return look_up("layers.Activation")("softmax")(x)
        return look_up("dispatch.between")(softmax, (x, axis))
    return np.moveaxis(_in_nn("softmax", np.moveaxis(_floats(x), axis, -1)), -1, axis)


@renamed(alpha="negative_slope")
@_of_floats
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """max(x, 0); with a slope below the threshold, and a greatest value."""
    below = negative_slope * (x - threshold) if negative_slope else 0
    y = np.where(x > threshold, x, below)
    return tensor(y if max_value is None else np.minimum(y, max_value), x.dtype)


@renamed(alpha="negative_slope", features="x")
@_of_floats
def leaky_relu(x: Any, negative_slope: float = functions.LEAKY_SLOPE) -> Any:
    """x where x > 0, else negative_slope x."""
    one, slope = x.dtype.type(1), x.dtype.type(negative_slope)
    return x * np.where(x.array > 0, one, slope)


@_of_floats
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where x > 0, else alpha (exp(x) - 1)."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


@_of_floats
def selu(x: Any) -> Any:
    """An ELU with constants that keep mean 0 and variance 1."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


@_of_floats
def erf(x: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    y = np.frompyfunc(math.erf, 1, 1)(x.array).astype(x.dtype)
    return record(y, [x], lambda dy: [dy * 2 / math.sqrt(math.pi) * np.exp(-x.array * x.array)])


@_of_floats
def gelu(x: Any) -> Any:
    """x times the fraction of a normal distribution below x (Hendrycks and Gimpel 2016)."""
    return x * (0.5 + 0.5 * erf(x / math.sqrt(2)))


@_of_floats
def silu(x: Any) -> Any:
    """x sigmoid(x)."""
    return x * sigmoid(x)


@_of_floats
def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    return np.logaddexp(x, 0)


@_of_floats
def softsign(x: Any) -> Any:
    """x / (1 + |x|)."""
    return x / (1 + np.abs(x))


@_of_floats
def mish(x: Any) -> Any:
    """x tanh(softplus(x))."""
    return x * np.tanh(softplus(x))


@_of_floats
def exponential(x: Any) -> Any:
    """exp(x)."""
    return np.exp(x)


@_of_floats
def hard_sigmoid(x: Any) -> Any:
    """x / 6 + 1/2, between 0 and 1."""
    return np.clip(x / 6 + 0.5, 0, 1)


@_of_floats
def hard_silu(x: Any) -> Any:
    """x hard_sigmoid(x)."""
    return x * hard_sigmoid(x)


@_of_floats
def relu6(x: Any) -> Any:
    """x, between 0 and 6."""
    return relu(x, max_value=6)


@_of_floats
def log_softmax(x: Any) -> Any:
    """The logarithm of softmax(x), along the last axis."""
    x = x - np.max(np.asarray(x), axis=-1, keepdims=True)
    return x - np.log(np.sum(np.exp(x), axis=-1, keepdims=True))


swish, hard_swish = silu, hard_silu


class Name(str):
    """The name of an activation, which can be called as the function: scripts do either."""

    __slots__ = ()

    @property
    def __name__(self) -> str:
        return str(self)

    def __call__(self, x: Any) -> Any:
        return get(self)(x)


def name_of(activation: Any) -> Any:
    """The name of an activation given by name, as a function, as a layer, or as None; a layer with
    arguments, or a function of one's own, as it is.
    """
    if isinstance(activation, dict):
        kind, config = activation.get("class_name"), activation.get("config")
        if not isinstance(config, dict):
            return name_of(config or kind)
        activation = look_up(f"layers.{kind}")(**config)
    kind = type(activation).__name__
    if hasattr(activation, "cores") and kind in ("Activation", "Softmax"):
        return getattr(activation, "activation", "softmax")
    given = "linear" if activation is None else getattr(activation, "__name__", activation)
    name = {"swish": "silu", "hard_swish": "hard_silu"}.get(str(given).lower(), str(given).lower())
    ours = str(getattr(activation, "__module__", "digits")).startswith(
        ("digits", "functions", "numpy")
    )
    if (name in IN_NN or name in MORE) and (ours or not callable(activation)):
        return Name(name)
    activation = get_custom_objects().get(given if isinstance(given, str) else "", activation)
    names = ", ".join((*IN_NN, *MORE))
    check(callable(activation), f"an activation among {names}, or a function", activation)
    return activation


def activated(activation: Any, x: Array) -> tuple[Array, Callable[[Array], Any]]:
    """y = activation(x), and its gradient function, from dy to dx."""
    if activation in IN_NN:
        known = ACTIVATIONS[activation]
        y = known.function(x)
        return y, lambda dy: known.backward(dy, y)
    made, backward = recorded(get(activation), x)
    return np.asarray(made, x.dtype), backward


def get(identifier: Any) -> Callable[..., Any]:
    """The function of that name."""
    name = name_of(identifier)
    return globals()[name] if isinstance(name, str) else name


serialize, deserialize = name_of, get
