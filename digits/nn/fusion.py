"""Layers that are faster together, as one step.

- A convolution with relu and the max pooling after it. The largest number of a window is the same
  before and after relu, which keeps the order of numbers:

      max(relu(a), relu(b), ...) = relu(max(a, b, ...))

  to the last bit, and the gradient reaches the same pixel, or none where the maximum is not above
  0. So relu is computed after pooling, for a quarter of the numbers.
- Dense layers that follow a dense layer: see `digits.nn.dense_stack`.
"""

from collections.abc import Sequence

from digits.nn.activations import LINEAR, RELU
from digits.nn.convolution import Conv2D
from digits.nn.dense_stack import DenseStack
from digits.nn.layer import Layer
from digits.nn.layers import Dense
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


Step = Layer | PooledConvolution | DenseStack


def fused(layers: Sequence[Layer]) -> list[Step]:
    """The steps that compute what these layers do; subclasses of them are left alone."""
    steps: list[Step] = []
    for layer in layers:
        before = steps[-1] if steps else None
        if (
            type(before) is Conv2D
            and before.applied_activation is RELU
            and type(layer) is MaxPooling2D
        ):
            steps[-1] = PooledConvolution(before, layer)
        elif type(layer) is Dense and layer.use_bias and type(before) is DenseStack:
            before.layers.append(layer)
        elif type(layer) is Dense and layer.use_bias and type(before) is Dense:
            steps.append(DenseStack([layer]))
        else:
            steps.append(layer)
    return steps
