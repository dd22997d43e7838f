"""How a network ends: classes, a single sigmoid, losses as objects; shapes of its inputs."""

import copy
from pathlib import Path

import numpy as np
import pytest

from digits import Adam, CategoricalCrossentropy, Conv2D, Huber, Input, Layer, Sequential
from digits.nn.layers import Activation, Dense, Flatten, Reshape
from digits.nn.output import loss_from_config
from digits.types import Array
from functions import gradient_check, sigmoid, softmax


def two_classes(n: int = 200) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    x, t = rng.standard_normal((n, 6)), rng.integers(0, 2, n)
    return x + 3 * t[:, np.newaxis], t


def binary() -> Sequential:
    layers: list[Layer | Input] = [
        Input((6,)),
        Dense(4, activation="tanh"),
        Dense(1, activation="sigmoid"),
    ]
    return Sequential(layers, rng=np.random.default_rng(0))


def test_one_sigmoid_tells_two_classes() -> None:
    network, optimizer, (x, t) = binary(), Adam(0.03), two_classes()
    assert gradient_check(network, x, t) < 1e-6
    for _ in range(60):
        _, grads = network.loss_and_gradient(x, t[:, np.newaxis])
        optimizer.update(network.params, grads)
    p = network.predict(x)
    assert p.shape == (len(x), 1)
    np.testing.assert_array_equal(network.predict_classes(x), p[:, 0] > 0.5)
    assert network.accuracy(x, t) == np.mean((p[:, 0] > 0.5) == t) > 0.98
    assert network.loss(x, t) == pytest.approx(
        -np.mean(np.log(np.where(t == 1, p[:, 0], 1 - p[:, 0]))), rel=1e-5
    )
    with pytest.raises(ValueError, match="integers 0 to 1; received 2"):
        network.loss(x, t + 1)


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
@pytest.mark.parametrize("activation", ["linear", "softmax", "relu"])
def test_a_single_output_is_no_softmax(activation: str, loss: str) -> None:
    with pytest.raises(ValueError, match=r"sigmoid.*mean_squared_error"):
        Sequential([Dense(1, activation=activation)], loss=loss)


@pytest.mark.parametrize("end", ["softmax", "relu"])
def test_the_last_layer_stays_what_the_user_wrote(end: str) -> None:
    last = Dense(10, activation=end)
    network = Sequential([last])
    assert last.activation == last.get_config()["activation"] == end
    x = np.random.default_rng(0).random((3, 784))
    logits = x @ network.params["W1"]
    expected = softmax(logits if end == "softmax" else np.maximum(logits, 0))
    np.testing.assert_allclose(network.predict(x), expected, rtol=1e-5)


@pytest.mark.parametrize("end", ["softmax", "sigmoid", "linear"])
def test_a_loss_object_sees_the_outputs_as_they_are(end: str, tmp_path: Path) -> None:
    loss = CategoricalCrossentropy(label_smoothing=0.1) if end == "softmax" else Huber(0.2)
    layers: list[Layer | Input] = [Input((6,)), Dense(2), Activation(end)]
    network = Sequential(layers, loss=loss, rng=np.random.default_rng(0))
    x, _ = two_classes(8)
    t = np.random.default_rng(1).dirichlet(np.ones(2), 8)
    logits = x @ network.params["W1"] + network.params["b1"]
    expected = {"softmax": softmax(logits), "sigmoid": sigmoid(logits), "linear": logits}[end]
    np.testing.assert_allclose(network.predict(x), expected, atol=1e-6)
    np.testing.assert_array_equal(network.predict_classes(x), expected.argmax(axis=1))
    classes = np.arange(8) % 2
    assert network.accuracy(x, classes) == np.mean(expected.argmax(axis=1) == classes)
    assert network.loss(x, t) == pytest.approx(loss(network.predict(x), t), rel=1e-5)
    assert gradient_check(network, x, t) < 1e-6
    network.save(tmp_path / "model.npz")
    assert Sequential.load(tmp_path / "model.npz").loss(x, t) == network.loss(x, t)
    assert loss_from_config("huber") == "huber"
    with pytest.raises(ValueError, match="a loss of this library; received 'Mine'"):
        loss_from_config({"class": "Mine"})


@pytest.mark.parametrize("shape", [(1, 28, 28), (28, 28), (28, 28, 1), (784,)])
@pytest.mark.parametrize(
    "first",
    [(Input((28, 28, 1)), Conv2D(2, 5)), (Reshape((28, 28, 1)), Conv2D(2, 5)), (Input((28, 28)),)],
    ids=["images", "rows", "without channels"],
)
def test_images_without_a_channel(first: tuple[Layer | Input, ...], shape: tuple[int, ...]) -> None:
    network = Sequential([*copy.deepcopy(first), Flatten(), Dense(10)])
    x = np.random.default_rng(0).random((3, 784), dtype=np.float32)
    np.testing.assert_array_equal(network.predict(x.reshape(3, *shape)), network.predict(x))


def test_colors_are_not_taken_for_positions() -> None:
    network = Sequential([Dense(2)])
    with pytest.raises(ValueError, match=r"\(n, 784\); received \(n, 28, 14, 2\)"):
        network.predict(np.zeros((2, 28, 14, 2)))
