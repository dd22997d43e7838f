"""Dense layers as one step: what they compute one after the other, at any batch size."""

import numpy as np
import pytest

from digits import Dense, Input, Layer, Sequential
from digits.nn.dense_stack import DenseStack
from digits.nn.fusion import fused
from digits.types import Array


def network_of(*layers: Layer, features: int = 7) -> Sequential:
    network = Sequential([Input((features,)), *layers], dtype=np.float64)
    rng = np.random.default_rng(1)
    network.params.flat[...] = 0.5 * rng.standard_normal(network.params.flat.size)
    return network


EQUAL = [Dense(40, "relu") for _ in range(4)]
MIXED = [Dense(6, "tanh"), Dense(6, "leaky_relu"), Dense(6), Dense(4, "softmax"), Dense(3, "elu")]
NO_BIAS = [Dense(5, "relu"), Dense(5, "relu", use_bias=False), Dense(5, "relu"), Dense(5, "relu")]


@pytest.mark.parametrize("hidden", [EQUAL, MIXED, NO_BIAS], ids=["equal", "mixed", "no bias"])
@pytest.mark.parametrize("n", [1, 2, 33, 700])  # 700: more than a million multiplications
def test_the_same_as_layer_by_layer(hidden: list[Dense], n: int) -> None:
    copies = [Dense(**layer.get_config()) for layer in hidden]
    network, rng = network_of(*copies, Dense(3, "softmax")), np.random.default_rng(n)
    assert any(isinstance(step, DenseStack) for step in fused(network.layers))
    for size in (4, n):  # the second batch finds the arrays of another size
        x, t = rng.standard_normal((size, 7)), rng.integers(0, 3, size)
        loss, grads = network.loss_and_gradient(x, t, scale=0.1)
    together = grads.flat.copy()

    y = x
    for layer in network.layers:
        y = layer.forward(y, training=True)
    by_layers, dy = network.output.loss_and_grad(y, t)
    gradient: Array | None = 0.1 * dy
    for layer in reversed(network.layers):
        assert gradient is not None
        gradient = layer.backward(gradient)
    np.testing.assert_allclose(loss, by_layers, rtol=1e-13)
    np.testing.assert_allclose(together, grads.flat, rtol=1e-10, atol=1e-14)


def test_layers_that_are_added_join_the_stack() -> None:
    network, x = network_of(Dense(5, "relu"), Dense(5, "relu")), np.ones((2, 7))
    network.add(Dense(3))
    y = x
    for layer in network.layers:
        y = layer.forward(y)
    np.testing.assert_allclose(network.output.activation.function(y), network.predict(x))
