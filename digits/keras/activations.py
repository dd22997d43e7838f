"""Activation functions under Keras' names, for arrays and for the tensors of a model, with their
derivatives: `gelu_grad(x, dy)` gives dx from dy, for y = gelu(x).
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import functions
from digits.keras.graph import KerasTensor, apply_activation
from digits.keras.tensor import tensor
from digits.types import Array

Gradient = Callable[[Array, Array], Array]


def _erf(x: Array) -> Array:
    return np.asarray(np.frompyfunc(math.erf, 1, 1)(x), x.dtype)


def _sigmoid_of(x: Array) -> Array:
    return functions.sigmoid(x).astype(x.dtype, copy=False)


# --- formulas that digits.nn has no need of -------------------------------------------------------

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""With these, means of 0 and variances of 1 stay so from layer to layer (Klambauer et al. 2017)."""


def _selu(x: Array) -> Array:
    return SELU_SCALE * functions.elu(x, SELU_ALPHA)


def _selu_grad(x: Array, dy: Array) -> Array:
    return SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0))) * dy


def _gelu(x: Array) -> Array:
    """x times the share of a normal distribution below x (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _gelu_grad(x: Array, dy: Array) -> Array:
    density = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return dy * (0.5 * (1 + _erf(x / math.sqrt(2))) + x * density)


def _silu(x: Array) -> Array:
    return x * _sigmoid_of(x)


def _silu_grad(x: Array, dy: Array) -> Array:
    y = _sigmoid_of(x)
    return dy * (y + x * y * (1 - y))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.zeros_like(x))


def _softplus_grad(x: Array, dy: Array) -> Array:
    return dy * _sigmoid_of(x)


def _softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def _softsign_grad(x: Array, dy: Array) -> Array:
    return dy / (1 + np.abs(x)) ** 2


def _mish(x: Array) -> Array:
    return x * np.tanh(_softplus(x))


def _mish_grad(x: Array, dy: Array) -> Array:
    t = np.tanh(_softplus(x))
    return dy * (t + x * (1 - t * t) * _sigmoid_of(x))


def _exponential_grad(x: Array, dy: Array) -> Array:
    return dy * np.exp(x)


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x / 6 + 0.5, 0, 1)


def _hard_sigmoid_grad(x: Array, dy: Array) -> Array:
    return dy * (np.abs(x) < 3) / 6


def _hard_silu(x: Array) -> Array:
    return x * _hard_sigmoid(x)


def _hard_silu_grad(x: Array, dy: Array) -> Array:
    return dy * _hard_sigmoid(x) + _hard_sigmoid_grad(x, dy * x)


def _relu6(x: Array) -> Array:
    return np.clip(x, 0, 6)


def _relu6_grad(x: Array, dy: Array) -> Array:
    return dy * ((x > 0) & (x < 6))


def _log_softmax(x: Array) -> Array:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def _log_softmax_grad(x: Array, dy: Array) -> Array:
    """As y_i = x_i - log(sum(exp(x))), dx = dy - softmax(x) sum(dy)."""
    return dy - functions.softmax(x) * dy.sum(axis=-1, keepdims=True)


MORE: dict[str, tuple[Callable[[Array], Array], Gradient]] = {
    "selu": (_selu, _selu_grad),
    "gelu": (_gelu, _gelu_grad),
    "silu": (_silu, _silu_grad),
    "softplus": (_softplus, _softplus_grad),
    "softsign": (_softsign, _softsign_grad),
    "mish": (_mish, _mish_grad),
    "exponential": (np.exp, _exponential_grad),
    "hard_sigmoid": (_hard_sigmoid, _hard_sigmoid_grad),
    "hard_silu": (_hard_silu, _hard_silu_grad),
    "relu6": (_relu6, _relu6_grad),
    "log_softmax": (_log_softmax, _log_softmax_grad),
}
"""Activations beyond those of digits.nn: the function of x, and dx from x and dy."""

IN_NN = ("linear", "relu", "sigmoid", "tanh", "softmax", "elu", "leaky_relu")
"""Activations of digits.nn under the same name and with the same constants."""


# --- the functions that scripts call --------------------------------------------------------------


def _apply(name: str, function: Callable[..., Array], x: Any) -> Any:
    if isinstance(x, KerasTensor):
        return apply_activation(name, x)
    x = np.asarray(x)
    return tensor(function(x if x.dtype.kind == "f" else x.astype(np.float32)))


def _public(name: str, function: Callable[..., Array]) -> Callable[..., Any]:
    def call(x: Any, *args: Any, name: str | None = None, **kwargs: Any) -> Any:
        if args or kwargs:
            return tensor(function(np.asarray(x, np.float32), *args, **kwargs))
        return _apply(call.__name__, function, x)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = function.__doc__ or f"{name}(x), for an array or a tensor of a model."
    return call


def linear(x: Any) -> Any:
    """x itself."""
    return x


def softmax(x: Any = None, axis: int = -1, logits: Any = None, name: str | None = None) -> Any:
    """Probabilities from logits, along an axis."""
    x = logits if x is None else x
    if isinstance(x, KerasTensor) and axis in (-1, len(x.shape) - 1):
        return apply_activation("softmax", x)
    x = np.moveaxis(np.asarray(x, np.float32), axis, -1)
    return tensor(np.moveaxis(functions.softmax(x), -1, axis))


def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """max(x, 0); with a slope below the threshold, and a greatest value."""
    if isinstance(x, KerasTensor):
        return apply_activation("relu", x)
    x = np.asarray(x)
    y = np.where(x > threshold, x, negative_slope * (x - threshold)).astype(x.dtype, copy=False)
    return tensor(y if max_value is None else np.minimum(y, max_value))


sigmoid = _public("sigmoid", functions.sigmoid)
tanh = _public("tanh", functions.tanh)
elu = _public("elu", functions.elu)
leaky_relu = _public("leaky_relu", functions.leaky_relu)
selu = _public("selu", _selu)
gelu = _public("gelu", _gelu)
silu = swish = _public("silu", _silu)
softplus = _public("softplus", _softplus)
softsign = _public("softsign", _softsign)
mish = _public("mish", _mish)
exponential = _public("exponential", np.exp)
hard_sigmoid = _public("hard_sigmoid", _hard_sigmoid)
hard_silu = hard_swish = _public("hard_silu", _hard_silu)
relu6 = _public("relu6", _relu6)
log_softmax = _public("log_softmax", _log_softmax)


def name_of(activation: Any) -> str:
    """The name of an activation given by name, as a function, as a layer, or as None."""
    if activation is None:
        return "linear"
    if isinstance(activation, dict):
        activation = activation.get("config", activation.get("class_name"))
    name = getattr(activation, "__name__", activation)
    name = {"swish": "silu", "hard_swish": "hard_silu"}.get(str(name).lower(), str(name).lower())
    if name not in IN_NN and name not in MORE:
        raise ValueError(
            f"expected an activation among {', '.join((*IN_NN, *MORE))}; received {activation!r}: "
            "a function of one's own has no derivative here"
        )
    return name


def get(identifier: Any) -> Callable[..., Any]:
    """The function of that name."""
    return globals()[name_of(identifier)]


def serialize(activation: Any) -> str:
    """The name of an activation."""
    return name_of(activation)


deserialize = get
