"""Activation functions under Keras' names, for arrays and for the tensors of a model."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import functions
from digits.keras.graph import KerasTensor, apply_activation
from digits.keras.legacy import renamed
from digits.keras.lookup import look_up
from digits.keras.serialization import get_custom_objects
from digits.keras.tape import GradientTape
from digits.keras.tensor import Tensor, paused, record, tensor
from digits.nn.activations import ACTIVATIONS, softmax_backward
from digits.types import Array
from digits.validation import check

# --- formulas that digits.nn has no need of: y, and the derivative of y with respect to x ---------

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""With these, means of 0 and variances of 1 stay so from layer to layer (Klambauer et al. 2017)."""


def _selu(x: Array) -> tuple[Array, Array]:
    below = SELU_SCALE * SELU_ALPHA * np.exp(np.minimum(x, 0))
    return SELU_SCALE * functions.elu(x, SELU_ALPHA), np.where(x > 0, SELU_SCALE, below)


def _gelu(x: Array) -> tuple[Array, Array]:
    """x times the fraction of a normal distribution below x (Hendrycks and Gimpel 2016)."""
    below = 0.5 + 0.5 * np.asarray(np.frompyfunc(math.erf, 1, 1)(x / math.sqrt(2)), x.dtype)
    return x * below, below + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def _silu(x: Array) -> tuple[Array, Array]:
    s = functions.sigmoid(x)
    return x * s, s + x * s * (1 - s)


def _softplus(x: Array) -> tuple[Array, Array]:
    return np.logaddexp(x, np.zeros_like(x)), functions.sigmoid(x)


def _softsign(x: Array) -> tuple[Array, Array]:
    return x / (1 + np.abs(x)), 1 / (1 + np.abs(x)) ** 2


def _mish(x: Array) -> tuple[Array, Array]:
    y, derivative = _softplus(x)
    t = np.tanh(y)
    return x * t, t + x * (1 - t * t) * derivative


def _exponential(x: Array) -> tuple[Array, Array]:
    return np.exp(x), np.exp(x)


def _hard_sigmoid(x: Array) -> tuple[Array, Array]:
    return np.clip(x / 6 + 0.5, 0, 1), (np.abs(x) < 3) / x.dtype.type(6)


def _hard_silu(x: Array) -> tuple[Array, Array]:
    y, derivative = _hard_sigmoid(x)
    return x * y, y + x * derivative


def _relu6(x: Array) -> tuple[Array, Array]:
    return np.clip(x, 0, 6), (x > 0) & (x < 6)


def _log_softmax(x: Array) -> tuple[Array, Callable[[Array], Array]]:
    """As y_i = x_i - log(sum(exp(x))), dx = dy - softmax(x) sum(dy)."""
    x = x - x.max(axis=-1, keepdims=True)
    y = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return y, lambda dy: dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


MORE: dict[str, Callable[[Array], tuple[Array, Any]]] = {
    "selu": _selu,
    "gelu": _gelu,
    "silu": _silu,
    "softplus": _softplus,
    "softsign": _softsign,
    "mish": _mish,
    "exponential": _exponential,
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": _hard_silu,
    "relu6": _relu6,
    "log_softmax": _log_softmax,
}
"""Activations beyond those of digits.nn: y and its derivative, or what gives dx from dy."""

IN_NN = ("linear", "relu", "sigmoid", "tanh", "softmax", "elu", "leaky_relu")
"""Activations of digits.nn under the same name and with the same constants."""


# --- the functions that scripts call --------------------------------------------------------------


def _public(name: str) -> Callable[..., Any]:
    """The function of that name, which gives a tensor for an array or for a tensor of a model."""

    def call(x: Any, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        kind = call.__name__
        if isinstance(x, KerasTensor):
            if args or kwargs:
                return look_up("dispatch.between")(call, (x, *args), kwargs)
            return apply_activation(kind, x)
        x = _floats(x)
        if kind in MORE:
            y, way_back = MORE[kind](x.array)
            return record(
                y, [x], lambda dy: [way_back(dy) if callable(way_back) else dy * way_back]
            )
        y = getattr(functions, kind)(x.array)
        return record(y, [x], lambda dy: [ACTIVATIONS[kind].backward(dy, y)])

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{name}(x), number by number."
    return call


def _floats(x: Any) -> Tensor:
    x = tensor(x)
    return x if x.dtype.kind == "f" else tensor(x, np.float32)


def linear(x: Any) -> Any:
    """x itself."""
    return x


def softmax(x: Any = None, axis: int = -1, logits: Any = None, name: str | None = None) -> Any:
    """Probabilities from logits, along an axis."""
    x = logits if x is None else x
    if isinstance(x, KerasTensor):
        if axis in (-1, len(x.shape) - 1):
            return apply_activation("softmax", x)
        return look_up("dispatch.between")(softmax, (x, axis))
    x = np.moveaxis(_floats(x), axis, -1)
    y = functions.softmax(np.asarray(x))
    return np.moveaxis(record(y, [x], lambda dy: [softmax_backward(dy, y)]), -1, axis)


@renamed(alpha="negative_slope")
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """max(x, 0); with a slope below the threshold, and a greatest value."""
    if isinstance(x, KerasTensor):
        if not negative_slope and max_value is None and not threshold:
            return apply_activation("relu", x)
        return look_up("dispatch.between")(relu, (x, negative_slope, max_value, threshold))
    x = tensor(x)
    y = np.where(x > threshold, x, negative_slope * (x - threshold))
    return tensor(y if max_value is None else np.minimum(y, max_value), x.dtype)


@renamed(alpha="negative_slope", features="x")
def leaky_relu(x: Any, negative_slope: float = functions.LEAKY_SLOPE, name: Any = None) -> Any:
    """x where x > 0, else negative_slope x."""
    if isinstance(x, KerasTensor) and negative_slope == functions.LEAKY_SLOPE:
        return apply_activation("leaky_relu", x)
    return relu(x, negative_slope)


def elu(x: Any, alpha: float = 1.0, name: Any = None) -> Any:
    """x where x > 0, else alpha (exp(x) - 1)."""
    if isinstance(x, KerasTensor):
        return (
            apply_activation("elu", x)
            if alpha == 1
            else look_up("dispatch.between")(elu, (x, alpha))
        )
    x = _floats(x)
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


sigmoid, tanh = map(_public, ("sigmoid", "tanh"))
selu, gelu, softplus, softsign = map(_public, ("selu", "gelu", "softplus", "softsign"))
mish, exponential, relu6 = map(_public, ("mish", "exponential", "relu6"))
hard_sigmoid, log_softmax = _public("hard_sigmoid"), _public("log_softmax")
silu = swish = _public("silu")
hard_silu = hard_swish = _public("hard_silu")


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
    if hasattr(activation, "elements") and kind in ("Activation", "Softmax"):
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


def elements_of(activation: Any) -> Callable[[Array], tuple[Array, Any]]:
    """What gives y and its derivative, for an activation that digits.nn does not have."""
    if isinstance(activation, str):
        return MORE[activation]
    if hasattr(activation, "elements"):
        return activation.elements
    return functools.partial(_by_tape, activation)


def _by_tape(function: Any, x: Array) -> tuple[Array, Any]:
    """y, and what gives dx from dy, of a function of one's own."""
    given = x.view(Tensor)
    with GradientTape() as tape:
        tape.watch(given)
        y = tensor(function(given), x.dtype)

    def way_back(dy: Array) -> Array:
        with paused():
            dx: Array = tape.gradient(y, given, dy).array
        return dx

    return y.array, way_back


def get(identifier: Any) -> Callable[..., Any]:
    """The function of that name."""
    name = name_of(identifier)
    return globals()[name] if isinstance(name, str) else name


serialize, deserialize = name_of, get
