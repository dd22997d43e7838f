"""What arithmetic must withstand, without a single warning: warnings are errors in all tests."""

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tiny_data import digits

from digits import RECIPES, Conv2D, ZeroPadding2D
from digits.evaluate import evaluate
from digits.nn.layers import BatchNormalization, Dense, Flatten, Maxout, Reshape
from digits.nn.network import Network
from digits.nn.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from digits.nn.parameters import MAX_SIZE, Parameters
from digits.nn.sequential import MAX_OUTPUTS, Sequential
from digits.types import Array
from predict_image import read_digits
from train_net import Data, TrainingError, train
from two_layer_net import TwoLayerNet

Build = Callable[..., Network]

NETWORKS: dict[str, Build] = {name: recipe.build for name, recipe in RECIPES.items()}


def batch(n: int = 8) -> tuple[Array, Array]:
    data = digits(n, 0, 1)
    return data.x_train, data.t_train


@pytest.mark.parametrize("name", NETWORKS)
def test_a_learning_rate_of_a_million_ends_in_a_sentence_or_in_a_network(name: str) -> None:
    network = NETWORKS[name](np.random.default_rng(0))
    data = digits(20, 0, 5)
    try:
        train(network, data, SGD(1e6), batch_size=5, iterations=12, verbose=0)
    except TrainingError as error:
        assert "lower learning rate" in str(error)
    else:
        assert np.isfinite(network.predict(data.x_test)).all()


@pytest.mark.parametrize(
    "optimizer",
    [
        *(SGD(1e6), SGD(1e6, 0.9, nesterov=True), SGD(1e6, clipnorm=1.0, weight_decay=0.1)),
        *(Adagrad(1e6), RMSprop(1e6), AdamW(1e6), Adam(1e6, use_ema=True)),
    ],
    ids=lambda optimizer: type(optimizer).__name__,
)
@pytest.mark.parametrize("activation", ["relu", "elu", "scaled_tanh", "softmax"])
def test_a_loop_of_ones_own_gets_no_warning_either(optimizer: Optimizer, activation: str) -> None:
    x, t = batch()
    layers = [Dense(8, activation=activation), BatchNormalization(), Maxout(6), Dense(10)]
    network = Sequential(layers, rng=np.random.default_rng(0))
    optimizer.iterations, optimizer.slots = 0, {}
    for _ in range(20):
        loss, grads = network.loss_and_gradient(x, t)
        assert not loss < 0
        optimizer.update(network.params, grads)
    assert network.predict(x).shape == (8, 10) and not network.loss(x, t) < 0
    assert 0 <= network.accuracy(x, t) <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_at_the_end_of_their_range_give_no_warning(name: str) -> None:
    network = NETWORKS[name](np.random.default_rng(0))
    network.params.flat[...] = np.finfo(np.float32).max * np.sign(network.params.flat)
    x, t = batch(4)
    network.predict(x)
    network.gradient(x, t)
    assert not network.loss(x, t) < 0


def too_large() -> Network:
    """Finite weights, as files may hold, that make logits infinite."""
    network = TwoLayerNet(784, 3, 10)
    network.params.flat[...] = np.finfo(np.float32).max
    return network


def test_nonfinite_predictions_are_rejected() -> None:
    x, t = batch()
    with pytest.raises(ValueError, match=r"finite.*received nan.*lower learning rate"):
        evaluate(too_large(), x, t)
    with pytest.raises(ValueError, match="labels that are integers 0 to 2"):
        evaluate(TwoLayerNet(784, 3, 3), x, np.full(len(x), 7))
    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 28:32] = 0
    assert read_digits(picture).rows == ["1"]
    with pytest.raises(ValueError, match=r"the model's are not finite.*lower learning rate"):
        read_digits(picture, too_large())


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("gray", [0.0, 1.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_black_and_white_images_alone_and_in_company(name: str, gray: float, n: int) -> None:
    network = NETWORKS[name](np.random.default_rng(0))
    x, t = np.full((n, 784), gray, np.float32), np.arange(n)
    for optimizer in (SGD(0.01), Adam(0.001)):
        for _ in range(3):
            loss, grads = network.loss_and_gradient(x, t)
            assert math.isfinite(loss)
            assert np.isfinite(grads.flat).all()
            optimizer.update(network.params, grads)
    np.testing.assert_allclose(network.predict(x).sum(axis=1), 1, rtol=1e-5)


METHODS: dict[str, Callable[[Network, Array, Array], object]] = {
    "predict": lambda network, x, t: network.predict(x),
    "loss": lambda network, x, t: network.loss(x, t),
    "accuracy": lambda network, x, t: network.accuracy(x, t),
    "gradient": lambda network, x, t: network.gradient(x, t),
    "train": lambda network, x, t: train(network, Data(x, t), SGD(), verbose=0),
}


@pytest.mark.parametrize("pixel", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["two-layer", "lenet5"])
def test_a_pixel_that_is_not_finite_is_named(name: str, method: str, pixel: float) -> None:
    network = NETWORKS[name](np.random.default_rng(0))
    x, t = batch(6)
    x[4, 300] = x[5, 1] = pixel
    weights = network.params.flat.copy()
    with pytest.raises(ValueError, match=f"{pixel} in sample 4, value 300, .* 1 more"):
        METHODS[method](network, x, t)
    np.testing.assert_array_equal(network.params.flat, weights)


def test_a_pixel_that_float32_cannot_hold_is_refused() -> None:
    x = np.zeros((2, 784))
    x[1, 5] = 1e300
    with pytest.raises(ValueError, match="inf in sample 1, value 5"):
        TwoLayerNet(784, 3, 10).predict(x)


def memory_of(build: Callable[[], object]) -> int:
    """Bytes that were asked for at most, while `build` raised ValueError."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="GB"):
            build()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "build",
    [
        lambda: TwoLayerNet(784, 10**6, 10),
        lambda: Sequential([Dense(10**6), Dense(10)]),
        lambda: Sequential([Maxout(10**5, 10), Dense(10)]),
        lambda: Sequential([Reshape((28, 28, 1)), ZeroPadding2D(10**6), Flatten(), Dense(2)]),
        lambda: Sequential([Reshape((28, 28, 1)), Conv2D(10**5, 3), Flatten(), Dense(10)]),
    ],
    ids=["two layers", "dense", "maxout", "padding", "filters"],
)
def test_a_network_too_large_is_refused_unbuilt(build: Callable[[], object]) -> None:
    assert memory_of(build) < 100_000


def test_the_refusal_names_the_memory() -> None:
    with pytest.raises(ValueError, match=r"received 795,000,010, which would take 3.2 GB"):
        TwoLayerNet(784, 10**6, 10)
    with pytest.raises(ValueError, match=r"which would take 6.4 GB"):
        TwoLayerNet(784, 10**6, 10, dtype=np.float64)
    with pytest.raises(ValueError, match=f"at most {MAX_SIZE:,} parameters; received"):
        Parameters({"W1": (MAX_SIZE,), "b1": (1,)})
    with pytest.raises(ValueError, match=f"at most {MAX_OUTPUTS:,} outputs.*ZeroPadding2D"):
        Sequential([Reshape((28, 28, 1)), ZeroPadding2D(2000), Flatten(), Dense(2)])


@pytest.mark.parametrize("size", [0, -1, 2.5, "3", None, np.nan])
def test_sizes_that_are_none(size: Any) -> None:
    with pytest.raises(ValueError, match="W1 of a shape of integers above 0"):
        TwoLayerNet(784, size, 10)
