"""What is copied or pickled works alone, and threads may ask one network at the same time."""

import copy
import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from digits import AveragePooling2D, Conv2D, History, Layer, MaxPooling2D, Sequential
from digits.nn.layers import BatchNormalization, Dense, Dropout, Flatten, Reshape
from digits.nn.optimizers import SGD, Adam, Optimizer
from digits.types import Array
from two_layer_net import TwoLayerNet

WAYS: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


def read_only(thing: Any) -> Any:
    """What comes out of joblib: arrays are views of files that cannot be written."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(thing, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(data, buffers=[bytes(buffer) for buffer in buffers])


every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
to_joblib_too = pytest.mark.parametrize("way", [*WAYS.values(), read_only], ids=[*WAYS, "joblib"])


def two_layers() -> TwoLayerNet:
    return TwoLayerNet(784, 12, 10, rng=np.random.default_rng(0))


class Meet(Layer):
    """Where threads wait for each other: all have written before any goes on to read."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.barrier = threading.Barrier(threads)

    def forward(self, x: Array, training: bool = False) -> Array:
        if threading.current_thread() is not threading.main_thread():
            self.barrier.wait(timeout=30)
        return x


def stack(threads: int = 0) -> Sequential:
    layers: list[Layer] = [
        *(Reshape((28, 28, 1)), Conv2D(6, 5, activation="relu"), MaxPooling2D(2)),
        BatchNormalization(),
        Conv2D(16, 5, padding="same", activation="relu"),  # in the frequency domain
        *(AveragePooling2D(2), Flatten(), Dropout(0.3), Dense(10, activation="softmax")),
    ]
    if threads:
        layers = [each for layer in layers[:-1] for each in (layer, Meet(threads))] + layers[-1:]
    return Sequential(layers, rng=np.random.default_rng(0))


every_network = pytest.mark.parametrize("build", [two_layers, stack])


def batch(n: int, seed: int = 1) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.random((n, 784), dtype=np.float32), rng.integers(0, 10, n)


def step(network: Any, optimizer: Optimizer) -> None:
    _, grads = network.loss_and_gradient(*batch(20))
    optimizer.update(network.params, grads)


@every_network
@to_joblib_too
def test_a_copy_of_a_network_trains_alone(build: Callable[[], Any], way: Any) -> None:
    network, twin = build(), build()
    other = way(network)
    x, _ = batch(5)
    before = network.predict(x)
    np.testing.assert_array_equal(other.predict(x), before)
    for _ in range(3):
        step(other, SGD(0.1))
        step(twin, SGD(0.1))
    np.testing.assert_array_equal(other.params.flat, twin.params.flat)  # with the same dropout
    np.testing.assert_array_equal(other.predict(x), twin.predict(x))
    np.testing.assert_array_equal(network.predict(x), before)
    assert not np.array_equal(other.predict(x), before)


@every_way
def test_a_copy_of_a_layer_works_alone(way: Any) -> None:
    network = stack()
    layer, x = network.layers[1], np.ones((3, 28, 28, 1), np.float32)
    other = way(layer)
    y = layer.forward(x).copy()
    np.testing.assert_array_equal(other.forward(x), y)
    other.weights["W"] += 1
    assert not np.array_equal(other.forward(x), y)
    np.testing.assert_array_equal(layer.forward(x), y)


@to_joblib_too
def test_a_copy_of_an_optimizer_goes_on_alone(way: Any) -> None:
    network, optimizer = two_layers(), Adam(0.01, use_ema=True)
    step(network, optimizer)
    other = way(optimizer)
    assert other.iterations == 1
    for name, slot in optimizer.slots.items():
        np.testing.assert_array_equal(other.slots[name], slot)
        assert not np.shares_memory(other.slots[name], slot)
    step(network, other)


@every_way
def test_a_copy_of_a_history_grows_alone(way: Any) -> None:
    history = History(losses=[2.0])
    way(history).losses.append(1.0)
    assert history.losses == [2.0]


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_may_ask_one_network(threads: int) -> None:
    network = stack(threads)
    batches = [batch(5, seed=seed)[0] for seed in range(3 * threads)]
    expected = [network.predict(x) for x in batches]
    with ThreadPoolExecutor(threads) as pool:
        for found, alone in zip(pool.map(network.predict, batches), expected, strict=True):
            np.testing.assert_array_equal(found, alone)


@every_network
def test_threads_may_ask_for_gradients(build: Callable[[], Any]) -> None:
    network = build()
    batches = [batch(1 + i % 5, seed=i) for i in range(20)]
    expected = [network.gradient(*each).flat for each in batches]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda each: network.gradient(*each).flat, batches)
        for grads, alone in zip(found, expected, strict=True):
            np.testing.assert_array_equal(grads, alone)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_while_another_thread_predicts() -> None:
    network, (x, _) = stack(), batch(300)
    expected, done = network.predict(x), threading.Event()

    def ask() -> None:
        while not done.is_set():
            network.predict(x)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                os._exit(0 if np.allclose(network.predict(x), expected, atol=1e-5) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        done.set()
        thread.join()
