"""The tutorials' networks in Keras and PyTorch, as the tutorials write them, predict the same
as ours once they have the same weights, whichever way these went. Optional: it needs the extra
`parity`, and is skipped without.
"""

import importlib.util
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_exchange import digits, example, examples, trained

from digits.files.exchange import from_keras, from_torch, to_keras, to_torch
from digits.files.models import load_model
from digits.nn.network import Network
from digits.nn.sequential import Sequential
from digits.recipes import MNIST_DEVIATION, MNIST_MEAN, RECIPES
from digits.types import Array
from functions import softmax

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed (the extra `parity`)")


# Keras has not yet followed NumPy 2 in what its variables promise.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

__all__ = ["trained"]  # a fixture, found by its name


@pytest.fixture
def keras() -> Any:
    if importlib.util.find_spec("keras") is None:
        pytest.skip("Keras is not installed (the extra `parity`)")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    return pytest.importorskip("keras")


# --- the tutorials' networks ----------------------------------------------------------------------


def in_torch(name: str) -> Any:
    nn = torch.nn

    def convolution(*arguments: int, **options: int) -> list[Any]:
        return [nn.Conv2d(*arguments, **options), nn.ReLU()]

    def normalized(channels: int) -> list[Any]:
        return [nn.BatchNorm2d(channels), nn.ReLU()]

    layers: dict[str, Callable[[], list[Any]]] = {
        "mlp": lambda: [
            *(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU()),
            nn.Linear(100, 10),
        ],
        "conv": lambda: [
            nn.Unflatten(1, (1, 28, 28)),
            *(*convolution(1, 32, 5, padding=2), nn.MaxPool2d(2)),
            *(*convolution(32, 64, 5, padding=2), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Dropout(0.5)),
            nn.Linear(1024, 10),
        ],
        "photo": lambda: [
            nn.Unflatten(1, (1, 28, 28)),
            *(nn.Conv2d(1, 16, 5, bias=False), nn.MaxPool2d(2), *normalized(16)),
            *(nn.Conv2d(16, 32, 3, padding=1, bias=False), *normalized(32)),
            *(nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.MaxPool2d(2), *normalized(32)),
            *(nn.Conv2d(32, 64, 3, padding=1, bias=False), *normalized(64)),
            *(nn.Conv2d(64, 64, 3, bias=False), *normalized(64)),
            *(nn.Flatten(), nn.Linear(4 * 4 * 64, 11)),
        ],
    }
    torch.manual_seed(0)
    model = nn.Sequential(*layers[name]()).eval()
    for key, numbers in model.state_dict().items():
        if key.endswith(("running_mean", "running_var")):
            numbers.uniform_(0.5, 1.5)
    return model


def in_keras(keras: Any, name: str) -> Any:
    kl = keras.layers

    def convolution(filters: int, **options: str) -> Any:
        return kl.Conv2D(filters, 5, activation="relu", **options)

    def normalized() -> list[Any]:
        return [kl.BatchNormalization(epsilon=1e-5), kl.Activation("relu")]

    layers: dict[str, Callable[[], list[Any]]] = {
        "mlp": lambda: [kl.Dense(300, activation="relu"), kl.Dense(100, activation="relu")],
        "conv": lambda: [
            kl.Reshape((28, 28, 1)),
            *(convolution(32, padding="same"), kl.MaxPooling2D(2)),
            *(convolution(64, padding="same"), kl.MaxPooling2D(2)),
            *(kl.Flatten(), kl.Dense(1024, activation="relu"), kl.Dropout(0.5)),
        ],
        "photo": lambda: [
            kl.Reshape((28, 28, 1)),
            *(kl.Conv2D(16, 5, use_bias=False), kl.MaxPooling2D(2), *normalized()),
            *(kl.Conv2D(32, 3, padding="same", use_bias=False), *normalized()),
            *(kl.Conv2D(32, 3, padding="same", use_bias=False), kl.MaxPooling2D(2), *normalized()),
            *(kl.Conv2D(64, 3, padding="same", use_bias=False), *normalized()),
            *(kl.Conv2D(64, 3, use_bias=False), *normalized(), kl.Flatten()),
        ],
    }
    classes = 11 if name == "photo" else 10
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((784,)), *layers[name](), kl.Dense(classes, activation="softmax")]
    )
    for weight in model.weights:
        if "moving" in weight.path:
            weight.assign(np.random.default_rng(0).uniform(0.5, 1.5, weight.shape))
    return model


def pixels(x: Array) -> Array:
    """What the other network is shown, where ours begins by standardizing."""
    return ((x - MNIST_MEAN) / MNIST_DEVIATION).astype(np.float32)


def torch_predictions(model: Any, x: Array) -> Array:
    with torch.no_grad():
        return softmax(model(torch.from_numpy(x)).numpy())


def keras_predictions(model: Any, x: Array) -> Array:
    return np.asarray(model.predict(x, verbose=0))


def built(name: str, seed: int = 0) -> Network:
    network = RECIPES[name].build(np.random.default_rng(seed))
    network.params.flat[...] *= 1.5  # far from the initial weights, and from all being alike
    network.buffers.flat[...] += np.random.default_rng(seed).random(network.buffers.flat.shape)
    return network


every_network = pytest.mark.parametrize("name", ["mlp", "conv", "photo"])


# --- the same weights, the same outputs -----------------------------------------------------------


@every_network
def test_pytorch(name: str) -> None:
    x, model, network = digits(8), in_torch(name), built(name)
    assert not np.allclose(torch_predictions(model, pixels(x)), network.predict(x), atol=1e-3)
    from_torch(network, model.state_dict())
    y = torch_predictions(model, pixels(x))
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-5)

    network = built(name, seed=1)
    weights = to_torch(network, model.state_dict())
    model.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    y = torch_predictions(model, pixels(x))
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-5)


@every_network
def test_keras(name: str, keras: Any) -> None:
    x, model, network = digits(8), in_keras(keras, name), built(name)
    assert not np.allclose(keras_predictions(model, pixels(x)), network.predict(x), atol=1e-3)
    from_keras(network, model.get_weights())
    y = keras_predictions(model, pixels(x))
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-5)

    network = built(name, seed=1)
    model.set_weights(to_keras(network))
    y = keras_predictions(model, pixels(x))
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-5)


def test_pytorch_normalizes_a_flattened_image() -> None:
    nn, network = torch.nn, example()
    model = nn.Sequential(
        *(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3, eps=1e-3), nn.MaxPool2d((2, 1))),
        *(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(18, eps=1e-3), nn.ReLU()),
        *(nn.Linear(18, 18), nn.Tanh(), nn.BatchNorm1d(18, eps=1e-3)),
        *(nn.Linear(18, 18), nn.Linear(18, 10)),
    ).eval()
    weights = to_torch(network, model.state_dict())
    model.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()})
    x = np.random.default_rng(0).standard_normal((6, 5, 4, 2)).astype(np.float32)
    y = torch_predictions(model, np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(network.predict(x), y, rtol=0, atol=1e-5)


# --- the page -------------------------------------------------------------------------------------


def test_keras_on_the_page(trained: dict[str, Network], keras: Any) -> None:
    names: dict[str, Any] = {}
    (code,) = examples("Keras")
    exec(code, names)
    x = digits(5)
    expected = trained["lenet5"].predict(x)
    np.testing.assert_allclose(keras_predictions(names["model"], x), expected, rtol=0, atol=1e-5)
    back = load_model("from_keras.npz")
    assert isinstance(back, Sequential)
    np.testing.assert_array_equal(back.predict(x), expected)


def test_pytorch_on_the_page(trained: dict[str, Network]) -> None:
    names: dict[str, Any] = {}
    (code,) = examples("PyTorch")
    exec(code, names)
    x = digits(5)
    expected = trained["lenet5"].predict(x)
    y = torch_predictions(names["model"], pixels(x))
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(load_model("from_torch.npz").predict(x), expected)
