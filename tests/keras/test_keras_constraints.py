"""Constraints and regularizers: weights stay within what is allowed, or small, in training."""

from typing import Any

import numpy as np
import pytest

from digits import keras
from digits.keras import constraints

layers: Any = keras.layers


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (constraints.MaxNorm(2), [[0.3, 1.2], [0.4, -1.6]]),
        (constraints.UnitNorm(), [[0.6, 0.6], [0.8, -0.8]]),
        (constraints.MinMaxNorm(1, 2), [[0.6, 1.2], [0.8, -1.6]]),
        (constraints.MinMaxNorm(1, 2, rate=0.5), [[0.45, 2.1], [0.6, -2.8]]),
        (constraints.get("non_neg"), [[0.3, 3], [0.4, 0]]),
    ],
)
def test_weights_become_what_is_allowed(constraint: Any, expected: Any) -> None:
    w = np.array([[0.3, 3], [0.4, -4]])
    np.testing.assert_allclose(constraint(w), expected, rtol=1e-5)


def halves(w: Any) -> Any:
    return np.clip(w, -0.5, 0.5)


def test_weights_keep_to_constraints_while_they_are_trained() -> None:
    kernel, bias = constraints.max_norm(0.1), halves
    dense = layers.Dense(3, kernel_constraint=kernel, bias_constraint=bias)
    model = keras.Sequential([keras.Input((4,)), dense, layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.5), "mse")
    x, y = np.random.default_rng(0).random((40, 4)), np.full(40, 9.0)
    for train in (lambda: model.fit(x, y, verbose=0), lambda: model.train_on_batch(x, y)):
        train()
        assert np.linalg.norm(dense.kernel.numpy(), axis=0).max() <= 0.1 + 1e-6
        assert np.abs(dense.bias.numpy()).max() <= 0.5
    config = dense.get_config()
    with keras.utils.custom_object_scope({"halves": halves}):
        copied = layers.Dense.from_config(config)
    assert copied.constraints["kernel_constraint"].max_value == 0.1
    assert copied.constraints["bias_constraint"] is halves


def cubes(w: Any) -> Any:
    return 0.1 * np.abs(w * w * w).sum()


class OwnL1(keras.regularizers.Regularizer):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, w: Any) -> Any:
        return self.factor * np.abs(w).sum()


@pytest.mark.parametrize(
    ("regularizer", "derivative"),
    [(cubes, lambda w: 0.3 * w * abs(w)), (OwnL1(0.2), lambda w: 0.2 * np.sign(w))],
)
def test_regularizers_of_ones_own_have_gradients(regularizer: Any, derivative: Any) -> None:
    dense = layers.Dense(2, kernel_regularizer=regularizer)
    model = keras.Sequential([keras.Input((3,)), dense])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    x = np.zeros((4, 3))
    before = dense.kernel.numpy()
    loss = model.train_on_batch(x, np.zeros((4, 2)))
    assert loss == pytest.approx(regularizer(before), rel=1e-5)
    np.testing.assert_allclose(dense.kernel.numpy(), before - derivative(before), atol=1e-5)
    with keras.utils.custom_object_scope({"cubes": cubes, "OwnL1": OwnL1}):
        copied = layers.Dense.from_config(dense.get_config())
    assert copied.kernel_regularizer(before) == pytest.approx(regularizer(before))
