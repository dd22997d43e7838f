"""Activation functions by name, each with the way its gradient goes back. Every derivative here
follows from the output y alone, so a layer need not remember its input.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import functions
from digits.types import Array


@dataclass(frozen=True)
class ActivationFunction:
    """y = f(x), element by element (softmax: along the last axis).

    function(x) -> y; backward(dy, y) -> dx, the gradient with respect to x from that with respect
    to y. One of your own is passed to a layer as such an object; its name must be a new one.
    """

    name: str
    function: Callable[[Array], Array]
    backward: Callable[[Array, Array], Array]

    def apply(self, x: Array) -> None:
        """Turn x into y, in place."""
        if self is RELU:  # NumPy compares two arrays twice as fast as an array and a number
            np.maximum(x, np.zeros_like(x[:1]), out=x)
        elif self is not LINEAR:
            x[...] = self.function(x)

    def apply_backward(self, dy: Array, y: Array, out: Array) -> None:
        """Write dx into `out`, of the shape of dy."""
        if self is RELU:
            np.multiply(dy, np.greater(y, 0), out=out)
        else:
            out[...] = self.backward(dy, y)


def linear(x: Array) -> Array:
    """y = x."""
    return x


def linear_backward(dy: Array, y: Array) -> Array:
    return dy


def sigmoid_backward(dy: Array, y: Array) -> Array:
    """The derivative is y (1 - y)."""
    return dy * y * (1 - y)


def tanh_backward(dy: Array, y: Array) -> Array:
    """The derivative is 1 - y^2."""
    return dy * (1 - y * y)


def scaled_tanh_backward(dy: Array, y: Array) -> Array:
    """With y = a tanh(b x) the derivative is a b (1 - tanh(b x)^2) = b (a - y^2 / a)."""
    a, b = functions.TANH_AMPLITUDE, functions.TANH_STEEPNESS
    return dy * (b * (a - y * y * (1 / a)))


def relu_backward(dy: Array, y: Array) -> Array:
    """The derivative is 1 where y > 0, else 0; at the corner that of the left side is taken."""
    return dy * (y > 0)


def leaky_relu_backward(dy: Array, y: Array) -> Array:
    """The derivative is 1 where y > 0, else that of the left side."""
    return np.where(y > 0, dy, functions.LEAKY_SLOPE * dy)


def elu_backward(dy: Array, y: Array) -> Array:
    """Where x < 0, y = exp(x) - 1, whose derivative exp(x) is y + 1."""
    return np.where(y > 0, dy, dy * (y + 1))


def softmax_backward(dy: Array, y: Array) -> Array:
    """Every output depends on every input: the derivative of y_i with respect to x_j is
    y_i ([i = j] - y_j), where [i = j] is 1 if i = j, else 0. So dx_j = sum over i of
    dy_i y_i ([i = j] - y_j) = y_j (dy_j - sum over i of dy_i y_i).
    """
    return y * (dy - np.sum(dy * y, axis=-1, keepdims=True))


LINEAR = ActivationFunction("linear", linear, linear_backward)
RELU = ActivationFunction("relu", functions.relu, relu_backward)
SIGMOID = ActivationFunction("sigmoid", functions.sigmoid, sigmoid_backward)
SOFTMAX = ActivationFunction("softmax", functions.softmax, softmax_backward)

ACTIVATIONS: dict[str, ActivationFunction] = {
    activation.name: activation
    for activation in (
        LINEAR,
        SIGMOID,
        ActivationFunction("tanh", functions.tanh, tanh_backward),
        ActivationFunction("scaled_tanh", functions.scaled_tanh, scaled_tanh_backward),
        RELU,
        ActivationFunction("leaky_relu", functions.leaky_relu, leaky_relu_backward),
        ActivationFunction("elu", functions.elu, elu_backward),
        SOFTMAX,
    )
}
"""The activations that a layer and a model file may name."""


def get_activation(
    activation: str | Callable[..., Array] | ActivationFunction | None,
) -> ActivationFunction:
    """An activation by its name, or by the function of this library that computes it; None is
    "linear", and an ActivationFunction is one already.

    Raises ValueError for anything else: the derivative of a function of your own is not known.
    """
    if isinstance(activation, ActivationFunction):
        return activation
    for known in ACTIVATIONS.values():
        if activation == known.name or activation is known.function:
            return known
    if activation is None:
        return LINEAR
    advice = "; for a function of your own pass an ActivationFunction, which knows its derivative"
    raise ValueError(
        f"expected an activation among {', '.join(ACTIVATIONS)}; received {activation!r}"
        f"{advice if callable(activation) else ''}"
    )
