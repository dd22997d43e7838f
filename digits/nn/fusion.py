"""A convolution with relu and the max pooling after it, as one step. The largest number of a window
is the same before and after relu, which keeps the order of numbers:

    max(relu(a), relu(b), ...) = relu(max(a, b, ...))

to the last bit, and the gradient reaches the same pixel, or none where the maximum is not above 0.
So relu is computed after pooling, for a quarter of the numbers.
"""

from collections.abc import Sequence

from digits.nn.activations import LINEAR, RELU
from digits.nn.convolution import Conv2D
from digits.nn.layer import Layer
from digits.nn.pooling import MaxPooling2D
from digits.types import Array


class PooledConvolution:
    """What both layers do one after the other; weights, gradients and caches are theirs."""

    def __init__(self, convolution: Conv2D, pooling: MaxPooling2D) -> None:
        self.convolution, self.pooling = convolution, pooling

    def forward(self, x: Array, training: bool = False) -> Array:
        a = self.convolution.activated_by(LINEAR, x)
        return self.pooling.activated_maximum(a, RELU, training)

    def backward(self, dy: Array) -> Array | None:
        return self.convolution.backward(self.pooling.backward(dy))


def fused(layers: Sequence[Layer]) -> list[Layer | PooledConvolution]:
    """The steps that compute what these layers do; subclasses of them are left alone."""
    steps: list[Layer | PooledConvolution] = []
    for layer in layers:
        before = steps[-1] if steps else None
        if (
            type(before) is Conv2D
            and before.applied_activation is RELU
            and type(layer) is MaxPooling2D
        ):
            steps[-1] = PooledConvolution(before, layer)
        else:
            steps.append(layer)
    return steps
