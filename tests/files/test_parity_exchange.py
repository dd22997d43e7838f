"""Networks in Keras and PyTorch predict the same as ours once they have the same weights, whichever
way these went. Optional: it needs the extra `parity`, and is skipped without.
"""

import importlib.util
import os
from typing import Any

import numpy as np
import pytest
from test_exchange import digits, example, examples, trained

from digits.files.exchange import to_torch
from digits.files.models import load_model
from digits.nn.network import Network
from digits.nn.sequential import Sequential
from digits.recipes import MNIST_DEVIATION, MNIST_MEAN
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


def pixels(x: Array) -> Array:
    """What the other network is shown, where ours begins by standardizing."""
    return ((x - MNIST_MEAN) / MNIST_DEVIATION).astype(np.float32)


def torch_predictions(model: Any, x: Array) -> Array:
    with torch.no_grad():
        return softmax(model(torch.from_numpy(x)).numpy())


def keras_predictions(model: Any, x: Array) -> Array:
    return np.asarray(model.predict(x, verbose=0))


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
